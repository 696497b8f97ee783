"""Too much at once, too late, a model that fails, a server that stops: each caller is told, and nobody else is hurt."""

import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest

from nearfield.v1 import model_pb2


@pytest.fixture
def calls():
    with ThreadPoolExecutor(16) as threads:
        yield threads


@pytest.fixture
def stalled(start_server, connect, gate, api, calls):
    """A server of one worker, which stands still: `stalled(**settings)` gives the wire, the gate and the server."""
    models = []

    def start(**settings):
        model = gate()
        models.append(model)
        batching = {"workers": 1, "token_budget": 16} | settings.pop("batching", {})
        running = start_server(model.load, http="", batching=batching, **settings)
        wire = connect(running)
        calls.submit(wire.embed, "stop")
        assert model.reached.wait(10)
        return wire, model, running

    yield start
    for model in models:
        model.open()


def waiting(running):
    (ready,) = [one.ready for one in running.server.registry.all()]
    return sum(ready.runner.statistics().items.values())


def wait_until(condition):
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.001)


def test_a_full_queue_refuses_with_a_time_to_come_back(stalled, calls, api):
    wire, model, running = stalled(limits={"max_inputs": 4}, batching={"max_queue_items": 8})
    accepted = [calls.submit(wire.embed, "a", "b", "c", "d") for _ in range(2)]
    wait_until(lambda: waiting(running) == 8)
    seconds = []
    for _ in range(20):
        started = time.monotonic()
        failure = wire.embed("one more")
        seconds.append(time.monotonic() - started)
    assert min(seconds) < 0.02  # the round trip included
    assert (failure.code, failure.reason) == ("RESOURCE_EXHAUSTED", "OVERLOADED")
    assert failure.metadata["limited_by"] == "queue_items"
    assert 0.05 <= failure.retry_seconds <= 30
    assert int(failure.trailers["grpc-retry-pushback-ms"]) == int(failure.retry_seconds * 1000)
    model.open()
    assert all(api.rows(call.result()).shape == (4, 384) for call in accepted)
    assert api.rows(wire.embed("one more")).shape == (1, 384)


def test_a_stream_waits_where_a_call_is_refused(stalled, calls, api):
    wire, model, running = stalled(limits={"max_inputs": 4}, batching={"max_queue_items": 4})
    full = calls.submit(wire.embed, "a", "b", "c", "d")
    wait_until(lambda: waiting(running) == 4)
    stream = calls.submit(wire.stream_all, api.message("x", "y", id="1"))
    wait_until(lambda: running.server._interceptor.active == 3)
    assert wire.embed("refused").code == "RESOURCE_EXHAUSTED"
    model.open()
    replies, ended = stream.result(30)
    assert (len(replies), ended) == (1, None)
    assert api.rows(full.result()).shape == (4, 384)


def test_a_call_that_never_fits_is_not_asked_to_come_back(stalled):
    wire, *_ = stalled(batching={"max_queue_tokens": 20})
    failure = wire.embed("one two three four five six seven eight", "one two three four five six seven eight nine ten")
    assert (failure.code, failure.reason, failure.retry_seconds) == ("RESOURCE_EXHAUSTED", "TOO_LARGE", None)


def test_what_waits_past_its_deadline_is_never_run(stalled, api):
    wire, model, running = stalled()
    failure = wire.call("EmbedService/Embed", api.request("late"), timeout=0.1)
    assert failure.code == "DEADLINE_EXCEEDED"
    wait_until(lambda: not waiting(running))
    model.open()
    assert api.rows(wire.embed("after")).shape == (1, 384)
    late = 2397
    assert not any(late in row for batch in model.backend.batches for row in batch)


@pytest.mark.parametrize("kind", ["calls", "streams"])
def test_too_many_calls_at_once(stalled, connect, kind, api):
    wire, model, running = stalled(limits={"max_concurrent_calls": 1, "max_concurrent_streams": 1})
    if kind == "calls":
        failure = wire.embed("a")
    else:
        first = wire.stream([api.message("stop", id="1")])
        wait_until(lambda: running.server._interceptor.active == 2)
        _, failure = wire.stream_all(api.message("a"))
        first.cancel()
    assert (failure.code, failure.metadata["limited_by"]) == ("RESOURCE_EXHAUSTED", kind)
    assert failure.retry_seconds == 0.25
    check = connect(running).channel.unary_unary("/grpc.health.v1.Health/Check")
    assert check(b"", timeout=10) == b"\x08\x01"
    model.open()


def test_an_input_that_breaks_the_model_fails_alone(start_server, connect, gate, calls, api):
    def fail():
        msg = "the text was: secret"
        raise ValueError(msg)

    model = gate(poison=fail)
    wire = connect(start_server(model.load, http=""))
    texts = ["fine", "poison", "good", "also fine"] * 4
    found = list(calls.map(wire.embed, texts))
    for text, reply in zip(texts, found, strict=True):
        if text != "poison":
            assert api.rows(reply).shape == (1, 384)
            continue
        assert (reply.code, reply.reason) == ("INTERNAL", "BACKEND_FAILURE")
        assert reply.retry_seconds is None
        assert "secret" not in repr(reply)
        assert "poison" not in repr(reply)


@pytest.mark.parametrize(("value", "what"), [(np.nan, "not finite"), (np.inf, "not finite"), (0.0, "no length")])
def test_a_vector_that_is_none_is_never_sent(start_server, connect, gate, api, value, what):
    model = gate()
    wire = connect(start_server(model.load, http=""))
    original = model.backend.vector
    model.backend.vector = lambda ids: np.full(384, value, np.float32) if 2919 in ids else original(ids)  # "bad"
    failure = wire.embed("fine", "bad")
    assert (failure.code, failure.reason, failure.metadata) == ("INTERNAL", "BACKEND_FAILURE", {"index": "1"})
    assert what in failure.message
    assert api.rows(wire.embed("fine")).shape == (1, 384)


@pytest.mark.slow
def test_a_model_that_failed_to_load_is_named_and_the_others_serve(start_server, connect, tmp_path, api):
    models = {"good": "builtin", "absent": str(tmp_path / "nowhere")}
    wire = connect(start_server(http="", models=models))
    failure = wire.embed("a", model="absent")
    assert (failure.code, failure.reason, failure.retry_seconds) == ("UNAVAILABLE", "MODEL_NOT_READY", 30.0)
    assert str(tmp_path) not in failure.message
    assert api.rows(wire.embed("a")).shape == (1, 384)
    listed = wire.call("ModelService/ListModels", b"").models
    assert [(one.name, one.is_default) for one in listed] == [("good", True), ("absent", False)]
    assert "no such folder" in listed[1].state_message


def test_a_draining_server_answers_what_it_has_and_refuses_the_rest(stalled, calls, api):
    wire, model, running = stalled()
    accepted = calls.submit(wire.embed, "accepted")
    wait_until(lambda: waiting(running) == 1)
    stream = wire.stream([api.message("streamed", id="1")])
    watch = wire.channel.unary_stream("/nearfield.v1.ModelService/WatchModels")(b"", timeout=30)
    next(watch)
    wait_until(lambda: waiting(running) == 2)
    # Asked for before the end, which may come as an error: the server can drain before it sees the client's half-close.
    answer = calls.submit(next, stream)
    running.loop.call_soon_threadsafe(running.server.registry.drain)
    with pytest.raises(grpc.RpcError) as caught:
        list(watch)
    assert caught.value.code().name == "UNAVAILABLE"
    failure = wire.embed("a")
    assert (failure.code, failure.reason, failure.retry_seconds) == ("UNAVAILABLE", "DRAINING", 1.0)
    _, ended = wire.stream_all(api.message("a"))
    assert ended.reason == "DRAINING"
    (listed,) = wire.call("ModelService/ListModels", b"").models
    assert listed.state == model_pb2.MODEL_STATE_UNLOADING
    model.open()
    assert api.rows(accepted.result()).shape == (1, 384)
    assert answer.result().id == "1"


def test_a_call_that_is_cancelled_while_it_runs_harms_nobody(stalled, calls, api):
    wire, model, running = stalled()
    stub = wire.channel.unary_unary("/nearfield.v1.EmbedService/Embed")
    cancelled = stub.future(api.request("gone").SerializeToString())
    accepted = calls.submit(wire.embed, "stays")
    wait_until(lambda: waiting(running) == 2)
    cancelled.cancel()
    wait_until(lambda: waiting(running) == 1)
    model.open()
    assert api.rows(accepted.result()).shape == (1, 384)
    wait_until(lambda: running.server._interceptor.active == 0)
    gone = 2908
    assert not any(gone in row for batch in model.backend.batches for row in batch)


def test_a_connection_runs_only_so_many_streams(stalled, connect, api):
    wire, model, running = stalled(limits={"max_streams_per_connection": 2})
    call = wire.stream([api.message("waits", id="1")])
    wait_until(lambda: running.server._interceptor.active == 2)
    message = api.request("third")
    assert wire.call("EmbedService/Embed", message, timeout=0.1).code == "DEADLINE_EXCEEDED"
    model.open()
    assert [reply.id for reply in call] == ["1"]
    assert api.rows(wire.call("EmbedService/Embed", message)).shape == (1, 384)
