"""Collections kept as files, and made from them again."""

import asyncio
import errno
import json
import subprocess
import sys
import textwrap
import threading

import grpc
import numpy as np
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

import nearfield
from nearfield.v1 import search_pb2
from nearfield_server.cli.program import run
from nearfield_server.config.settings import Config
from nearfield_server.core.snapshots import Progress
from nearfield_server.errors import FailedPrecondition, StorageFull

ODD = ["a/b", "../x", "nul\0nul", "🙂", 0, -1, 2**63 - 1, "1", 1]
WHOLE = search_pb2.PointSelection(with_vector=True)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("snapshots")


@pytest.fixture(scope="module")
def here(run_server, open_search, tmp_path_factory, place):
    """A server that keeps snapshots in a folder of its own."""
    settings = {"data_dir": tmp_path_factory.mktemp("data"), "search": {"snapshots": str(place)}}
    with run_server(Config(listen="127.0.0.1:0", http="127.0.0.1:0", **settings)) as server:
        yield open_search(server.target)


def create(search, collection, name=""):
    return list(search("CreateSnapshot", collection=collection, name=name))[-1].snapshot


def restore(search, snapshot, collection=""):
    return list(search("RestoreSnapshot", snapshot=snapshot, collection=collection))[-1].collection


def everything(search, collection, tenants):
    """All points, versions aside: they are the numbers of writes."""
    found = []
    for tenant in tenants:
        for part in search("Scroll", collection=collection, tenant=tenant, select=WHOLE):
            for one in part.points:
                one.ClearField("version")
                found.append((tenant, one.SerializeToString(deterministic=True)))
    return found


def names(search):
    return [one.name for one in search("ListCollections").collections]


@pytest.fixture(scope="module")
def filled(here, wire):
    """A collection of texts with all that points may carry, of two tenants with equal ids."""
    name = here.make(payload_indexes={"n": search_pb2.FIELD_TYPE_INTEGER})
    point = wire.point("full", "a dog barks at the moon", n=3, nested={"a": [1, 2.5, None, {"b": "ü"}]}, flag=True)
    point.payload.timestamps["at"].CopyFrom(Timestamp(seconds=1_700_000_000, nanos=123_456_000))
    point.payload.geo_points["place"].latitude = 52.5
    point.expires_at.FromSeconds(4_000_000_000)
    here.upsert(name, point, *[wire.point(one, f"text {index}", n=index) for index, one in enumerate(ODD)])
    here.upsert(name, *[wire.point(one, "of another", n=-1) for one in ODD], tenant="other")
    here.upsert(name, wire.point("bare", vector=np.arange(1, 385)), tenant="other")
    return name


def test_a_collection_comes_back_as_it_was(here, filled):
    made = create(here, filled, "whole")
    assert (made.points, made.collection.name, made.collection.engine) == (20, filled, "embedded")
    back = restore(here, "whole", "back")
    assert (back.name, back.points, back.model_version) == ("back", 20, made.collection.model_version)
    assert dict(back.payload_indexes) == {"n": search_pb2.FIELD_TYPE_INTEGER}
    tenants = ["", "other"]
    assert everything(here, "back", tenants) == everything(here, filled, tenants)
    for mode in search_pb2.SearchMode.values():
        query = search_pb2.SearchQuery(text="a dog at the moon")
        one, other = (here("Search", collection=where, query=query, mode=mode) for where in ("back", filled))
        assert [hit.id for hit in one.hits] == [hit.id for hit in other.hits]
        assert [hit.score for hit in one.hits] == pytest.approx([hit.score for hit in other.hits], abs=1e-6)


def test_names_are_made_and_listed_newest_first(here, filled):
    made = create(here, filled)
    assert made.name.startswith(f"{filled}-20")
    assert made.name in [one.name for one in here("ListSnapshots").snapshots]
    here("DeleteSnapshot", snapshot=made.name)
    assert made.name not in [one.name for one in here("ListSnapshots").snapshots]


def test_wrong_names_are_refused(here, filled):
    create(here, filled, "there")
    again = here.refused("CreateSnapshot", collection=filled, name="there")
    assert (again.code, again.resource) == ("ALREADY_EXISTS", ("nearfield.v1.Snapshot", "snapshots/there"))
    assert here.refused("CreateSnapshot", collection="nowhere").code == "NOT_FOUND"
    assert here.refused("CreateSnapshot", collection=filled, name="../up").field == "name"
    missing = here.refused("RestoreSnapshot", snapshot="ther", collection="x")
    assert (missing.code, "did you mean there?" in missing.message) == ("NOT_FOUND", True)
    assert here.refused("DeleteSnapshot", snapshot="ther").code == "NOT_FOUND"
    for rpc in ("RestoreSnapshot", "DeleteSnapshot"):
        assert here.refused(rpc, snapshot="../there").field == "snapshot"
    assert here.refused("RestoreSnapshot", snapshot="there", collection=filled).code == "ALREADY_EXISTS"
    assert here.refused("RestoreSnapshot", snapshot="there", collection="no/name").field == "collection"


def flip(folder):
    part = folder / "part-00000.parquet"
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content)


def rename_part(folder):
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace("part-00000.parquet", "../../secret"))


DAMAGE = {
    "flipped": (flip, "part-00000.parquet"),
    "missing": (lambda folder: (folder / "part-00000.parquet").unlink(), "part-00000.parquet"),
    "cut": (lambda folder: (folder / "manifest.json").write_text('{"format": 1'), "manifest.json"),
    "strange": (lambda folder: (folder / "manifest.json").write_text("[1]"), "manifest.json"),
    "traversal": (rename_part, "manifest.json"),
    "newer": (lambda folder: (folder / "manifest.json").write_text('{"format": 99}'), "format 99"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_named_and_nothing_is_made(here, filled, place, kind):
    name = f"damaged-{kind}"
    create(here, filled, name)
    damage, told = DAMAGE[kind]
    damage(place / name)
    refused = here.refused("RestoreSnapshot", snapshot=name, collection="hurt")
    assert refused.code == "DATA_LOSS"
    assert told in refused.message
    assert "hurt" not in names(here)
    assert here("DeleteSnapshot", snapshot=name) is not None


def test_points_that_a_right_checksum_vouches_for_are_checked(here, filled, place):
    create(here, filled, "vouched")
    manifest = place / "vouched" / "manifest.json"
    content = json.loads(manifest.read_text())
    content["collection"]["dimensions"] = 7
    manifest.write_text(json.dumps(content))
    assert here.refused("RestoreSnapshot", snapshot="vouched", collection="hurt").code == "DATA_LOSS"
    assert "hurt" not in names(here)


def test_writes_meanwhile_dont_tear_it(here, wire, monkeypatch):
    monkeypatch.setattr("nearfield_server.core.snapshots._READ", 10)
    name = here.make(dimensions=2)
    for batch in range(10):
        here.upsert(name, *[wire.point(batch * 50 + one, vector=[1, 0], round=0) for one in range(50)])
    done = threading.Event()

    def write():
        rounds = 0
        while not done.is_set():
            rounds += 1
            here.upsert(name, *[wire.point(one, vector=[1, 0], round=rounds) for one in range(500)])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        made = create(here, name, "torn")
    finally:
        done.set()
        writer.join()
    assert made.points == 500
    restore(here, "torn", "untorn")
    rounds = {one.payload.fields["round"] for part in here("Scroll", collection="untorn") for one in part.points}
    assert len(rounds) == 1, "each write is there whole or not at all"


def test_a_caller_that_leaves_leaves_nothing(here, wire, place, monkeypatch):
    monkeypatch.setattr("nearfield_server.core.snapshots._TELL_SECONDS", 0.0)
    monkeypatch.setattr("nearfield_server.core.snapshots._READ", 1)
    monkeypatch.setattr("nearfield_server.core.snapshots._WRITTEN", 1)
    name = here.make(dimensions=2)
    here.upsert(name, *[wire.point(one, vector=[1, 0]) for one in range(500)])
    for rpc, fields in {
        "CreateSnapshot": {"collection": name, "name": "left"},
        "RestoreSnapshot": {"snapshot": "stays", "collection": "left"},
    }.items():
        call = here(rpc, **fields)
        while not next(call).progress.points:  # verified, before it is stored
            pass
        call.cancel()
        create(here, name, "stays" if rpc == "CreateSnapshot" else "after")  # its turn comes when the other is undone
        assert "left" not in [one.name for one in here("ListSnapshots").snapshots]
        assert not (place / "left").exists()
        assert "left" not in names(here)


@pytest.mark.parametrize("removing", [True, False])
def test_a_place_that_is_full_is_told(here, filled, place, monkeypatch, removing):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", full)
        if not removing:
            remove = "nearfield_server.core.snapshot_files.SnapshotFiles.remove"
            patch.setattr(remove, lambda _, name: full() if (place / name).exists() else None)
        refused = here.refused("CreateSnapshot", collection=filled, name="full")
    assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "STORAGE_FULL")
    assert (place / "full").exists() is not removing
    assert create(here, filled, "full").points == 20
    here("DeleteSnapshot", snapshot="full")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["format"], "1"),
        (["created_at"], "2026-01-02T03:04:05"),
        (["parts", 0, "points"], -1),
        (["parts", 0, "sha256"], 5),
        (["collection", "dimensions"], 10**9),
        (["collection", "ttl_seconds"], "soon"),
        (["collection", "hnsw"], {"m": "16", "ef_construct": 128}),
        (["collection", "model"], 7),
        (["collection", "payload_indexes"], {"a..b": "integer"}),
    ],
)
def test_a_manifest_with_wrong_values_hurts_nobody(here, filled, place, path, value):
    create(here, filled, "odd")
    file = place / "odd" / "manifest.json"
    content = json.loads(file.read_text())
    *way, last = path
    inner = content
    for key in way:
        inner = inner[key]
    inner[last] = value
    file.write_text(json.dumps(content))
    assert "odd" not in [one.name for one in here("ListSnapshots").snapshots]
    assert here.refused("RestoreSnapshot", snapshot="odd", collection="hurt").code == "DATA_LOSS"
    assert "hurt" not in names(here)
    here("DeleteSnapshot", snapshot="odd")


def test_a_restore_that_failed_claims_no_later_collection(run_server, open_search, wire, tmp_path, monkeypatch):
    config = Config(listen="127.0.0.1:0", http="127.0.0.1:0", data_dir=tmp_path)
    with run_server(config) as server:
        search = open_search(server.target)
        name = search.make(dimensions=2)
        search.upsert(name, wire.point(1, vector=[1, 0]))
        create(search, name, "kept")

        async def full(self, spec):
            raise StorageFull("full", retry_after_seconds=1.0)

        with monkeypatch.context() as patch:
            patch.setattr("nearfield_server.engines.embedded.engine.EmbeddedEngine.create", full)
            assert search.refused("RestoreSnapshot", snapshot="kept", collection="mine").reason == "STORAGE_FULL"
        search("CreateCollection", name="mine", dimensions=2)
        search.upsert("mine", wire.point("acknowledged", vector=[1, 0]))
    with run_server(config) as server:
        assert open_search(server.target).ids("mine") == ["acknowledged"]


def test_a_restore_that_fails_leaves_anothers_collection(here, filled, wire, monkeypatch):
    create(here, filled, "raced")
    replaced = threading.Event()

    async def read(self, files, info, store):
        yield Progress(0, info.points, 0)
        await asyncio.to_thread(replaced.wait, 30)
        raise FailedPrecondition("collections/theirs", "the collection was dropped meanwhile")

    monkeypatch.setattr("nearfield_server.core.snapshots.Snapshots._read", read)
    call = here("RestoreSnapshot", snapshot="raced", collection="theirs")
    assert next(call).WhichOneof("event") == "progress"
    here("DeleteCollection", collection="theirs")
    here("CreateCollection", name="theirs", dimensions=2)
    here.upsert("theirs", wire.point("acknowledged", vector=[1, 0]))
    replaced.set()
    with pytest.raises(grpc.RpcError, match="dropped"):
        list(call)
    assert here.ids("theirs") == ["acknowledged"]


def test_a_server_that_is_killed_leaves_no_half_collection(run_server, open_search, wire, tmp_path):
    config = Config(listen="127.0.0.1:0", http="127.0.0.1:0", data_dir=tmp_path)
    with run_server(config) as server:
        search = open_search(server.target)
        name = search.make(dimensions=2)
        search.upsert(name, *[wire.point(one, vector=[1, 0]) for one in range(500)])
        create(search, name, "kept")
    child = textwrap.dedent(f"""
        import asyncio, os
        from nearfield_server.app import Server
        from nearfield_server.config.settings import Config
        from nearfield_server.core import snapshots
        snapshots._TELL_SECONDS, snapshots._WRITTEN = 0.0, 10
        async def main():
            server = Server(Config(listen="127.0.0.1:0", http="127.0.0.1:0", data_dir={str(tmp_path)!r}))
            await server.start()
            async for step in server._snapshots.restore("kept", "half"):
                if step.points:
                    os._exit(9)
        asyncio.run(main())
    """)
    assert subprocess.run([sys.executable, "-c", child], check=False, timeout=60).returncode == 9
    assert (tmp_path / "collections" / "half").is_dir()
    with run_server(config) as server:
        search = open_search(server.target)
        assert names(search) == [name]
        assert restore(search, "kept", "half").points == 500


def test_another_engine_takes_it_from_an_object_store(run_server, open_search, wire, tmp_path):
    place = "memory://nearfield-test/snapshots"
    for engine in ("embedded", "memory"):
        search_settings = {"engine": engine, "snapshots": place}
        config = Config(listen="127.0.0.1:0", http="127.0.0.1:0", data_dir=tmp_path / engine, search=search_settings)
        with run_server(config) as server:
            search = open_search(server.target)
            if engine == "embedded":
                name = search.make()
                search.upsert(name, wire.point("dog", "a dog barks"), wire.point("cat", "a cat sleeps"))
                create(search, name, "moved")
                continue
            back = restore(search, "moved")
            assert (back.name, back.engine, back.points) == (name, "memory", 2)
            query = search_pb2.SearchQuery(text="a barking dog")
            hits = search("Search", collection=name, query=query, mode=search_pb2.SEARCH_MODE_HYBRID).hits
            assert [wire.id_of(one.id) for one in hits] == ["dog", "cat"]
            with pytest.raises(grpc.RpcError, match="there is no collection"):
                create(search, "elsewhere", "never")


def test_the_client_shows_progress(client, search, wire, monkeypatch):
    monkeypatch.setattr("nearfield_server.core.snapshots._TELL_SECONDS", 0.0)
    name = search.make(dimensions=2)
    search.upsert(name, wire.point(1, vector=[1, 0]), wire.point(2, vector=[0, 1]))
    told = []
    made = client.create_snapshot(name, "by-client", on_progress=told.append)
    assert (made.name, made.points, made.collection.dimensions) == ("by-client", 2, 2)
    assert made in client.snapshots()
    assert client.restore_snapshot("by-client", "restored", on_progress=told.append).points == 2
    assert {(one.points, one.total) for one in told} == {(2, 2), (0, 2)}  # a restore verifies first
    with pytest.raises(nearfield.AlreadyExists):
        client.restore_snapshot("by-client", "restored")
    client.delete_snapshot("by-client")
    assert made not in client.snapshots()


async def test_the_async_client_does_the_same(server, search, wire):
    name = search.make(dimensions=2)
    search.upsert(name, wire.point(1, vector=[1, 0]))
    async with nearfield.AsyncClient(server.target) as client:
        made = await client.create_snapshot(name, "by-async")
        assert made in await client.snapshots()
        assert (await client.restore_snapshot("by-async", "restored-async")).points == 1
        await client.delete_snapshot("by-async")
        with pytest.raises(nearfield.NotFound, match="no snapshot"):
            await client.delete_snapshot("by-async")


def test_the_command_keeps_and_restores(server, search, wire, capfd):
    name = search.make(dimensions=2)
    search.upsert(name, wire.point(1, vector=[1, 0]))
    target = ["--target", server.target]
    for arguments, told in (
        (["create", name, "by-command"], "made snapshot by-command: 1 points, 0.0 MiB\n"),
        (["restore", "by-command", "restored-command"], "made collection restored-command: 1 points\n"),
        (["list"], "by-command"),
        (["delete", "by-command", "--yes"], "deleted snapshot by-command\n"),
        (["restore", "by-command"], "there is no snapshot of that name"),
    ):
        code = run(["snapshots", *arguments, *target])
        out, err = capfd.readouterr()
        assert told in out + err
        assert code == (1 if "no snapshot" in told else 0)
