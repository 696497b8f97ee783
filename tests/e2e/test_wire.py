"""Bytes that are no requests, and requests over the limits of the wire."""

import random
import socket

import grpc
import pytest

from nearfield.v1 import embed_pb2, types_pb2

EMBED = "EmbedService/Embed"


def text_of_bytes(data):
    """An EmbedRequest with one text of these bytes."""
    one = b"\x0a" + bytes([len(data)]) + data
    return b"\x12" + bytes([len(one)]) + one


@pytest.mark.parametrize(
    ("method", "field"),
    [("Embed", "inputs"), ("Similarity", "sources"), ("Tokenize", "texts"), ("Detokenize", "sequences")],
)
def test_an_empty_message_lacks_inputs(wire, method, field):
    failure = wire.call(f"EmbedService/{method}", b"")
    assert (failure.code, failure.reason, failure.fields) == ("INVALID_ARGUMENT", "INVALID_INPUT", (field,))


@pytest.mark.parametrize("data", [b"\xed\xa0\x80", b"\xff\xfe", b"a\x80", b"\xc0\x80", b"\xf4\x90\x80\x80"])
def test_texts_that_are_not_utf8(wire, data):
    failure = wire.call(EMBED, text_of_bytes(data))
    assert (failure.code, failure.reason) == ("INVALID_ARGUMENT", "INVALID_INPUT")
    _, ended = wire.stream_all(text_of_bytes(data))
    assert ended.code == "INVALID_ARGUMENT"


def test_a_stream_answers_what_came_before_broken_bytes(wire, api):
    replies, ended = wire.stream_all(api.message("fine", id="1"), b"\x0a\xff")
    assert [reply.id for reply in replies] == ["1"]
    assert ended.code == "INVALID_ARGUMENT"


def test_truncated_messages(wire, api):
    whole = api.request("a text of some length", model="all-MiniLM-L6-v2").SerializeToString()
    for size in range(1, len(whole)):
        reply = wire.call(EMBED, whole[:size])
        assert isinstance(reply, api.Failure)
        assert reply.code in {"INVALID_ARGUMENT", "NOT_FOUND"}, size  # a cut name is another name


def test_random_bytes(wire, api):
    randomness = random.Random(1)
    for _ in range(40):
        data = randomness.randbytes(randomness.randint(1, 60))
        for method in (EMBED, "EmbedService/Similarity", "EmbedService/Tokenize", "ModelService/GetModel"):
            reply = wire.call(method, data)
            if isinstance(reply, api.Failure):
                assert reply.code in {"INVALID_ARGUMENT", "NOT_FOUND"}, data


def test_unknown_fields_are_ignored(wire, api):
    data = api.request("text").SerializeToString() + b"\xc2\x3e\x03abc"
    assert api.rows(wire.call(EMBED, data)).shape == (1, 384)


@pytest.mark.parametrize(
    ("method", "message", "field"),
    [
        (EMBED, embed_pb2.EmbedRequest(input_type=99), "input_type"),
        (EMBED, embed_pb2.EmbedRequest(truncate=99), "truncate"),
        (EMBED, embed_pb2.EmbedRequest(output_dtype=99), "output_dtype"),
        (EMBED, embed_pb2.EmbedRequest(output_dtype=-1), "output_dtype"),
        (EMBED, embed_pb2.EmbedRequest(priority=99), "priority"),
        ("EmbedService/Similarity", embed_pb2.SimilarityRequest(metric=99), "metric"),
        ("EmbedService/Similarity", embed_pb2.SimilarityRequest(source_input_type=99), "source_input_type"),
        ("EmbedService/Similarity", embed_pb2.SimilarityRequest(truncate=99), "truncate"),
        ("EmbedService/Similarity", embed_pb2.SimilarityRequest(priority=99), "priority"),
    ],
)
def test_unknown_enum_values_are_refused_with_the_known_ones(wire, api, method, message, field):
    if method == EMBED:
        message.inputs.extend(api.inputs("a"))
    else:
        message.sources.extend(api.inputs("a"))
    failure = wire.call(method, message)
    assert (failure.code, failure.fields) == ("INVALID_ARGUMENT", (field,))
    assert "known" in failure.message


def test_an_unknown_target_input_type(wire, api):
    both = {"sources": api.inputs("a"), "targets": api.inputs("b")}
    failure = wire.call("EmbedService/Similarity", embed_pb2.SimilarityRequest(target_input_type=99, **both))
    assert failure.fields == ("target_input_type",)


@pytest.mark.parametrize(("dimensions", "width"), [((1 << 32) + 3, 3), ((1 << 32) + 385, None), (1 << 32, None)])
def test_numbers_wrap_to_32_bits_and_are_checked_then(wire, api, dimensions, width):
    varint = b""
    while dimensions > 127:
        varint, dimensions = varint + bytes([dimensions & 127 | 128]), dimensions >> 7
    data = api.request("text").SerializeToString() + b"\x30" + varint + bytes([dimensions])
    reply = wire.call(EMBED, data)
    if width:
        assert api.rows(reply).shape == (1, width)
    else:
        assert (reply.code, reply.fields) == ("INVALID_ARGUMENT", ("dimensions",))


def test_an_input_needs_one_member_and_the_last_one_wins(wire, api):
    failure = wire.call(EMBED, embed_pb2.EmbedRequest(inputs=[*api.inputs("fine"), types_pb2.Input()]))
    assert (failure.code, failure.fields) == ("INVALID_ARGUMENT", ("inputs[1]",))
    ids, text = (one.SerializeToString() for one in api.inputs([101, 102], "some text of six tokens"))
    counts = [
        wire.call(EMBED, b"\x12" + bytes([len(both)]) + both).token_counts[0] for both in (ids + text, text + ids)
    ]
    assert counts[1] == 2 < counts[0]


@pytest.fixture(scope="module")
def small(start_server, connect):
    limits = {"max_request_bytes": 8192, "max_text_bytes": 4096, "max_response_bytes": 65536, "max_inputs": 64}
    return connect(start_server(http="", limits=limits))


def test_a_message_over_the_limit(small):
    failure = small.call(EMBED, bytes(8193))
    assert failure.code == "RESOURCE_EXHAUSTED"
    assert failure.retry_seconds is None


def test_a_compressed_message_is_measured_unpacked(small):
    failure = small.call(EMBED, bytes(1 << 23), compression=grpc.Compression.Gzip)
    assert failure.code == "RESOURCE_EXHAUSTED"


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_compressed_messages_are_read(wire, api, compression):
    assert api.rows(wire.call(EMBED, api.request("text"), compression=compression)).shape == (1, 384)


def test_a_reply_over_the_limit_is_refused_before_the_work(small, api):
    failure = small.embed(*["a"] * 60)
    assert (failure.code, failure.fields) == ("INVALID_ARGUMENT", ("inputs",))
    assert "EmbedStream" in failure.message
    assert api.rows(small.embed(*["a"] * 60, dimensions=32)).shape == (60, 32)
    similarity = embed_pb2.SimilarityRequest(sources=api.inputs(*["a"] * 60))
    assert api.rows(small.call("EmbedService/Similarity", similarity)).shape == (60, 60)


def test_token_lists_over_the_limit_are_refused(small):
    texts = embed_pb2.TokenizeRequest(texts=["!" * 4000, "?" * 4000])
    failure = small.call("EmbedService/Tokenize", texts)
    assert (failure.code, failure.fields) == ("INVALID_ARGUMENT", ("texts",))
    longest = types_pb2.TokenIds(ids=[12108] * 4000)  # telecommunications, in 2 bytes
    failure = small.call("EmbedService/Detokenize", embed_pb2.DetokenizeRequest(sequences=[longest]))
    assert (failure.code, failure.fields) == ("INVALID_ARGUMENT", ("sequences",))


@pytest.mark.parametrize("metadata", [[("x-big", "a" * 20_000)], [(f"x-{number}", "a") for number in range(5_000)]])
def test_too_much_metadata(server, connect, api, metadata):
    failure = connect(server).call(EMBED, api.request("a"), metadata=metadata)
    assert failure.code == "RESOURCE_EXHAUSTED"


@pytest.mark.parametrize("method", ["EmbedService/Nothing", "NoService/Embed", "EmbedService/EmbedStream/x"])
def test_unknown_methods(wire, method):
    assert wire.call(method, b"").code == "UNIMPLEMENTED"


def test_an_unsupported_encoding(server):
    """Spoken by hand: gRPC's client can't say it. The library itself answers, INTERNAL where UNIMPLEMENTED is due."""

    def header(name, value):
        return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value

    def frame(kind, flags, stream, payload):
        return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload

    headers = {
        b":method": b"POST", b":scheme": b"http", b":path": b"/nearfield.v1.EmbedService/Embed",
        b":authority": b"localhost", b"content-type": b"application/grpc", b"te": b"trailers",
        b"grpc-encoding": b"zip9",
    }  # fmt: skip
    block = b"".join(header(name, value) for name, value in headers.items())
    host, _, port = server.target.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        data = frame(0, 1, 1, b"\1\0\0\0\3abc")
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"") + frame(1, 4, 1, block) + data)
        seen = b""
        while b"grpc-status" not in seen:
            seen += (part := connection.recv(65536))
            assert part, seen
    assert b"grpc-status\x0212" in seen or b"grpc-status\x0213" in seen
