"""EmbedStream: every message gets one reply, and a bad one touches no other."""

import queue
import time

import numpy as np
import pytest

from nearfield.v1 import embed_pb2, types_pb2


def options(**fields):
    return embed_pb2.EmbedStreamOptions(**fields)


class Sender:
    """Messages that are sent when told."""

    def __init__(self):
        self._queue = queue.SimpleQueue()

    def send(self, *messages):
        for message in messages:
            self._queue.put(message)

    def close(self):
        self._queue.put(None)

    def __iter__(self):
        return iter(self._queue.get, None)


def test_replies_carry_ids_and_the_vectors_of_embed(wire, api, golden):
    texts = golden.texts[:40]
    replies, ended = wire.stream_all(*(api.message(text, id=str(index)) for index, text in enumerate(texts)))
    assert ended is None
    rows = {reply.id: api.rows(reply.result)[0] for reply in replies}
    assert len(replies) == len(rows) == 40
    expected = api.rows(wire.embed(*texts))
    assert max(np.abs(rows[str(index)] - expected[index]).max() for index in range(40)) <= 1e-6


def test_each_message_fails_alone(wire, api):
    cases = {
        "none": (embed_pb2.EmbedStreamRequest(), "inputs"),
        "unset": (embed_pb2.EmbedStreamRequest(inputs=[types_pb2.Input()]), "inputs[0]"),
        "ids": (api.message("a", [5, 40_000]), "inputs[1].token_ids.ids[1]"),
        "bytes": (api.message("a", "x" * 300_000), "inputs[1].text"),
        "many": (api.message(*["a"] * 513), "inputs"),
        "tokens": (api.message("word " * 300), "inputs[0].text"),
        "options": (api.message("a", options=options(dimensions=8)), "options"),
    }
    sent = [api.message("first", id="first", options=options(truncate=types_pb2.TRUNCATE_NONE))]
    for name, (message, _) in cases.items():
        message.id = name
        sent += [message, api.message("fine", id=f"after {name}")]
    replies, ended = wire.stream_all(*sent)
    assert ended is None
    assert len(replies) == len(sent)
    found = {reply.id: reply for reply in replies}
    for name, (_, field) in cases.items():
        failure = api.failure(found[name].error)
        assert (failure.code, failure.fields) == ("INVALID_ARGUMENT", (field,)), name
        assert found[f"after {name}"].WhichOneof("outcome") == "result"


def test_ids_may_repeat_and_be_empty_but_not_long(wire, api):
    ids = ["same", "same", "", "", "é" * 256, "é" * 257, "x" * 513]
    replies, _ = wire.stream_all(*(api.message("a", id=one) for one in ids))
    assert sorted(len(reply.id) for reply in replies) == [0, 0, 4, 4, 256, 257, 512]
    failures = [api.failure(reply.error) for reply in replies if reply.HasField("error")]
    assert [(one.code, one.fields) for one in failures] == [("INVALID_ARGUMENT", ("id",))] * 2


def test_options_alone_get_no_reply(wire, api):
    first = embed_pb2.EmbedStreamRequest(id="options", options=options(dimensions=8))
    replies, ended = wire.stream_all(first, api.message("a", id="1"))
    assert ended is None
    assert [(reply.id, reply.result.embeddings.cols) for reply in replies] == [("1", 8)]
    assert wire.stream_all(first) == ([], None)


@pytest.mark.parametrize(
    ("fields", "code", "blamed"),
    [
        ({"dimensions": 385}, "INVALID_ARGUMENT", ("options.dimensions",)),
        ({"dimensions": 0}, "INVALID_ARGUMENT", ("options.dimensions",)),
        ({"output_dtype": 77}, "INVALID_ARGUMENT", ("options.output_dtype",)),
        ({"input_type": 77}, "INVALID_ARGUMENT", ("options.input_type",)),
        ({"truncate": 77}, "INVALID_ARGUMENT", ("options.truncate",)),
        ({"priority": 77}, "INVALID_ARGUMENT", ("options.priority",)),
        ({"prompt_name": "nothing"}, "INVALID_ARGUMENT", ("options.prompt_name",)),
        ({"model": "a\nb"}, "INVALID_ARGUMENT", ("options.model",)),
        ({"normalize": False, "output_dtype": types_pb2.DTYPE_INT8}, "INVALID_ARGUMENT", ("options.output_dtype",)),
        ({"model": "nothing"}, "NOT_FOUND", ()),
    ],
)
def test_wrong_options_end_the_stream(wire, api, fields, code, blamed):
    replies, ended = wire.stream_all(api.message("a", id="1", options=options(**fields)), api.message("b", id="2"))
    assert replies == []
    assert (ended.code, ended.fields) == (code, blamed)


def test_half_close_at_once(wire):
    assert wire.stream_all() == ([], None)


@pytest.mark.slow
def test_order_of_completion_and_order_of_sending(start_server, connect, gate, api):
    for ordered, expected in ((False, ["2", "1"]), (True, ["1", "2"])):
        model = gate()
        wire = connect(start_server(model.load, http="", batching={"workers": 2, "token_budget": 64}))
        sender = Sender()
        sender.send(api.message("stop", id="1", options=options(ordered=ordered)))
        call = wire.stream(sender)
        assert model.reached.wait(10)
        sender.send(api.message("go", id="2"))
        if ordered:
            while len(model.backend.batches) < 2 or model.backend.batches[-1] != [(101, 2175, 102)]:
                time.sleep(0.001)
            model.open()
            replies = [next(call).id, next(call).id]
        else:
            replies = [next(call).id]
            model.open()
            replies.append(next(call).id)
        sender.close()
        assert replies == expected


@pytest.mark.slow
def test_time_that_the_model_takes_is_not_idleness(start_server, connect, gate, api):
    model = gate()
    settings = {"window_inputs": 1, "idle_seconds": 0.2}
    wire = connect(start_server(model.load, http="", stream=settings))
    sender = Sender()
    call = wire.stream(sender)
    sender.send(api.message("stop", id="1"), api.message("go", id="2"), api.message("go", id="3"))
    sender.close()
    assert model.reached.wait(10)
    assert not model._opened.wait(0.6)  # three times as long as the client may stand still
    model.open()
    assert [reply.id for reply in call] == ["1", "2", "3"]
    assert call.code().name == "OK"


@pytest.fixture(scope="module")
def impatient(start_server, connect, gate):
    """A server that waits 0.1 s for a client; its fake model counts what it was given."""
    model = gate()
    settings = {"window_inputs": 8, "idle_seconds": 0.1}
    running = start_server(model.load, http="", stream=settings)
    return lambda **channel: connect(running, **channel), model, running.server


def test_a_client_that_sends_nothing(impatient, api):
    connect, _, _ = impatient
    for first in ([], [api.message("a", id="1")]):
        sender = Sender()
        sender.send(*first)
        call = connect().stream(sender)
        with pytest.raises(Exception, match=r"no message for 0\.1 s") as caught:
            list(call)
        assert caught.value.code().name == "DEADLINE_EXCEEDED"
        sender.close()


@pytest.mark.slow
def test_a_client_that_never_reads(impatient, api):
    """The window bounds what is computed for it: the rest is neither read nor run; then the stream is closed."""
    connect, model, server = impatient
    message = api.message(*["word " * 200] * 32)
    call = connect().stream(message for _ in range(2_000))
    started = time.monotonic()
    in_progress = "nearfield_requests_in_progress", {"rpc": "EmbedStream"}
    seen = [0.0]
    while seen[-1] or not any(seen):
        assert time.monotonic() < started + 20
        time.sleep(0.01)
        seen.append(server.metrics.registry.get_sample_value(*in_progress) or 0.0)
    computed = sum(map(len, model.backend.batches))
    print(f"{computed} inputs computed in {time.monotonic() - started:.2f} s")
    # What the transport buffers is answered too: a fraction of the 98 MB of replies.
    assert computed < 2_000 * 32 / 4
    call.cancel()


def test_many_streams_share_the_window_each(wire, api):
    senders = [Sender() for _ in range(20)]
    calls = [wire.stream(sender) for sender in senders]
    for sender in senders:
        sender.send(*(api.message("a", "b", id=str(index)) for index in range(10)))
        sender.close()
    assert all(sorted(int(reply.id) for reply in call) == list(range(10)) for call in calls)


@pytest.mark.slow
def test_unary_calls_are_not_harmed_by_a_long_stream(wire, api):
    def seconds():
        started = time.monotonic()
        assert not isinstance(wire.embed("a short one"), api.Failure)
        return time.monotonic() - started

    stream = wire.stream(api.message(*["a"] * 4) for _ in range(5_000))
    next(stream)
    busy = sorted(seconds() for _ in range(50))
    stream.cancel()
    print(f"p50 {busy[25] * 1000:.1f} ms, greatest {busy[-1] * 1000:.1f} ms")
    assert busy[25] < 0.25
