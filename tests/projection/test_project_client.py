"""Maps by the Python clients and the command line."""

import json
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import nearfield
from nearfield_server.cli import main

TEXTS = ["a dog barks", "a hound bays", "the cat purrs", "stocks fell", "markets dropped", "shares slid"]


@pytest.mark.slow
def test_texts_vectors_and_collections_become_maps(maps, make_groups):
    told = []
    made = maps.project(TEXTS, method="pca", ids=list(range(6)), batch_size=2, on_progress=told.append)
    assert made.coordinates.shape == (6, 2)
    assert made.coordinates.dtype == np.float32
    assert made.model == "all-MiniLM-L6-v2"
    assert made.ids == (0, 1, 2, 3, 4, 5)
    assert {one.stage for one in told} <= {"read", "queued", "start", "order", "fit", "quality"}
    assert told[-1].items == 6
    rows = maps.embed(TEXTS, input_type="clustering")
    same = maps.project(rows, method="pca")
    np.testing.assert_allclose(same.coordinates, made.coordinates, atol=2e-2)
    assert same.model == ""
    collection = maps.create_collection("mapped")
    collection.upsert([{"id": at, "text": text, "animal": at < 3} for at, text in enumerate(TEXTS)])
    stored = maps.project(collection="mapped", method="pca", filter="animal = true", keep_seconds=60)
    assert sorted(stored.ids) == [0, 1, 2]
    assert stored.collection == "mapped"
    placed = maps.place(stored.id, collection="mapped")
    assert placed.coordinates.shape == (6, 2)


@pytest.mark.slow
def test_kept_maps_are_managed(maps, make_groups):
    rows, _ = make_groups(50)
    made = maps.project(rows, method="pca", components=3, keep_seconds=60)
    again = maps.projection(made.id)
    np.testing.assert_array_equal(again.coordinates, made.coordinates)
    assert maps.projections()[0].id == made.id
    placed = maps.place(made.id, rows[:5])
    np.testing.assert_allclose(placed.coordinates, made.coordinates[:5], atol=1e-5)
    maps.delete_projection(made.id)
    with pytest.raises(nearfield.NotFound):
        maps.projection(made.id)


@pytest.mark.slow
def test_failed_items_are_told(maps, make_groups):
    rows, _ = make_groups(10)
    rows[4] = np.nan
    made = maps.project(list(rows), method="pca", batch_size=3)
    assert list(made.errors) == [4]
    assert isinstance(made.errors[4], nearfield.InvalidArgument)
    assert made.positions.tolist() == [0, 1, 2, 3, 5, 6, 7, 8, 9]


async def test_the_async_client_does_the_same(map_server, make_groups):
    rows, _ = make_groups(30)
    async with nearfield.AsyncClient(map_server.target) as client:
        made = await client.project(rows, method="pca", keep_seconds=60)
        assert made.coordinates.shape == (30, 2)
        np.testing.assert_array_equal((await client.projection(made.id)).coordinates, made.coordinates)
        placed = await client.place(made.id, rows[:3])
        np.testing.assert_allclose(placed.coordinates, made.coordinates[:3], atol=1e-5)
        assert made.id in {one.id for one in await client.projections()}
        await client.delete_projection(made.id)
        with pytest.raises(nearfield.NotFound):
            await client.projection(made.id)
        with pytest.raises(nearfield.InvalidArgument, match=r"items\[1\]"):
            await client.project(["a", object()], method="pca")


def broken():
    yield "a dog"
    raise LookupError("gone")


def test_what_is_wrong_is_told_before_or_instead_of_a_map(maps):
    with pytest.raises(LookupError, match="gone"):
        maps.project(broken(), method="pca")
    with pytest.raises(TypeError, match="items or a collection"):
        maps.project(["a"], collection="c")
    with pytest.raises(TypeError, match="give items"):
        maps.project()
    with pytest.raises(ValueError, match="2 ids"):
        maps.project(["a", "b", "c"], ids=[1, 2])
    with pytest.raises(ValueError, match="known: 'pca'"):
        maps.project(["a"], method="som")
    with pytest.raises(TypeError, match="unknown option"):
        maps.project(["a"], colour="red")


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["npy", "jsonl", "parquet"])
def test_the_command_writes_a_map(map_server, tmp_path, suffix):
    source, out = tmp_path / "in.jsonl", tmp_path / f"map.{suffix}"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS), "utf-8")
    assert main(["project", str(source), "--out", str(out), "--method", "pca", "--target", map_server.target]) == 0
    if suffix == "npy":
        found = np.load(out)
    elif suffix == "jsonl":
        lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
        assert [one["row"] for one in lines] == list(range(6))
        found = np.array([[one["x"], one["y"]] for one in lines])
    else:
        table = pq.read_table(out)
        found = np.stack([table["x"].to_numpy(), table["y"].to_numpy()], axis=1)
    assert found.shape == (6, 2)
    assert np.abs(found).max() == pytest.approx(1.0)


@pytest.mark.slow
def test_the_command_takes_vectors_and_refuses_what_makes_no_sense(map_server, tmp_path, capsys):
    source, out = tmp_path / "in.jsonl", tmp_path / "map.npy"
    rows = np.eye(5, 4, dtype=float)[:4]
    source.write_text("".join(json.dumps({"v": row.tolist()}) + "\n" for row in rows), "utf-8")
    given = ["project", str(source), "--out", str(out), "--method", "pca", "--target", map_server.target]
    assert main([*given, "--vector-field", "v"]) == 0
    assert np.load(out).shape == (4, 2)
    assert main([*given, "--vector-field", "v"]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert main([*given, "--overwrite", "--collection", "c"]) == 2
    assert main(["project", "--out", str(out), "--overwrite", "--target", map_server.target]) == 2
    assert main(["project", str(source), "--out", str(tmp_path / "map.txt"), "--target", map_server.target]) == 2


@pytest.mark.slow
def test_the_python_of_the_page_runs(map_server):
    page = (Path(__file__).parents[2] / "docs" / "maps.md").read_text("utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    exec(compile(block.replace("localhost:50051", map_server.target), "docs/maps.md", "exec"), {})


@pytest.mark.long
@pytest.mark.parametrize("method", ["pacmap", "umap", "tsne"])
def test_every_method_works_in_a_worker(map_server, make_groups, method):
    rows, of = make_groups(400)
    told = []
    with nearfield.Client(map_server.target, timeout=280) as client:
        made = client.project(rows[:300], method=method, keep_seconds=60, on_progress=told.append)
        placed = client.place(made.id, rows)
        client.delete_projection(made.id)
    assert made.method == method
    assert made.trustworthiness > 0.8
    assert {one.stage for one in told} >= {"fit"}
    np.testing.assert_array_equal(placed.coordinates[:300], made.coordinates)
    centres = np.stack([np.median(made.coordinates[of[:300] == one], axis=0) for one in range(4)])
    nearest = np.linalg.norm(placed.coordinates[300:, None] - centres, axis=2).argmin(axis=1)
    assert np.mean(nearest == of[300:]) > 0.9
