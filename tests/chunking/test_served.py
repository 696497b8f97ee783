"""Chunks over gRPC: a live server with the built-in encoder."""

import gzip
import json
from pathlib import Path

import grpc
import numpy as np
import pytest

from nearfield.v1 import embed_pb2, embed_pb2_grpc, types_pb2
from nearfield_server.encoder.sentences import sentence_borders

PASSAGE = (Path(__file__).parent / "passage.txt").read_text("utf-8")
MEAN = types_pb2.CHUNK_POOLING_MEAN


@pytest.fixture(scope="module")
def stub(server):
    with grpc.insecure_channel(server.target) as channel:
        yield embed_pb2_grpc.EmbedServiceStub(channel)


def embed(stub, *texts, chunking=None, **fields):
    inputs = [one if isinstance(one, types_pb2.Input) else types_pb2.Input(text=one) for one in texts]
    request = embed_pb2.EmbedRequest(inputs=inputs, **fields)
    if chunking is not None:
        request.chunking.CopyFrom(types_pb2.Chunking(**chunking))
    return stub.Embed(request, timeout=60)


def rows(reply):
    return np.frombuffer(reply.embeddings.data, "<f4").reshape(reply.embeddings.rows, -1)


@pytest.mark.slow
def test_a_row_for_each_chunk_is_that_of_its_text(stub):
    reply = embed(stub, "short", PASSAGE, chunking={"max_tokens": 64, "overlap_tokens": 16})
    assert len(reply.chunks) == reply.embeddings.rows == len(reply.token_counts) == len(reply.truncated)
    assert [one.input_index for one in reply.chunks] == [0] + [1] * (len(reply.chunks) - 1)
    assert [one.token_count for one in reply.chunks] == list(reply.token_counts)
    assert max(reply.token_counts) <= 64
    assert not any(reply.truncated)
    texts = ["short", *(PASSAGE[one.start : one.end] for one in reply.chunks[1:])]
    assert np.abs(rows(reply) - rows(embed(stub, *texts))).max() < 1e-5


@pytest.mark.slow
def test_the_mean_is_weighted_by_tokens(stub):
    raw = rows(embed(stub, PASSAGE, chunking={"max_tokens": 64}, normalize=False))
    pooled = embed(stub, PASSAGE, "short", chunking={"max_tokens": 64, "pooling": MEAN}, normalize=False)
    counts = [one.token_count for one in pooled.chunks if one.input_index == 0]
    assert pooled.embeddings.rows == 2
    assert list(pooled.token_counts) == [sum(counts), pooled.chunks[-1].token_count]
    assert np.abs(rows(pooled)[0] - np.average(raw, axis=0, weights=counts)).max() < 1e-5
    unit = rows(embed(stub, PASSAGE, chunking={"max_tokens": 64, "pooling": MEAN}))
    assert np.linalg.norm(unit) == pytest.approx(1, abs=1e-5)


def test_a_text_that_fits_is_as_without_chunking(stub):
    plain, divided = (embed(stub, "a dog barks", "", chunking=one) for one in (None, {}))
    assert divided.embeddings.data == plain.embeddings.data
    assert [(one.start, one.end) for one in divided.chunks] == [(0, 11), (0, 0)]
    assert [one.index for one in divided.warnings] == [1]


def test_a_warning_names_the_input_and_not_the_row(stub):
    reply = embed(stub, PASSAGE, " ", chunking={"max_tokens": 32})
    assert [one.index for one in reply.warnings] == [1]


def test_token_ids_stay_whole(stub):
    ids = types_pb2.Input(token_ids=types_pb2.TokenIds(ids=[101, 2028, 102]))
    reply = embed(stub, ids, PASSAGE, chunking={"max_tokens": 64})
    assert (reply.chunks[0].input_index, reply.chunks[0].start, reply.chunks[0].end) == (0, 0, 0)
    assert reply.token_counts[0] == 3


@pytest.mark.parametrize(
    ("chunking", "field"),
    [
        ({"max_tokens": 257}, "chunking.max_tokens"),
        ({"max_tokens": 2}, "chunking.max_tokens"),
        ({"max_tokens": 1}, "chunking.max_tokens"),
        ({"max_tokens": 64, "overlap_tokens": 33}, "chunking.overlap_tokens"),
        ({"overlap_tokens": 2**32 - 1}, "chunking.overlap_tokens"),
        ({"pooling": 99}, "chunking.pooling"),
    ],
)
def test_wrong_values_are_named(stub, chunking, field):
    with pytest.raises(grpc.RpcError) as caught:
        embed(stub, "text", chunking=chunking)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert field in caught.value.details()


def test_ids_over_the_limit_are_refused_rather_than_cut(stub):
    ids = types_pb2.Input(token_ids=types_pb2.TokenIds(ids=[2028] * 300))
    with pytest.raises(grpc.RpcError) as caught:
        embed(stub, "text", ids, chunking={})
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "inputs[1].token_ids" in caught.value.details()


@pytest.mark.slow
def test_more_chunks_than_a_reply_holds_are_refused_before_they_run(stub):
    with pytest.raises(grpc.RpcError) as caught:
        embed(stub, "word " * 50_000, chunking={"max_tokens": 3})
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "the reply would have" in caught.value.details()


@pytest.mark.slow
def test_more_tokens_than_a_call_may_have_are_not_all_read(start_server):
    server = start_server(batching={"max_queue_tokens": 20_000})
    with grpc.insecure_channel(server.target) as channel:
        own = embed_pb2_grpc.EmbedServiceStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            embed(own, *["word " * 5_000] * 500, chunking={"pooling": MEAN})
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "more than 20000 tokens in one call" in caught.value.details()
        assert embed(own, "short", chunking={}).embeddings.rows == 1


@pytest.mark.slow
def test_a_stream_divides_too(stub):
    options = embed_pb2.EmbedStreamOptions(chunking=types_pb2.Chunking(max_tokens=64))
    message = embed_pb2.EmbedStreamRequest(id="a", inputs=[types_pb2.Input(text=PASSAGE)], options=options)
    (reply,) = stub.EmbedStream(iter([message]), timeout=60)
    alone = embed(stub, PASSAGE, chunking={"max_tokens": 64})
    assert list(reply.result.chunks) == list(alone.chunks)
    assert np.abs(rows(reply.result) - rows(alone)).max() < 1e-5


@pytest.mark.slow
def test_alice(stub, shared_data):
    with gzip.open(shared_data / "long" / "alice.jsonl.gz", "rt", encoding="utf-8") as lines:
        text = "\n\n".join(json.loads(line)["text"] for line in lines)[:60_000]
    reply = embed(stub, text, chunking={"max_tokens": 256, "overlap_tokens": 32})
    covered = np.zeros(len(text), bool)
    for one in reply.chunks:
        covered[one.start : one.end] = True
    assert all(seen or char.isspace() for seen, char in zip(covered, text, strict=True))
    ends = {*sentence_borders(text), len(text.rstrip())}
    assert sum(one.end in ends for one in reply.chunks) > 0.9 * len(reply.chunks)
    assert max(reply.token_counts) <= 256
