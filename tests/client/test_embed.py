"""Vectors, their order and shape, and what was sent to get them."""

import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
from fake_server import WIDTH, FakeServer, make_status, retry_info, violation

import nearfield
from nearfield import _convert_models
from nearfield._embed_jobs import EmbedJob
from nearfield._text_jobs import TokenizeJob
from nearfield.v1 import embed_pb2


def texts_of(count):
    return [chr(97 + index % 26) * (index + 1) for index in range(count)]


def test_vectors_come_in_the_order_of_the_texts(client):
    vectors = client.embed(["one", "second", ""])
    assert vectors.shape == (3, WIDTH)
    assert vectors.dtype == np.float32
    assert vectors[:, 0].tolist() == [3, 6, 0]


def test_a_single_text_gives_a_vector(client):
    assert client.embed("four").tolist() == [4, ord("f"), 0, 0]


def test_vectors_are_writable(client):
    client.embed(["one"])[0, 0] = 7
    client.embed("one")[0] = 7


def test_no_texts_give_no_rows_of_the_right_width_and_type(client, fake):
    assert client.embed([]).shape == (0, WIDTH)
    assert client.embed(iter(()), dimensions=2).shape == (0, 2)
    empty = client.embed([], output_dtype="ubinary")
    assert (empty.shape, empty.dtype) == ((0, 1), np.uint8)
    assert fake.calls["Embed"] == 0


@pytest.mark.parametrize(
    "texts",
    [
        ["ab", "c"],
        ("ab", "c"),
        iter,
        np.array(["ab", "c"]),
        np.array(["ab", "c"], object),
        {"ab": 1, "c": 2},
    ],
    ids=["list", "tuple", "generator", "str array", "object array", "mapping"],
)
def test_any_iterable_of_texts(client, texts):
    # A generator is used up by the first client that gets it.
    given = (text for text in ("ab", "c")) if texts is iter else texts
    assert client.embed(given)[:, 0].tolist() == [2, 1]


@pytest.mark.parametrize("ids", [[[5, 6], [7]], [np.array([5, 6]), (7,)]], ids=["lists", "array and tuple"])
def test_token_ids(client, ids):
    assert client.embed(ids)[:, :2].tolist() == [[2, 5], [1, 7]]


def test_rows_of_an_array_are_token_ids(client):
    assert client.embed(np.array([[5, 6], [7, 8]]))[:, 1].tolist() == [5, 7]


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("float32", "f4"), ("float16", "f2"), ("int8", "i1"), ("uint8", "u1"), ("binary", "i1"), ("ubinary", "u1")],
)
def test_every_output_dtype(client, dtype, expected):
    vectors = client.embed(["abc"], output_dtype=dtype)
    assert vectors.dtype == np.dtype(expected)
    assert vectors.shape == (1, 1 if dtype.endswith("binary") else WIDTH)


def test_many_texts_are_sent_in_parts_within_the_limits(client, fake):
    texts = texts_of(50)
    vectors = client.embed(texts)
    assert vectors[:, 0].tolist() == [len(text) for text in texts]
    # Limits before, and afterwards whether all parts were of the same version.
    assert fake.calls == {"GetModel": 2, "Embed": 7}
    assert max(len(one.inputs) for one in fake.requests[1:-1]) == 8


def test_limits_are_asked_for_once(client, fake):
    client.embed("a")
    client.embed("b")
    assert fake.calls == {"GetModel": 1, "Embed": 2}


def test_limits_are_asked_for_again_after_a_refusal(client, fake):
    fake.bad_texts["bad"] = "bad"
    with pytest.raises(nearfield.InvalidArgument):
        client.embed("bad")
    client.embed("good")
    assert fake.calls["GetModel"] == 2


def _within_limits(fake):
    def check(request, context):
        if len(request.inputs) <= fake.model.limits.max_inputs:
            return None
        return make_status(grpc.StatusCode.INVALID_ARGUMENT, "inputs: too many", violation("inputs", "too many"))

    return check


def test_limits_that_became_tighter_are_learned_within_the_call(client, fake):
    client.embed("a")
    fake.model.limits.max_inputs = 3
    fake.fail("Embed", *[_within_limits(fake)] * 50)
    texts = texts_of(20)
    assert client.embed(texts)[:, 0].tolist() == [len(text) for text in texts]
    assert fake.calls["GetModel"] == 3


def test_limits_that_did_not_change_are_no_reason_to_try_again(client, fake):
    client.embed("a")
    refusal = make_status(grpc.StatusCode.INVALID_ARGUMENT, "prompt_name: unknown", violation("prompt_name", "unknown"))
    fake.fail("Embed", refusal)
    with pytest.raises(nearfield.InvalidArgument, match="prompt_name"):
        client.embed("a")
    assert fake.calls == {"GetModel": 2, "Embed": 2}


def test_four_parts_at_most_are_under_way(client, fake):
    fake.hold = threading.Event()
    worker = threading.Thread(target=client.embed, args=(texts_of(80),))
    worker.start()
    for _ in range(4):
        assert fake.unary_started.acquire(timeout=5)
    assert fake.calls["Embed"] == 4
    fake.hold.set()
    worker.join()
    assert fake.calls["Embed"] == 10


def test_options_reach_the_server(client, fake):
    client.embed(
        ["a"],
        model="toy",
        input_type="query",
        prompt_name="p",
        truncate="none",
        dimensions=2,
        normalize=False,
        output_dtype="float16",
        priority="bulk",
        special_tokens_as_text=True,
    )
    sent = fake.requests[-1]
    assert (sent.model, sent.input_type, sent.prompt_name, sent.truncate) == ("toy", 1, "p", 1)
    assert (sent.dimensions, sent.HasField("normalize"), sent.normalize) == (2, True, False)
    assert (sent.output_dtype, sent.priority, sent.special_tokens_as_text) == (2, 2, True)


def test_what_is_left_out_is_not_sent(client, fake):
    client.embed(["a"])
    sent = fake.requests[-1]
    assert not sent.HasField("dimensions")
    assert not sent.HasField("normalize")
    assert (sent.input_type, sent.priority) == (0, 0)


def test_details_are_joined_over_the_parts(client):
    result = client.embed_with_details([*texts_of(9), " "], output_dtype="int8")
    assert result.token_counts.tolist() == [3, 4, 5, 6, 7, 8, 9, 10, 11, 3]
    assert result.truncated.tolist() == [False] * 10
    assert result.no_tokens == (9,)
    assert result.timings.compute_seconds == pytest.approx(0.010)
    assert result.quantization == nearfield.Quantization(scale=0.5, zero_point=0)
    assert result.model == "toy"


def test_indexes_of_a_part_become_the_callers(client, fake):
    texts = texts_of(20)
    fake.bad_texts[texts[13]] = "not this one"
    with pytest.raises(nearfield.InvalidArgument) as caught:
        client.embed(texts)
    assert caught.value.field_violations == (("inputs[13].text", "not this one"),)
    assert caught.value.message == "inputs[13].text: not this one"
    assert caught.value.metadata == {"index": "13"}


def test_half_a_surrogate_pair_is_found_before_sending(client, fake):
    with pytest.raises(nearfield.InvalidArgument, match=r"inputs\[1\]: character 2") as caught:
        client.embed(["fine", "ab\ud800"])
    assert caught.value.field_violations[0][0] == "inputs[1]"
    assert not fake.calls


@pytest.mark.parametrize("wrong", [None, 3.5, 7, b"ab", ["a"], [-1], [2**32], [[1]], np.array([0.5])])
def test_a_wrong_element_is_named(client, wrong):
    with pytest.raises(nearfield.InvalidArgument, match=r"inputs\[1\]"):
        client.embed(["fine", wrong])


class Frame:
    """What pandas, polars and pyarrow agree on."""

    columns = ("title", "body")

    def __iter__(self):
        return iter(self.columns)


@pytest.mark.parametrize("wrong", [None, 5, b"text", Frame()])
def test_no_collection_is_a_type_error(client, wrong):
    with pytest.raises(TypeError):
        client.embed(wrong)


def test_unknown_options_and_values(client):
    with pytest.raises(TypeError, match="unknown option 'modle'; known: model"):
        client.embed(["a"], modle="x")
    with pytest.raises(ValueError, match="output_dtype is 'float64'; known: 'float32'"):
        client.embed(["a"], output_dtype="float64")
    with pytest.raises(nearfield.InvalidArgument, match="dimensions"):
        client.embed(["a"], dimensions=0)


@pytest.mark.parametrize("options", [{"output_dtype": "int8"}, {"dimensions": 2}], ids=str)
def test_vectors_other_than_asked_for_are_no_result(client, fake, options, monkeypatch):
    plain = embed_pb2.EmbedRequest()
    embedded = fake.embedded
    monkeypatch.setattr(fake, "embedded", lambda inputs, _: embedded(inputs, plain))
    with pytest.raises(nearfield.InternalError, match=r"(was|were) asked for"):
        client.embed(["a"], **options)
    with pytest.raises(nearfield.InternalError, match=r"(was|were) asked for"):
        list(client.embed_stream(["a"], **options))


@pytest.mark.parametrize("count", [1, 40])
def test_closing_ends_a_call_that_is_under_way(target, fake, open_client, count):
    fake.hold = threading.Event()
    with ThreadPoolExecutor(1) as pool, open_client(target) as client:
        call = pool.submit(client.embed, ["a"] * count)
        assert fake.unary_started.acquire(timeout=5)
        client.close()
        with pytest.raises(nearfield.Cancelled, match="closed"):
            call.result(5)
        fake.hold.set()


@pytest.mark.parametrize("count", [1, 40])
def test_closing_ends_a_wait_for_the_next_attempt(target, fake, open_client, count):
    failed = threading.Semaphore(0)

    def later(request, context):
        failed.release()
        return make_status(grpc.StatusCode.UNAVAILABLE, "later", retry_info(60))

    fake.fail("Embed", *[later] * 4)
    with ThreadPoolExecutor(1) as pool, open_client(target, timeout=None) as client:
        call = pool.submit(client.embed, ["a"] * count)
        for _ in range(min(count, 4)):
            assert failed.acquire(timeout=5)
        client.close()
        with pytest.raises(nearfield.Cancelled, match="closed"):
            call.result(5)


def test_no_part_answered_is_no_result():
    model = _convert_models.model_of(FakeServer().model)
    for job in (EmbedJob(["a"], {}), TokenizeJob(["a"], {})):
        job.parts(model)
        with pytest.raises(AssertionError, match="this is a bug"):
            job.result()


def test_a_model_exchanged_between_parts_is_no_result(client, fake):
    def other(request, context):
        fake.model.dimensions = 3

    fake.fail("Embed", None, other)
    with pytest.raises(nearfield.Aborted, match="exchanged"):
        client.embed(texts_of(16))


def test_a_version_exchanged_between_parts_is_asked_for_everything_again(client, fake):
    def other(request, context):
        fake.model.version = "fedcba987654"

    fake.fail("Embed", None, other)
    assert client.embed(texts_of(16)).shape == (16, WIDTH)
    assert fake.calls == {"GetModel": 3, "Embed": 4}


def test_a_version_exchanged_twice_is_no_result(client, fake):
    def other(request, context):
        fake.model.version = f"{int(fake.model.version, 16) + 1:012x}"

    fake.fail("Embed", *[other] * 4)
    with pytest.raises(nearfield.Aborted, match="exchanged"):
        client.embed(texts_of(16))
    assert client.embed(texts_of(16)).shape == (16, WIDTH)
