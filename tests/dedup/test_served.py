"""ClusterService.Deduplicate over the wire."""

import grpc
import numpy as np
import pytest
from prometheus_client import generate_latest

from nearfield.v1 import cluster_pb2, search_pb2

TEXTS = ["a dog barks", "The cat sleeps on the sofa.", "the dog is barking", "a dog barks ", "a dog barked"]


@pytest.mark.slow
def test_items_of_a_message_are_compared_among_themselves_and_with_those_before(stream):
    replies = stream.send(
        stream.options(level=cluster_pb2.DUPLICATE_LEVEL_LOOSE),
        stream.items("1", TEXTS),
        stream.items("2", ["The cat sleeps on the sofa", "a dog barks"]),
    )
    assert stream.kinds(replies["1"]) == ["unique", "unique", "near", "exact", "near"]
    assert [one.index for one in replies["1"].result.verdicts[2:]] == [0, 0, 0]
    assert stream.kinds(replies["2"]) == ["near", "exact"]
    assert [one.index for one in replies["2"].result.verdicts] == [1, 0]
    assert replies["2"].result.unique == 2
    assert 0.6 < replies["1"].result.threshold < 0.9


@pytest.mark.slow
def test_the_order_of_the_stream_decides_though_a_later_message_is_embedded_sooner(stream):
    # The first messages take far longer to embed than those after them.
    long = [f"{number} " + "word salad " * 60 for number in range(12)]
    messages = [stream.items(str(at), [*long, "a dog barks"] if at < 2 else ["a dog barks"]) for at in range(8)]
    replies = stream.send(stream.options(threshold=0.999), *messages)
    assert replies["0"].result.verdicts[-1].kind == cluster_pb2.DUPLICATE_KIND_UNIQUE
    assert [replies[str(at)].result.verdicts[-1].index for at in range(1, 8)] == [12] * 7


def test_what_an_item_is_called_is_what_verdicts_call_it(stream):
    reply = stream.send(stream.options(threshold=0.9), stream.items("1", TEXTS[:4], ids="abcd"))["1"]
    assert reply.result.verdicts[3].point == search_pb2.PointId(text="a")
    assert not reply.result.verdicts[3].in_collection
    assert reply.result.verdicts[1].similarity > 0  # the nearest that was seen
    assert not reply.result.verdicts[0].WhichOneof("of")


def test_an_item_that_fails_touches_no_other_and_keeps_its_position(stream):
    vectors = [[1, 0], [np.nan, 0], [0, 0], [0, 1], [0, 1]]
    replies = stream.send(
        stream.options(threshold=0.9), stream.items("1", vectors=vectors), stream.items("2", vectors=[[0, 2]])
    )
    verdicts = replies["1"].result.verdicts
    assert [one.HasField("error") for one in verdicts] == [False, True, True, False, False]
    assert "NaN" in verdicts[1].error.message
    assert "no direction" in verdicts[2].error.message
    assert verdicts[4].index == replies["2"].result.verdicts[0].index == 3


def test_a_message_that_fails_is_told_so_and_the_others_go_on(stream):
    replies = stream.send(
        stream.options(threshold=0.9),
        stream.items("1", ["a"]),
        stream.items("2", ["b", "c"], ids=["only one"]),
        stream.items("x" * 513, ["c"]),
        stream.items("4", ["a", "zebra"]),
        stream.items("5", ["zebra"]),
        stream.items("6", vectors=[[1.0, 2.0]]),
    )
    assert replies["2"].error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert "items.items.ids" in replies["2"].error.message
    assert replies["x" * 512].error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert stream.kinds(replies["4"]) == ["exact", "unique"]
    assert replies["5"].result.verdicts[0].index == 5  # refused items count
    assert "2 dimensions; those before have 384" in replies["6"].error.message


@pytest.mark.parametrize(
    ("first", "field"),
    [
        (lambda one: one.items("1", ["a"]), "options: the first message"),
        (lambda one: one.options(threshold=1.5), "options.threshold"),
        (lambda one: one.options(threshold=float("nan")), "options.threshold"),
        (lambda one: one.options(level=9), "options.level"),
        (lambda one: one.options(collection_only=True), "options.collection_only"),
        (lambda one: one.options(collection={}), "options.collection.collection"),
    ],
)
def test_wrong_options_end_the_stream_and_are_named(stream, first, field):
    with pytest.raises(grpc.RpcError) as caught:
        stream.send(first(stream), stream.items("1", ["a"]))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details().startswith(field)


def test_options_come_once(stream):
    with pytest.raises(grpc.RpcError, match="all messages but the first must hold items"):
        stream.send(stream.options(), stream.options())


def test_vectors_of_ones_own_need_a_threshold(stream):
    reply = stream.send(stream.options(), stream.items("1", vectors=[[1.0, 0.0]]))["1"]
    assert reply.error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert "give threshold" in reply.error.message


def test_duplicates_are_compared_with_only_when_asked_for(stream):
    chain = [[1.0, 0.0], [1.0, 0.4], [1.0, 1.0]]
    unique = stream.send(stream.options(threshold=0.9), stream.items("1", vectors=chain))["1"]
    every = stream.send(stream.options(threshold=0.9, compare_all=True), stream.items("1", vectors=chain))["1"]
    assert stream.kinds(unique) == ["unique", "near", "unique"]
    assert stream.kinds(every) == ["unique", "near", "near"]
    assert every.result.verdicts[2].index == 1


def test_words_must_agree_when_asked_for(stream):
    names = ["iPhone 12 64GB black", "iPhone 13 64GB black", "iphone 12, black, 64GB", "black 64GB iPhone 12"]
    plain = stream.send(stream.options(threshold=0.9), stream.items("1", names))["1"]
    checked = stream.send(
        stream.options(threshold=0.9, lexical_check=True),
        stream.items("1", names[:2]),
        stream.items("2", names[2:]),
        stream.items("3", vectors=[[1.0] * 384]),
    )
    assert stream.kinds(plain) == ["unique", "near", "near", "near"]
    assert stream.kinds(checked["1"]) == ["unique", "unique"]
    assert stream.kinds(checked["2"]) == ["near", "near"]
    assert [one.index for one in checked["2"].result.verdicts] == [0, 0]
    assert "send a text" in checked["3"].result.verdicts[0].error.message


def test_same_words_make_up_for_vectors_that_differ_a_little(stream):
    texts = ["the welsh grammar reader"] * 2
    vectors = [[1.0, 0.0], [0.85, 0.5268]]
    changed = [texts[0], "welsh grammar: the reader"]
    one = stream.send(stream.options(threshold=0.9, lexical_check=True), stream.items("1", changed, vectors))["1"]
    plain = stream.send(stream.options(threshold=0.9), stream.items("1", changed, vectors))["1"]
    assert stream.kinds(one) == ["unique", "near"]
    assert stream.kinds(plain) == ["unique", "unique"]


@pytest.mark.slow
def test_against_a_collection_and_the_stream(stream, collection):
    source = {"collection": collection.name}
    texts = ["a dog barks", "Tax returns are due in april", "zebra", "zebra"]
    both = stream.send(stream.options(collection=source), stream.items("1", texts))["1"]
    assert stream.kinds(both) == ["exact", "near", "unique", "exact"]
    first = both.result.verdicts
    assert [one.in_collection for one in first] == [True, True, True, False]
    assert [one.point.text for one in first[:2]] == ["dog", "tax"]
    assert first[3].index == 2
    alone = stream.send(stream.options(collection=source, collection_only=True), stream.items("1", texts))["1"]
    assert stream.kinds(alone) == ["exact", "near", "unique", "unique"]
    assert alone.result.unique == 2
    filtered = stream.send(
        stream.options(collection=source | {"filter_expression": "kind == 'x'"}), stream.items("1", texts)
    )["1"]
    assert stream.kinds(filtered) == ["unique", "unique", "unique", "exact"]


def test_words_must_agree_with_a_points_too(stream, client, collection):
    client.collection(collection.name).upsert([{"id": "p", "text": "iPhone 12 64GB black"}])
    source = {"collection": collection.name}
    texts = ["iPhone 13 64GB black", "iphone 12, black, 64GB"]
    reply = stream.send(stream.options(collection=source, threshold=0.9, lexical_check=True), stream.items("1", texts))[
        "1"
    ]
    assert stream.kinds(reply) == ["unique", "near"]
    assert reply.result.verdicts[1].point.text == "p"


def test_vectors_against_a_collection(stream, client, request):
    name = f"vectors-{abs(hash(request.node.nodeid)):x}"
    made = client.create_collection(name, dimensions=3)
    made.upsert([{"id": 7, "v": [1.0, 2.0, 3.0]}], vector="v", text=None)
    reply = stream.send(
        stream.options(threshold=0.9, collection={"collection": name}),
        stream.items("1", vectors=[[2, 4, 6], [1, 2, 3.5], [-1, 0, 0]]),
        stream.items("2", vectors=[[1.0, 0.0]]),
        stream.items("3", ["a text"]),
    )
    assert stream.kinds(reply["1"]) == ["exact", "near", "unique"]
    assert reply["1"].result.verdicts[0].point.number == 7
    assert "2 dimensions; the collection has 3" in reply["2"].error.message
    assert reply["3"].error.code == grpc.StatusCode.FAILED_PRECONDITION.value[0]
    client.delete_collection(name)


def test_a_collection_that_is_not_there_or_not_of_cosine(stream, client, request):
    with pytest.raises(grpc.RpcError) as caught:
        stream.send(stream.options(collection={"collection": "nothing"}))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    name = f"dot-{abs(hash(request.node.nodeid)):x}"
    client.create_collection(name, dimensions=3, metric="dot")
    with pytest.raises(grpc.RpcError, match="make one with COSINE"):
        stream.send(stream.options(collection={"collection": name}))
    client.delete_collection(name)


@pytest.mark.slow
def test_verdicts_are_counted(stream, start_server):
    fresh = start_server()
    vectors = [[1, 0], [1, 0], [1, 0.1], [0, 0]]
    stream.send(stream.options(threshold=0.9), stream.items("1", vectors=vectors), to=fresh)
    shown = generate_latest(fresh.server.metrics.registry).decode()
    for verdict in ("unique", "exact", "near", "failed"):
        assert f'nearfield_deduplicated_items_total{{verdict="{verdict}"}} 1.0' in shown
