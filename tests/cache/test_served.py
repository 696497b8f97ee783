"""The cache over gRPC: a live server with the built-in encoder."""

import asyncio
import re
import shutil
import urllib.request
from types import SimpleNamespace

import grpc
import numpy as np
import onnx
import pytest

from nearfield.v1 import embed_pb2, embed_pb2_grpc, model_pb2, model_pb2_grpc, types_pb2
from nearfield_server.core.cache import EmbeddingCache
from nearfield_server.core.embedder import Embedder
from nearfield_server.core.pipeline import Pipeline
from nearfield_server.encoder.builtin import builtin_folder
from nearfield_server.types import DType, EmbedCall, EmbedOptions

pytestmark = pytest.mark.slow
MEBIBYTE = 1 << 20
TEXTS = ["a dog barks", "a hound bays", "", "the kettle boils"]


@pytest.fixture
def cached(start_server):
    """A server with an empty cache, and a stub for it."""
    server = start_server(cache={"max_bytes": MEBIBYTE})
    with grpc.insecure_channel(server.target) as channel:
        yield SimpleNamespace(server=server, embed=embed_pb2_grpc.EmbedServiceStub(channel))


def embed(cached, *texts, **fields):
    inputs = [one if isinstance(one, types_pb2.Input) else types_pb2.Input(text=one) for one in texts]
    return cached.embed.Embed(embed_pb2.EmbedRequest(inputs=inputs, **fields), timeout=60)


def rows(reply):
    return np.frombuffer(reply.embeddings.data, "<f4").reshape(reply.embeddings.rows, -1)


def metrics(cached):
    with urllib.request.urlopen(f"http://{cached.server.http}/metrics", timeout=10) as reply:
        lines = reply.read().decode().splitlines()
    found = dict(line.rsplit(" ", 1) for line in lines if line.startswith("nearfield_cache_"))
    return {name.removeprefix("nearfield_cache_").removesuffix("_total"): float(value) for name, value in found.items()}


def test_the_second_time_nothing_runs_and_nothing_differs(cached):
    first = embed(cached, *TEXTS)
    second = embed(cached, *TEXTS)
    assert (first.cached_rows, second.cached_rows) == (0, len(TEXTS))
    assert second.embeddings.data == first.embeddings.data
    assert list(second.token_counts) == list(first.token_counts)
    assert [one.index for one in second.warnings] == [one.index for one in first.warnings] == [2]
    shown = metrics(cached)
    assert (shown["hits"], shown["misses"], shown["entries"]) == (len(TEXTS), len(TEXTS), len(TEXTS))
    assert shown["bytes"] == len(TEXTS) * (384 * 4 + 512)


def test_one_entry_serves_every_form(cached):
    embed(cached, *TEXTS[:1])
    plain = rows(embed(cached, *TEXTS[:1]))
    raw = embed(cached, *TEXTS[:1], normalize=False, dimensions=64)
    short = embed(cached, *TEXTS[:1], dimensions=64)
    small = embed(cached, *TEXTS[:1], output_dtype=types_pb2.DTYPE_INT8)
    assert [one.cached_rows for one in (raw, short, small)] == [1, 1, 1]
    assert np.allclose(rows(short), plain[:, :64] / np.linalg.norm(plain[:, :64]), atol=1e-6)
    assert np.allclose(rows(raw) / np.linalg.norm(rows(raw)), rows(short), atol=1e-6)


def test_what_the_model_sees_is_what_counts(cached):
    embed(cached, "A dog  barks")
    ids = types_pb2.Input(token_ids=types_pb2.TokenIds(ids=[101, 1037, 3899, 11286, 2015, 102]))
    assert embed(cached, "a dog barks").cached_rows == 1  # this vocabulary knows no capitals
    assert embed(cached, ids).cached_rows == 1
    assert embed(cached, "a dog barked").cached_rows == 0


def test_part_of_a_call_and_duplicates(cached):
    embed(cached, TEXTS[0])
    mixed = embed(cached, TEXTS[1], TEXTS[0], TEXTS[1], TEXTS[3], TEXTS[0])
    assert mixed.cached_rows == 2
    alone = [rows(embed(cached, text))[0] for text in (TEXTS[1], TEXTS[0], TEXTS[1], TEXTS[3], TEXTS[0])]
    assert np.array_equal(rows(mixed), alone)
    assert metrics(cached)["entries"] == 3


def test_chunks_are_cached_by_what_they_hold(cached):
    chunking = types_pb2.Chunking(max_tokens=8)
    text = "One short sentence here. Another short sentence there."
    first = embed(cached, text, chunking=chunking)
    assert embed(cached, text, chunking=chunking).cached_rows == len(first.chunks) == 2
    assert embed(cached, "Another short sentence there.").cached_rows == 1


def test_the_bound_holds_under_many_texts(cached):
    for first in range(0, 1500, 250):
        embed(cached, *(f"number {one}" for one in range(first, first + 250)))
    shown = metrics(cached)
    assert shown["bytes"] <= MEBIBYTE
    assert shown["entries"] == MEBIBYTE // (384 * 4 + 512)
    assert shown["evictions"] == 1500 - shown["entries"]
    assert embed(cached, "number 1499").cached_rows == 1
    assert embed(cached, "number 0").cached_rows == 0


def test_streams_use_it_too(cached):
    embed(cached, TEXTS[0])
    message = embed_pb2.EmbedStreamRequest(id="a", inputs=[types_pb2.Input(text=TEXTS[0])])
    (reply,) = cached.embed.EmbedStream(iter([message]), timeout=60)
    assert reply.result.cached_rows == 1


def test_without_the_setting_nothing_is_kept(server):
    with grpc.insecure_channel(server.target) as channel:
        plain = SimpleNamespace(server=server, embed=embed_pb2_grpc.EmbedServiceStub(channel))
        embed(plain, "said twice")
        assert embed(plain, "said twice").cached_rows == 0
        assert set(metrics(plain).values()) == {0}


def test_tenants_are_apart(server):
    """The identity that a verified certificate gives, put in the way of the server's own models."""
    cache = EmbeddingCache(MEBIBYTE)
    embedder = Embedder(server.server.registry, Pipeline(server.server._threads, cache))

    def cached_rows(tenant):
        call = EmbedCall(("a secret sentence",), EmbedOptions(dtype=DType.FLOAT32), tenant=tenant)
        return asyncio.run_coroutine_threadsafe(embedder.embed(call), server.loop).result(30).cached

    assert [cached_rows(tenant) for tenant in ("one", "two", "", "one", "two", "")] == [0, 0, 0, 1, 1, 1]
    assert cache.statistics().entries == 3


def test_two_models_of_one_file_are_apart(start_server):
    """Folders may hold the same graph and differ in what is made of its output."""
    server = start_server(cache={"max_bytes": MEBIBYTE}, models={"one": "builtin", "two": "builtin"})
    with grpc.insecure_channel(server.target) as channel:
        both = SimpleNamespace(server=server, embed=embed_pb2_grpc.EmbedServiceStub(channel))
        assert [embed(both, "x", model=name).cached_rows for name in ("one", "two", "one", "two")] == [0, 0, 1, 1]


def test_an_unloaded_model_leaves_nothing(start_server, tmp_path):
    shutil.copytree(builtin_folder(), tmp_path / "copy")
    graph = tmp_path / "copy" / "onnx" / "model.onnx"
    model = onnx.load(graph)
    model.doc_string = "another file"
    onnx.save(model, graph)
    manifest = tmp_path / "copy" / "nearfield.yaml"
    manifest.write_text(re.sub(r"(?m)^sha256:\n(  .*\n)+", "", manifest.read_text("utf-8")), "utf-8")
    server = start_server(cache={"max_bytes": MEBIBYTE}, models={"stays": "builtin", "goes": str(tmp_path / "copy")})
    with grpc.insecure_channel(server.target) as channel:
        both = SimpleNamespace(server=server, embed=embed_pb2_grpc.EmbedServiceStub(channel))
        manage = model_pb2_grpc.ModelServiceStub(channel)
        embed(both, *TEXTS, model="goes")
        embed(both, TEXTS[0], model="stays")
        assert metrics(both)["entries"] == len(TEXTS) + 1
        manage.UnloadModel(model_pb2.UnloadModelRequest(name="goes"), timeout=60)
        assert metrics(both)["entries"] == 1
        assert embed(both, TEXTS[0], model="stays").cached_rows == 1
