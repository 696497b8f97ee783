"""What callers send stays between them and the model: not in logs, metrics or messages of errors."""

import io
import logging
import urllib.request

import pytest

from nearfield.v1 import embed_pb2, model_pb2, types_pb2
from nearfield_server.telemetry import logs

CANARY = "cAnAry7b1e55ed"
LOGGERS = ("nearfield", "uvicorn", "grpc", "asyncio")


@pytest.fixture(params=["human", "json"])
def logged(request):
    """Everything that is logged, from debug up, in one of the formats."""
    before = {name: (one.handlers[:], one.level, one.propagate) for name in LOGGERS if (one := logging.getLogger(name))}
    stream = io.StringIO()
    logs.configure(request.param, "debug", stream)
    yield stream
    for name, (handlers, level, propagate) in before.items():
        logger = logging.getLogger(name)
        logger.handlers[:], logger.propagate = handlers, propagate
        logger.setLevel(level)


def broken():
    msg = f"could not embed {CANARY}"
    raise ValueError(msg)


@pytest.fixture(scope="module")
def target(start_server, connect, gate):
    """The built-in model, and one whose failures quote what they were given."""
    running = start_server(gate(poison=broken).load)
    return connect(running), running


def every_way(wire, api):
    """Send the canary in every field; give what came back."""
    embed, text, long = "EmbedService/Embed", f"{CANARY} text", f"{CANARY} " * 400
    yield wire.embed(text)
    yield wire.embed(f"{CANARY} poison")
    yield wire.embed(long, truncate=types_pb2.TRUNCATE_NONE)
    yield wire.embed(CANARY * 30_000)
    yield wire.embed(text, [99_999])
    yield wire.embed(text, dimensions=385)
    yield wire.embed(text, output_dtype=99)
    for name in (CANARY, f"{CANARY}\r\nforged", CANARY * 30, f"../{CANARY}"):
        yield wire.embed("a", model=name)
        yield wire.embed("a", prompt_name=name)
        yield wire.call("ModelService/GetModel", model_pb2.GetModelRequest(name=name))
        yield wire.call("EmbedService/Tokenize", embed_pb2.TokenizeRequest(texts=[text], prompt_name=name))
        yield wire.stream_all(api.message(text, options=embed_pb2.EmbedStreamOptions(prompt_name=name)))[1]
    for method in (embed, "EmbedService/Similarity", f"EmbedService/{CANARY}", f"{CANARY}/Embed"):
        yield wire.call(method, CANARY.encode())
        yield wire.call(method, api.request(text).SerializeToString() + b"\xff")
    yield wire.call(embed, api.request(text), metadata=[("x-request-id", f"<{CANARY}>"), ("authorization", CANARY)])
    yield wire.call("EmbedService/Similarity", embed_pb2.SimilarityRequest(sources=api.inputs(text, f"{text} poison")))
    replies, _ = wire.stream_all(
        api.message(text, id=CANARY), api.message(f"{CANARY} poison", id=CANARY), api.message(text, id=CANARY * 90)
    )
    yield from (api.failure(reply.error) for reply in replies if reply.HasField("error"))


def test_nothing_of_an_input_is_told(target, api, logged):
    wire, running = target
    failures = [one for one in every_way(wire, api) if isinstance(one, api.Failure)]
    assert len(failures) > 25
    for one in failures:
        assert CANARY not in one.message
        assert CANARY not in repr((one.reason, one.metadata, one.fields))
    with urllib.request.urlopen(f"http://{running.http}/metrics", timeout=10) as reply:
        assert CANARY.lower() not in reply.read().decode().lower()
    lines = logged.getvalue()
    assert lines.count("call") >= len(failures) / 2  # debug lines are there
    assert "ValueError" in lines
    assert CANARY.lower() not in lines.lower()


def test_the_cause_of_an_internal_error_is_logged_without_its_text(target, logged):
    wire, _ = target
    failure = wire.embed("poison")
    assert failure.code == "INTERNAL"
    lines = logged.getvalue()
    assert "ValueError" in lines
    assert "could not embed" not in lines
