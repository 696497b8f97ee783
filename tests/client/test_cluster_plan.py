"""What clusterings send and when they send it again, without a server."""

import numpy as np
import pytest
from blocking import FAST
from hypothesis import given
from hypothesis import strategies as st

import nearfield
from nearfield._cluster_items import ItemPacker, elements
from nearfield._cluster_plan import ClusterPlan
from nearfield._cluster_requests import placed, renamed
from nearfield._clustering_jobs import JobWatch, result_of
from nearfield._deadline import Deadline
from nearfield._errors import ErrorFacts
from nearfield._model import Limits
from nearfield.v1 import cluster_pb2

TEXTS = ["one", "another", "a third"]


def test_a_failed_job_raises_its_own_error():
    progress = cluster_pb2.ClusteringProgress(id="a", state=cluster_pb2.CLUSTERING_STATE_FAILED)
    progress.error.code, progress.error.message = 8, "it would take 9 GiB"
    watch = JobWatch(FAST)
    job = watch.accept(cluster_pb2.WatchClusteringResponse(progress=progress))
    assert watch.has_ended
    with pytest.raises(nearfield.ResourceExhausted, match="9 GiB"):
        result_of(job, "a")


def test_a_watch_gives_up_when_nothing_comes_of_it():
    watch, error = JobWatch(nearfield.RetryPolicy(max_attempts=3)), nearfield.Unavailable("gone")
    assert watch.lost(error, None) > 0
    assert watch.lost(error, None) > 0
    with pytest.raises(nearfield.Unavailable):
        watch.lost(error, None)


@pytest.mark.parametrize(
    ("inputs", "options", "is_repeated"),
    [
        (TEXTS, {}, True),
        (np.ones((3, 2)), {"ids": [1, 2, 3]}, True),
        (iter(TEXTS), {}, False),
        (np.ones((3, 2)), {"ids": iter([1, 2, 3])}, False),
        (TEXTS, {"keep_seconds": 60.0}, False),
    ],
)
def test_only_what_is_safe_is_sent_again(inputs, options, is_repeated):
    plan = ClusterPlan(inputs, options)
    delay = plan.pause(nearfield.Unavailable("gone"), 1, Deadline(None), FAST)
    assert (delay is not None) == is_repeated


def test_what_the_server_did_not_begin_is_sent_again_though_it_is_kept():
    error = nearfield.Unavailable("draining")
    error.retry_delay = 0.25
    assert ClusterPlan(TEXTS, {"keep_seconds": 60.0}).pause(error, 1, Deadline(None), FAST) >= 0.25


words = st.text(st.characters(codec="utf-8"), max_size=60)


@given(st.lists(words | st.just("\ud800") | st.just(None), max_size=60), st.integers(1, 9), st.integers(2_200, 3_000))
def test_messages_are_bounded_and_lose_nothing(values, most, size_bytes):
    packer = ItemPacker(Limits(max_inputs=most, max_request_bytes=size_bytes), ids=list(range(len(values))))
    messages = list(packer.messages(values))
    sent = [
        (one.text, id_.number) for message in messages for one, id_ in zip(message.inputs, message.ids, strict=True)
    ]
    good = [(text, index) for index, text in enumerate(values) if text is not None and text != "\ud800"]
    assert sent == good
    assert list(packer.sent) == [index for _, index in good]
    assert sorted({*packer.sent, *packer.failures}) == list(range(len(values)))
    assert packer.count == len(values)
    for message in messages:
        assert 1 <= len(message.inputs) <= most
        assert message.ByteSize() <= size_bytes or len(message.inputs) == 1


@pytest.mark.parametrize(
    ("inputs", "are_vectors"),
    [
        (np.array(TEXTS), False),
        (np.array(TEXTS, object), False),
        ([[101, 7, 102]], False),
        (np.array([[101, 7, 102]]), False),
        (np.ones((2, 3), np.float16), True),
        ([[1, 0.5]], True),
        ([None, np.ones(3)], True),
        ("one text", False),
    ],
)
def test_what_inputs_are(inputs, are_vectors):
    (message,) = ItemPacker(Limits()).messages(elements(inputs))
    assert (message.HasField("vectors"), bool(message.inputs)) == (are_vectors, not are_vectors)


@pytest.mark.parametrize("inputs", [np.ones(3), np.ones((2, 2, 2)), 3, b"text"])
def test_what_is_no_collection_of_inputs_is_refused(inputs):
    with pytest.raises(TypeError):
        list(ItemPacker(Limits()).messages(elements(inputs)))


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("options.k", "k"),
        ("options.options.min_k", "min_k"),
        ("options.labels.names[3]", "names[3]"),
        ("options.options.labels.keywords", "keywords"),
        ("embedding.dimensions", "dimensions"),
        ("options.embedding.model", "model"),
        ("ttl", "keep_seconds"),
        ("items.inputs[2].text", "items.inputs[2].text"),
    ],
)
def test_fields_are_named_as_callers_name_them(path, name):
    error = nearfield.InvalidArgument(f"{path}: is wrong", ErrorFacts(field_violations=((path, "is wrong"),)))
    made = renamed(error)
    assert (made.message, made.field_violations) == (f"{name}: is wrong", ((name, "is wrong"),))


def test_items_are_named_by_the_callers_own_positions():
    facts = ErrorFacts(metadata={"index": "1"}, field_violations=(("items.vectors[1]", "is zero"),))
    made = placed(nearfield.InvalidArgument("items.vectors[1]: is zero", facts), [4, 7].__getitem__)
    assert made.message == "inputs[7]: is zero"
    assert made.metadata == {"index": "7"}
    ids = nearfield.InvalidArgument("items.inputs[0].token_ids.ids[5]: is wrong")
    assert placed(ids, [4, 7].__getitem__).message == "inputs[4].token_ids.ids[5]: is wrong"
