"""Collections made anew by another model while others write to them."""

import hashlib
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import grpc
import numpy as np
import onnx
import pytest

import nearfield
from nearfield.v1 import model_pb2, model_pb2_grpc, search_pb2
from nearfield_server.cli.program import run
from nearfield_server.config.settings import Config
from nearfield_server.encoder.builtin import builtin_folder

WHOLE = search_pb2.PointSelection(with_vector=True)
STATE = {number: name.removeprefix("REEMBED_STATE_") for name, number in search_pb2.ReembedState.items()}
NEARFIELD = Path(sys.executable).with_name("nearfield")
ODD = ["a/b", "nul\0nul", "🙂", 0, -1, 2**63 - 1, "1", 1]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A repository."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def here(run_server, open_search, tmp_path_factory, models):
    """A server that has the built-in model under another name too, which can be unloaded."""
    shutil.copytree(builtin_folder(), models / "other" / "1")
    settings = {"data_dir": tmp_path_factory.mktemp("data"), "repository": {"path": models}}
    with run_server(Config(listen="127.0.0.1:0", http="127.0.0.1:0", admin=True, **settings)) as server:
        found = open_search(server.target)
        found.target = server.target
        found.http = server.http
        yield found


def reembed(search, collection, **fields):
    return list(search("Reembed", collection=collection, **fields))[-1].reembedding


def first(search, collection, **fields):
    """Begin one and leave the call."""
    call = search("Reembed", collection=collection, **fields)
    one = next(call).reembedding
    call.cancel()
    return one


def now(search, id_):
    return next(one for one in search("ListReembeddings").reembeddings if one.id == id_)


def ends(search, id_, seconds=120):
    deadline = time.monotonic() + seconds
    while not (one := now(search, id_)).HasField("ended_at"):
        assert time.monotonic() < deadline, one
        time.sleep(0.05)
    return one


def everything(search, collection, tenants=("",)):
    """All points by tenant and id, without vectors and versions."""
    found = {}
    for tenant in tenants:
        for part in search("Scroll", collection=collection, tenant=tenant):
            for one in part.points:
                one.ClearField("version")
                found[tenant, one.id.SerializeToString()] = one.SerializeToString(deterministic=True)
    return found


def filled(search, wire, count, alias, words=1, **fields):
    """A collection of points with texts and vectors of their own, which takes no embedding, and its alias."""
    name = search.make(**fields)
    vector = np.arange(1, 385)
    for start in range(0, count, 500):
        rows = range(start, min(start + 500, count))
        search.upsert(name, *[wire.point(row, f"text {row} " + "word " * words, vector=vector, n=row) for row in rows])
    search("SetCollectionAlias", alias=alias, collection=name)
    return name


def names(search):
    return {one.name: set(one.aliases) for one in search("ListCollections").collections}


def test_all_points_are_there_with_new_vectors_and_the_aliases_move(here, wire):
    name = here.make(payload_indexes={"n": search_pb2.FIELD_TYPE_INTEGER})
    here.upsert(name, *[wire.point(one, f"text {index}", n=index) for index, one in enumerate(ODD)])
    here.upsert(name, *[wire.point(one, "of another", n=-1, expires_at=4_000_000_000) for one in ODD], tenant="other")
    here.upsert(name, wire.point("dog", "a dog barks at the moon", n=77))
    for alias in ("moves", "moves-too"):
        here("SetCollectionAlias", alias=alias, collection=name)
    done = reembed(here, "moves", dimensions=64)
    assert STATE[done.state] == "DONE"
    assert (done.source, done.copied, done.total, done.skipped) == (name, 17, 17, 0)
    assert list(done.aliases) == ["moves", "moves-too"]
    assert names(here)[done.target] == {"moves", "moves-too"}
    assert names(here)[name] == set()
    tenants = ["", "other"]
    assert everything(here, "moves", tenants) == everything(here, name, tenants)
    (made,) = here("GetPoints", collection="moves", ids=[wire.id("dog")], select=WHOLE).points
    asked = here("GetPoints", collection=name, ids=[wire.id("dog")], select=WHOLE).points[0]
    cut = np.frombuffer(asked.vector, "<f4")[:64]
    np.testing.assert_allclose(np.frombuffer(made.vector, "<f4"), cut / np.linalg.norm(cut), atol=1e-5)
    for mode in search_pb2.SearchMode.values():
        query = search_pb2.SearchQuery(text="a dog at the moon")
        hits = here("Search", collection="moves", query=query, mode=mode, filter_expression="n = 77").hits
        assert [wire.id_of(one.id) for one in hits] == ["dog"]
    assert re.fullmatch(rf"{name}-\d{{8}}T\d{{6}}Z", done.target)
    again = here.refused("Reembed", collection="moves", dimensions=64)
    assert (again.code, "already" in again.message) == ("FAILED_PRECONDITION", True)
    here("DeleteCollection", collection=name)


def test_writes_meanwhile_are_all_there(here, wire):
    """Upserts, changes of payload and deletes by an alias, from before it begins until after its end."""
    name = filled(here, wire, 1500, "busy", words=20)
    expected = {row: ("text", row) for row in range(1500)}
    stop, failures = threading.Event(), []

    def write():
        random = np.random.default_rng(7)
        fresh = 10_000
        try:
            while not stop.is_set():
                row = int(random.integers(1500))
                kind = random.integers(4)
                if kind == 0:
                    here.upsert("busy", wire.point(row, f"new {fresh}", n=fresh))
                    expected[row] = ("new", fresh)
                elif kind == 1:
                    here("DeletePoints", collection="busy", ids=[wire.id(row)])
                    expected.pop(row, None)
                elif kind == 2 and row in expected:
                    changed = wire.point(row, n=fresh)
                    here.upsert("busy", changed, mode=search_pb2.UPSERT_MODE_PAYLOAD)
                    expected[row] = (expected[row][0], fresh)
                else:
                    here.upsert("busy", wire.point(fresh, f"new {fresh}", n=fresh))
                    expected[fresh] = ("new", fresh)
                fresh += 1
        except Exception as error:
            failures.append(error)
            raise

    writer = threading.Thread(target=write)
    writer.start()
    done = reembed(here, "busy", dimensions=32)
    time.sleep(0.3)
    stop.set()
    writer.join()
    assert not failures
    assert STATE[done.state] == "DONE"
    assert here("GetCollection", collection="busy").collection.name == done.target != name
    found = {}
    for part in here("Scroll", collection="busy", select=WHOLE):
        for one in part.points:
            found[one.id.number] = (one.text.split()[0], int(one.payload.fields["n"]))
            assert len(one.vector) == 32 * 4
    assert found == expected
    assert here("Count", collection="busy").count == len(expected)


def test_one_under_way_is_followed_and_keeps_its_collections(here, wire):
    name = filled(here, wire, 3000, "slow", words=100)
    one = first(here, "slow", dimensions=16, target="slow-16")
    assert STATE[one.state] == "COPYING"
    same = first(here, "slow", dimensions=16)
    assert same.id == one.id
    other = here.refused("Reembed", collection="slow", dimensions=8)
    assert (other.code, one.id in other.message) == ("FAILED_PRECONDITION", True)
    assert here.refused("Reembed", collection="slow-16", dimensions=8).code == "FAILED_PRECONDITION"
    bystander = here.make()
    taken = here.refused("Reembed", collection=bystander, dimensions=8, target="slow-16")
    assert (taken.code, taken.resource[1]) == ("ALREADY_EXISTS", "collections/slow-16")
    for held in ("slow-16", name):
        here.refused("DeleteCollection", collection=held)
    point = wire.point("x", "text")
    assert "is copied" in here.refused("Upsert", collection="slow-16", points=[point]).message
    assert here.refused("DeletePoints", collection="slow-16", all=True).code == "FAILED_PRECONDITION"
    assert here.refused("SetCollectionAlias", alias="early", collection="slow-16").code == "FAILED_PRECONDITION"
    following = here("Reembed", collection="slow", dimensions=16)
    told = [next(following).reembedding]
    while told[-1].copied < 256:  # a rate takes two looks
        told.append(next(following).reembedding)
    following.cancel()
    assert {one.total for one in told} == {3000}
    assert told[-1].points_per_second > 0
    assert told[-1].remaining.seconds > 0
    cancelled = here("CancelReembedding", id=one.id).reembedding
    assert STATE[cancelled.state] == "CANCELLED"
    assert "slow-16" not in names(here)
    assert names(here)[name] == {"slow"}
    ended = here.refused("CancelReembedding", id=one.id)
    assert (ended.code, "cancelled" in ended.message) == ("FAILED_PRECONDITION", True)
    missing = here.refused("CancelReembedding", id=one.id[:-1])
    assert (missing.code, missing.reason) == ("NOT_FOUND", "REEMBEDDING_NOT_FOUND")
    assert one.id in missing.message
    here("SetCollectionAlias", alias="slow", collection="")
    here("DeleteCollection", collection=name)


def test_points_without_text_end_it_or_are_left_out(here, wire):
    name = here.make()
    here.upsert(name, *[wire.point(row, f"text {row}") for row in range(5)])
    here.upsert(name, wire.point("bare", vector=np.arange(1, 385)), wire.point("soon", vector=np.arange(1, 385)))
    before = set(names(here))
    failed = here.refused("Reembed", collection=name, dimensions=8)
    assert (failed.code, "skip_without_text" in failed.message) == ("FAILED_PRECONDITION", True)
    last = here("ListReembeddings").reembeddings[0]
    assert (STATE[last.state], last.error_reason) == ("FAILED", "FAILED_PRECONDITION")
    assert "'bare'" in last.error_message
    assert set(names(here)) == before
    done = reembed(here, name, dimensions=8, skip_without_text=True, aliases=["made"])
    assert (STATE[done.state], done.copied, done.skipped, list(done.aliases)) == ("DONE", 5, 2, ["made"])
    assert here("Count", collection="made").count == 5


def test_wrong_requests_are_refused(here, wire):
    name = here.make()
    bare = here.make(dimensions=4)
    filled(here, wire, 1, "taken")
    assert here.refused("Reembed", collection="nowhere").code == "NOT_FOUND"
    assert here.refused("Reembed", collection=name).code == "FAILED_PRECONDITION"
    assert here.refused("Reembed", collection=name, dimensions=385).field == "dimensions"
    assert here.refused("Reembed", collection=bare).field == "model"
    assert here.refused("Reembed", collection=name, model="nothing").reason == "MODEL_NOT_FOUND"
    assert here.refused("Reembed", collection=name, dimensions=8, target="no/name").field == "target"
    assert here.refused("Reembed", collection=name, dimensions=8, target=bare).code == "ALREADY_EXISTS"
    assert here.refused("Reembed", collection=name, dimensions=8, aliases=["no/name"]).field == "aliases[0]"
    assert here.refused("Reembed", collection=name, dimensions=8, aliases=[bare]).code == "ALREADY_EXISTS"
    assert here.refused("Reembed", collection=name, dimensions=8, aliases=["taken"]).code == "FAILED_PRECONDITION"
    both = here.refused("Reembed", collection=name, dimensions=8, aliases=["free"], keep_aliases=True)
    assert both.field == "keep_aliases"
    here("DeleteCollection", collection=name)  # nothing holds it


def test_it_waits_for_its_model(here, wire):
    filled(here, wire, 700, "waiting", words=30)
    stub = model_pb2_grpc.ModelServiceStub(grpc.insecure_channel(here.target))
    one = first(here, "waiting", model="other")
    stub.UnloadModel(model_pb2.UnloadModelRequest(name="other"))
    deadline = time.monotonic() + 30
    while not (waits := now(here, one.id)).error_message:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert (STATE[waits.state], waits.error_reason) == ("COPYING", "MODEL_NOT_READY")
    stub.LoadModel(model_pb2.LoadModelRequest(name="other"))
    done = ends(here, one.id)
    assert (STATE[done.state], done.copied, done.model, done.error_message) == ("DONE", 700, "other", "")


def test_a_new_version_of_the_same_model(here, wire, models):
    """Both are loaded meanwhile, so that the old collection serves."""
    folder = models / "mine"
    shutil.copytree(builtin_folder(), folder / "1")
    stub = model_pb2_grpc.ModelServiceStub(grpc.insecure_channel(here.target))
    stub.LoadModel(model_pb2.LoadModelRequest(name="mine"))
    name = filled(here, wire, 100, "versioned", model="mine")
    shutil.copytree(folder / "1", folder / "2")
    retouch(folder / "2")
    stub.LoadModel(model_pb2.LoadModelRequest(name="mine", keep_previous=True))
    here.upsert("versioned", wire.point("new", "a text by the old version"))
    done = reembed(here, "versioned")
    old, new = (here("GetCollection", collection=one).collection for one in (name, "versioned"))
    assert (STATE[done.state], done.copied, new.name) == ("DONE", 101, done.target)
    assert old.model == new.model == "mine"
    assert old.model_version != new.model_version == done.model_version
    stub.UnloadModel(model_pb2.UnloadModelRequest(name="mine", version="1"))
    hits = here("Search", collection="versioned", query=search_pb2.SearchQuery(text="text by the old version")).hits
    assert wire.id_of(hits[0].id) == "new"
    refused = here.refused("Upsert", collection=name, points=[wire.point("x", "text")])
    assert (refused.code, "Reembed" in refused.message) == ("FAILED_PRECONDITION", True)


def retouch(folder):
    """Change what the model's version is made of, and nothing else."""
    file = folder / "onnx" / "model.onnx"
    before = hashlib.sha256(file.read_bytes()).hexdigest()
    model = onnx.load(file)
    model.doc_string = "retouched"
    onnx.save(model, file)
    manifest = folder / "nearfield.yaml"
    manifest.write_text(manifest.read_text().replace(before, hashlib.sha256(file.read_bytes()).hexdigest()))


def test_client_and_command(here, wire, capsys):
    name = filled(here, wire, 40, "by-hand")
    with nearfield.Client(here.target) as client:
        told = []
        made = client.reembed("by-hand", dimensions=24, keep_aliases=True, on_progress=told.append)
        assert (made.state, made.copied, made.aliases) == ("done", 40, ())
        assert told[0].state == "copying"
        assert names(here)[name] == {"by-hand"}
        assert client.reembeddings()[0] == made
        with pytest.raises(nearfield.FailedPrecondition, match="has ended"):
            client.cancel_reembedding(made.id)
        with pytest.raises(TypeError, match="one name"):
            client.reembed("by-hand", aliases="by-hand")
    assert (
        run(["reembed", "start", "by-hand", "--dimensions", "12", "--to", "by-hand-12", "--target", here.target]) == 0
    )
    assert f"made collection by-hand-12: 40 points, by-hand moved; {name} is as it was" in capsys.readouterr().out
    assert run(["reembed", "list", "--target", here.target]) == 0
    assert "by-hand-12" in capsys.readouterr().out
    assert run(["reembed", "cancel", "nothing", "--target", here.target]) == 1
    assert "no re-embedding of that id" in capsys.readouterr().err


@pytest.mark.parametrize("moment", [0.4, pytest.param(1.0, marks=pytest.mark.long)])
def test_it_goes_on_after_a_kill(tmp_path, open_search, wire, moment):
    target = f"unix:{tmp_path}/grpc.sock"
    command = [NEARFIELD, "serve", "--listen", target, "--http", "", "--data-dir", tmp_path / "data"]

    def serve():
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        with nearfield.Client(target) as client:
            client.wait_ready(30)
        return process, open_search(target)

    process, here = serve()
    try:
        name = filled(here, wire, 1500, "kept", words=40)
        one = first(here, "kept", dimensions=48)
        time.sleep(moment)
        here.upsert("kept", wire.point("late", "written just before the kill"))
        here("DeletePoints", collection="kept", ids=[wire.id(0)])
        process.kill()
        process.wait()
        process, here = serve()
        done = ends(here, one.id)
        assert (STATE[done.state], done.copied, done.source) == ("DONE", 1500, name)
        assert here("GetCollection", collection="kept").collection.name == done.target
        assert everything(here, "kept") == everything(here, name)
    finally:
        process.kill()
        process.wait()
