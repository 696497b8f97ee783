"""Scores of lists of any length: cut into blocks, one matrix again."""

import grpc
import numpy as np
import pytest
from fake_server import make_status, vector_of

import nearfield
from nearfield.v1 import types_pb2


def texts_of(count, shortest=1):
    return [chr(97 + index % 26) * (shortest + index % 40) for index in range(count)]


def expected(sources, targets):
    rows, cols = (np.stack([vector_of(types_pb2.Input(text=one)) for one in texts]) for texts in (sources, targets))
    return rows @ cols.T


def requests(fake):
    return [one for one in fake.requests if hasattr(one, "sources")]


def test_two_lists(client, fake):
    scores = client.similarity(["a", "bb"], ["c", "d", "eee"], metric="dot", source_input_type="query")
    assert scores.tolist() == expected(["a", "bb"], ["c", "d", "eee"]).tolist()
    assert scores.dtype == np.float32
    assert (fake.requests[-1].metric, fake.requests[-1].source_input_type) == (2, 1)


def test_one_list_among_itself_is_one_request_without_targets(client, fake):
    assert client.similarity(["a", "b"]).shape == (2, 2)
    assert not fake.requests[-1].targets
    assert client.similarity("a", np.array(["b", "c"])).shape == (1, 2)


@pytest.mark.parametrize(
    ("rows", "cols", "calls"), [(1, 40, 6), (40, 1, 6), (3, 30, 6), (20, 20, 25), (9, 9, 9), (4, 4, 1)]
)
def test_long_lists_are_compared_in_blocks(client, fake, rows, cols, calls):
    sources, targets = texts_of(rows), texts_of(cols, shortest=3)
    assert client.similarity(sources, targets).tolist() == expected(sources, targets).tolist()
    assert fake.calls["Similarity"] == calls
    assert max(len(one.sources) + len(one.targets) for one in requests(fake)) <= 8


@pytest.mark.parametrize("count", [8, 9, 30])
def test_a_long_list_among_itself_asks_for_half_of_the_blocks(client, fake, count):
    sources = texts_of(count)
    scores = client.similarity(sources, source_input_type="query")
    assert scores.tolist() == expected(sources, sources).tolist()
    blocks = 1 if count <= 8 else -(-count // 4)
    assert fake.calls["Similarity"] == blocks * (blocks + 1) // 2
    assert {(one.source_input_type, one.target_input_type) for one in requests(fake)} == {(1, 1)}


def test_blocks_fit_the_reply(client, fake):
    fake.model.limits.max_inputs = 1000
    fake.model.limits.max_response_bytes = 1024 + 400
    sources = texts_of(25)
    assert client.similarity(sources).tolist() == expected(sources, sources).tolist()
    assert max(len(one.sources) * len(one.targets or one.sources) for one in requests(fake)) <= 100
    assert client.similarity("x", sources).shape == (1, 25)
    assert client.similarity(sources, ["x", "y", "z", "x", "y"]).shape == (25, 5)
    assert max(len(one.sources) * len(one.targets or one.sources) for one in requests(fake)) <= 100


def test_blocks_fit_the_request(client, fake):
    fake.model.limits.max_inputs = 1000
    sources, targets = ["s" * 9_000] * 9, ["t" * 9_000] * 9
    assert client.similarity(sources, targets).shape == (9, 9)
    assert max(one.ByteSize() for one in requests(fake)) <= 100_000


def test_errors_count_the_callers_lists(client, fake):
    sources, targets = texts_of(12), [f"{index:02}" for index in range(12)]
    fake.bad_texts[targets[7]] = "not this one"
    with pytest.raises(nearfield.InvalidArgument) as caught:
        client.similarity(sources, targets)
    assert caught.value.field_violations == (("targets[7]", "not this one"),)
    assert caught.value.metadata == {"index": "7"}
    fake.bad_texts = {sources[10]: "nor this"}
    with pytest.raises(nearfield.InvalidArgument, match=r"^sources\[10\]: nor this"):
        client.similarity(sources)


def test_lists_without_anything(client):
    with pytest.raises(nearfield.InvalidArgument, match="targets: none"):
        client.similarity(["a"], [])
    with pytest.raises(nearfield.InvalidArgument, match="sources: none"):
        client.similarity([])


def test_a_failed_block_ends_the_call(client, fake):
    fake.fail("Similarity", None, None, make_status(grpc.StatusCode.INTERNAL, "broke"))
    with pytest.raises(nearfield.InternalError, match="broke"):
        client.similarity(texts_of(40))
    assert fake.calls["Similarity"] < 20


def test_images_compare_with_texts(client):
    image = nearfield.Image(b"abc")
    assert client.similarity(image, ["abc", "d"]).shape == (1, 2)
    assert client.similarity([image, "a"]).shape == (2, 2)
