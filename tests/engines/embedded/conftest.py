"""Engines on real files, with a clock that stands until it is set."""

import zlib
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pytest

from nearfield_server.engines.embedded.engine import EmbeddedEngine
from nearfield_server.engines.embedded.settings import EmbeddedSettings
from nearfield_server.types import (
    CollectionSpec,
    Durability,
    Hnsw,
    KeywordOptions,
    Record,
    Selection,
    SimilarityMetric,
    SparseRow,
    UpsertMode,
    VectorQuantization,
)

WIDTH = 8


def make_spec(name="docs", **changes):
    values = {
        "name": name,
        "model": "",
        "model_version": "",
        "dimensions": WIDTH,
        "metric": SimilarityMetric.COSINE,
        "keyword": KeywordOptions(),
        "quantization": VectorQuantization.NONE,
        "hnsw": Hnsw(),
        "payload_indexes": {},
        "durability": Durability.PROCESS,
        "ttl_seconds": None,
        "created_at": datetime(2026, 1, 2, tzinfo=UTC),
    }
    return CollectionSpec(**{**values, **changes})


def make_vector(seed, width=WIDTH):
    vector = np.random.default_rng(seed).standard_normal(width).astype(np.float32)
    return vector / np.linalg.norm(vector)


def make_record(id_, seed=None, **values):
    seed = zlib.crc32(repr(id_).encode()) if seed is None else seed
    return Record(id=id_, vector=values.pop("vector", make_vector(seed)), **values)


def make_sparse(words):
    ids = sorted(words)
    return SparseRow(np.array(ids, np.uint32), np.array([words[one] for one in ids], np.float32))


async def put(store, *records, tenant="", mode=UpsertMode.UPSERT, position=None):
    return await store.upsert(tenant, records, mode, wait=True, position=position)


@pytest.fixture
def kit():
    """Makers of specs, records and vectors, and `put`."""
    return SimpleNamespace(
        spec=make_spec,
        vector=make_vector,
        record=make_record,
        sparse=make_sparse,
        put=put,
        width=WIDTH,
        everything=Selection(vector=True),
    )


@pytest.fixture
def clock():
    return SimpleNamespace(now=1_000_000.0)


@pytest.fixture
def running(tmp_path, clock):
    """An engine on `tmp_path` for the length of a block."""

    @asynccontextmanager
    async def run(folder=tmp_path / "collections", **settings):
        engine = EmbeddedEngine(folder, EmbeddedSettings(**settings), lambda: clock.now)
        await engine.start()
        try:
            yield engine
        finally:
            await engine.close()

    return run
