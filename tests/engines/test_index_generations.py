"""Generations as files: what is published is whole, what isn't whole is found."""

from __future__ import annotations

import json
import os
import random
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version

import pytest

from nearfield_server.engines.embedded.disk import folder_bytes
from nearfield_server.engines.embedded.index import generations
from nearfield_server.engines.embedded.index.generations import DamagedGeneration
from nearfield_server.types import (
    CollectionSpec,
    Durability,
    FieldType,
    Hnsw,
    SimilarityMetric,
    VectorQuantization,
)

SPEC = CollectionSpec(
    name="c",
    model="",
    model_version="",
    dimensions=4,
    metric=SimilarityMetric.COSINE,
    keyword=None,
    quantization=VectorQuantization.NONE,
    hnsw=Hnsw(),
    payload_indexes={},
    durability=Durability.PROCESS,
    ttl_seconds=None,
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
)
FILES = {"a.dat": b"abc" * 1000, "inner/b.dat": b"", "inner/deep/c.dat": bytes(3 * 2**20) + b"x" + bytes(2**20)}


def publish(folder):
    making = generations.making_folder(folder)
    for name, data in FILES.items():
        path = making / "shard" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (making / "shard" / "empty").mkdir()
    facts = {"spec": generations.fingerprint(SPEC), "sequence": 7, "points": 3, "build_seconds": 0.5}
    generations.publish(making, facts)
    return generations.current(folder, SPEC)


def test_a_published_generation_counts_and_is_copied_whole(tmp_path):
    first = publish(tmp_path)
    second = publish(tmp_path)
    assert (first.folder.name, second.folder.name) == ("gen-1", "gen-2")
    assert (second.sequence, second.points, second.build_seconds) == (7, 3, 0.5)
    copy = tmp_path / "live-1"
    generations.take_copy(second, copy)
    assert {name: (copy / name).read_bytes() for name in FILES} == FILES
    assert (copy / "empty").is_dir()
    assert folder_bytes(copy) < 3 * 2**20  # holes stay holes
    (tmp_path / "making-9").mkdir()
    generations.clean(tmp_path, frozenset({"live-1"}))
    assert sorted(one.name for one in tmp_path.iterdir()) == ["CURRENT", "gen-2", "live-1"]
    generations.forget(tmp_path)
    assert generations.current(tmp_path, SPEC) is None
    assert generations.making_folder(tmp_path).name == "making-3"


def test_any_flipped_bit_or_missing_byte_is_found(tmp_path):
    made = publish(tmp_path)
    chosen = random.Random(3)
    for _ in range(10):
        name = chosen.choice(["a.dat", "inner/deep/c.dat"])
        path = made.folder / "shard" / name
        data = bytearray(FILES[name])
        data[chosen.randrange(len(data))] ^= 1 << chosen.randrange(8)
        path.write_bytes(data)
        with pytest.raises(DamagedGeneration):
            generations.take_copy(made, tmp_path / "copy")
        path.write_bytes(FILES[name])
    os.truncate(path, 10)
    with pytest.raises(DamagedGeneration):
        generations.take_copy(made, tmp_path / "copy")
    path.unlink()
    with pytest.raises(DamagedGeneration):
        generations.take_copy(made, tmp_path / "copy")


@pytest.mark.parametrize(
    "change",
    [
        {"dimensions": 8},
        {"metric": SimilarityMetric.DOT},
        {"quantization": VectorQuantization.INT8},
        {"hnsw": Hnsw(m=8)},
        {"payload_indexes": {"a": FieldType.TEXT}},
    ],
)
def test_a_generation_of_another_spec_does_not_count(tmp_path, change):
    publish(tmp_path)
    assert generations.current(tmp_path, replace(SPEC, **change)) is None
    assert generations.current(tmp_path, replace(SPEC, name="d", ttl_seconds=1.0, durability=Durability.DISK))


@pytest.mark.parametrize("text", [b"", b"gen-", b"../gen-1", b"\xff\xfe", b"gen-2", b"gen-1x"])
def test_a_pointer_that_is_not_whole_counts_nothing(tmp_path, text):
    publish(tmp_path)
    (tmp_path / "CURRENT").write_bytes(text)
    assert generations.current(tmp_path, SPEC) is None


@pytest.mark.parametrize(
    "change", [{"format": 1}, {"edge": "0.8.0"}, {"files": 3}, {"files": {"a": 1}}, {"points": "x"}]
)
def test_a_manifest_of_another_kind_counts_nothing(tmp_path, change):
    made = publish(tmp_path)
    path = made.folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    assert generations.current(tmp_path, SPEC) is None
    path.write_text(path.read_text()[:-3])
    assert generations.current(tmp_path, SPEC) is None


def test_the_files_belong_to_the_pinned_version():
    assert version("qdrant-edge-py") == generations.EDGE_VERSION
