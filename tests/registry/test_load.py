"""Models loaded, swapped, named and unloaded while a server runs."""

import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
from google.rpc.error_details_pb2 import PreconditionFailure, ResourceInfo

from nearfield.v1 import embed_pb2, model_pb2, types_pb2
from nearfield_server.core.repository import Repository, natural_order

from .calls import FAILED, READY, UNLOADED, alias, eventually, listed, load, present, refused, unload
from .conftest import put

pytestmark = pytest.mark.slow


def test_the_latest_version_is_served_from_the_start(repository, serve):
    for version in ("2", "10", "9"):
        put(repository, "mine", version)
    stubs = serve()
    assert listed(stubs)["mine", "10"] == READY
    assert present(stubs, "mine") == "10"
    vector = np.frombuffer(stubs.call("mine").embeddings.data, "<f4")
    assert vector == pytest.approx(np.frombuffer(stubs.call().embeddings.data, "<f4"))


def test_nothing_is_loaded_at_start_on_request(repository, serve):
    put(repository, "mine", "1")
    stubs = serve(repository={"startup": "none"})
    assert listed(stubs)["mine", "1"] == UNLOADED
    refused(lambda: stubs.call("mine"), "UNAVAILABLE", "LoadModel loads it")
    assert load(stubs, "mine").state == READY
    assert stubs.call("mine").model == "mine"


def test_a_new_version_takes_over_and_the_old_one_goes(repository, serve):
    put(repository, "mine", "1")
    stubs = serve()
    put(repository, "mine", "2")
    model = load(stubs, "mine")
    assert (model.name, model.repository_version, model.state) == ("mine", "2", READY)
    assert present(stubs, "mine") == "2"
    eventually(lambda: ("mine", "1") not in listed(stubs))
    refused(lambda: stubs.call("mine@1"), "NOT_FOUND", "no model of that name")
    # Back to the old one, by its number.
    assert load(stubs, "mine", "1").repository_version == "1"
    assert present(stubs, "mine") == "1"


def test_both_versions_side_by_side(repository, serve):
    put(repository, "mine", "1")
    put(repository, "mine", "2")
    stubs = serve(repository={"startup": "none"})
    load(stubs, "mine", "1")
    load(stubs, "mine", "2", keep_previous=True)
    assert stubs.call("mine@1").model == stubs.call("mine@2").model == stubs.call("mine").model == "mine"
    assert present(stubs, "mine") == "2"
    assert unload(stubs, "mine", "2").state == UNLOADED
    assert present(stubs, "mine") == "1"  # what is loaded takes its name
    assert unload(stubs, "mine@1").state == UNLOADED
    refused(lambda: stubs.call("mine"), "UNAVAILABLE", "not loaded")


def test_what_cannot_be_loaded_or_unloaded(repository, serve):
    put(repository, "mine", "1")
    stubs = serve()
    details = refused(lambda: load(stubs, "mine"), "ALREADY_EXISTS", "mine@1 is loaded")
    assert any(one.Is(ResourceInfo.DESCRIPTOR) for one in details)
    refused(lambda: load(stubs, "mine", "7"), "NOT_FOUND", "did you mean mine@1?")
    refused(lambda: load(stubs, "other"), "NOT_FOUND", "did you mean mine?")
    for name in ("../mine", "mine/1", "..", "/etc"):
        refused(lambda one=name: load(stubs, one), "NOT_FOUND", "no model of that name")
        refused(lambda one=name: load(stubs, "mine", one), "NOT_FOUND", "no model of that name")
    refused(lambda: load(stubs, ""), "INVALID_ARGUMENT", "which model?")
    refused(lambda: load(stubs, "mine\n"), "INVALID_ARGUMENT", "not a name")
    refused(lambda: load(stubs, "mine", keep_previous=True, unload_first=True), "INVALID_ARGUMENT", "unload_first")
    refused(lambda: unload(stubs, "other"), "NOT_FOUND", "no model of that name")
    details = refused(lambda: unload(stubs, "all-MiniLM-L6-v2"), "FAILED_PRECONDITION", "is the default model")
    (found,) = [one for one in details if one.Is(PreconditionFailure.DESCRIPTOR)]
    failure = PreconditionFailure()
    found.Unpack(failure)
    assert failure.violations[0].subject == "models/all-MiniLM-L6-v2"
    unload(stubs, "mine")
    refused(lambda: unload(stubs, "mine"), "FAILED_PRECONDITION", "isn't loaded")


BROKEN = {
    "corrupted": ({"onnx__model_dot_onnx": b"no graph"}, "model.onnx"),
    "truncated": ({"tokenizer_dot_json": b'{"version": "1.0", "trunc'}, "tokenizer.json"),
    "unknown-key": (
        {"nearfield_dot_yaml": b"format: 1\npolling: mean\n"},
        "nearfield.yaml: polling: unknown key, did you mean pooling?",
    ),
    "outside": ({"nearfield_dot_yaml": b"files: {model: ../../../x.onnx}\n"}, "within the model's folder"),
    "gone": ({"onnx__model_dot_onnx": None}, "model.onnx"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_version_is_listed_with_its_fault_and_the_old_one_serves_on(repository, serve, kind):
    files, fault = BROKEN[kind]
    put(repository, "mine", "1")
    stubs = serve()
    put(repository, "mine", "2", **files)
    refused(lambda: load(stubs, "mine"), "FAILED_PRECONDITION", fault)
    assert listed(stubs) == {("all-MiniLM-L6-v2", ""): READY, ("mine", "1"): READY, ("mine", "2"): FAILED}
    assert stubs.call("mine").model == "mine"
    refused(lambda: stubs.call("mine@2"), "UNAVAILABLE", "could not be loaded")
    # Mended, it can be loaded under the same version.
    put(repository, "spare", "1").replace(repository / "spare" / "2")
    for file in (repository / "spare" / "2").rglob("*"):
        if file.is_file():
            target = repository / "mine" / "2" / file.relative_to(repository / "spare" / "2")
            target.write_bytes(file.read_bytes())
    assert load(stubs, "mine").repository_version == "2"


def test_a_broken_model_at_start_hurts_nobody(repository, serve):
    put(repository, "bad", "1", onnx__model_dot_onnx=b"no graph")
    put(repository, "good", "1")
    stubs = serve()
    assert listed(stubs)["bad", "1"] == FAILED
    assert stubs.call("good").model == "good"


def test_unload_first_brings_the_old_one_back_when_the_new_one_fails(repository, serve):
    put(repository, "mine", "1")
    stubs = serve()
    put(repository, "mine", "2", onnx__model_dot_onnx=b"no graph")
    refused(lambda: load(stubs, "mine", unload_first=True), "FAILED_PRECONDITION", "model.onnx")
    assert stubs.call("mine").model == "mine"
    assert present(stubs, "mine") == "1"
    put(repository, "mine", "3")
    assert load(stubs, "mine", unload_first=True).repository_version == "3"


def test_whether_callers_may_manage_models(repository, serve):
    put(repository, "mine", "1")
    stubs = serve(admin="off")
    for call in (lambda: load(stubs, "mine"), lambda: unload(stubs, "mine"), lambda: alias(stubs, "a", "mine")):
        refused(call, "PERMISSION_DENIED", "may not manage")
    assert stubs.call("mine").model == "mine"


def test_a_stream_ends_on_the_model_that_it_began_with(repository, serve):
    put(repository, "mine", "1")
    put(repository, "mine", "2")
    stubs = serve(repository={"startup": "none", "drain_seconds": 2.0})
    load(stubs, "mine", "1")
    go_on, sent = threading.Event(), threading.Event()

    def requests():
        options = embed_pb2.EmbedStreamOptions(model="mine")
        yield embed_pb2.EmbedStreamRequest(id="a", inputs=[types_pb2.Input(text="one")], options=options)
        sent.set()
        go_on.wait(60)
        yield embed_pb2.EmbedStreamRequest(id="b", inputs=[types_pb2.Input(text="two")])
        threading.Event().wait(60)

    replies = stubs.embed.EmbedStream(requests(), timeout=60)
    assert next(replies).id == "a"
    swap = threading.Thread(target=load, args=(stubs, "mine", "2"))
    swap.start()
    while present(stubs, "mine") != "2":
        time.sleep(0.01)
    go_on.set()
    assert next(replies).id == "b"  # on version 1, which waits for the stream
    with pytest.raises(grpc.RpcError) as caught:
        next(replies)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "replaced or unloaded" in caught.value.details()
    swap.join(60)
    eventually(lambda: ("mine", "1") not in listed(stubs))


def test_loads_of_one_name_at_once(repository, serve):
    for version in ("1", "2", "3"):
        put(repository, "mine", version)
    stubs = serve(repository={"startup": "none"})

    def attempt(version):
        try:
            return load(stubs, "mine", version).repository_version
        except grpc.RpcError as error:
            return error.code()

    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(attempt, ["1", "2", "3", "3", "1", "2"]))
    assert set(outcomes) <= {"1", "2", "3", grpc.StatusCode.ALREADY_EXISTS}
    eventually(lambda: sorted(listed(stubs).values()) == [READY, READY])
    assert stubs.call("mine").model == "mine"


def test_a_load_whose_caller_goes_away_is_completed(repository, serve):
    put(repository, "mine", "1")
    stubs = serve(repository={"startup": "none"})
    call = stubs.models.LoadModel.future(model_pb2.LoadModelRequest(name="mine"))
    eventually(lambda: listed(stubs)["mine", "1"] != UNLOADED)
    call.cancel()
    eventually(lambda: listed(stubs)["mine", "1"] == READY)
    assert unload(stubs, "mine").state == UNLOADED


def test_a_load_is_answered_before_the_old_one_has_gone(repository, serve):
    put(repository, "mine", "1")
    put(repository, "mine", "2")
    stubs = serve(repository={"startup": "none", "drain_seconds": 600.0})
    load(stubs, "mine", "1")
    end = threading.Event()

    def requests():
        options = embed_pb2.EmbedStreamOptions(model="mine")
        yield embed_pb2.EmbedStreamRequest(id="a", inputs=[types_pb2.Input(text="one")], options=options)
        end.wait(60)

    replies = stubs.embed.EmbedStream(requests(), timeout=60)
    assert next(replies).id == "a"
    assert load(stubs, "mine", "2").state == READY
    assert listed(stubs)["mine", "1"] == model_pb2.MODEL_STATE_UNLOADING
    end.set()
    assert list(replies) == []
    eventually(lambda: ("mine", "1") not in listed(stubs))


def test_series_of_an_unloaded_model_are_gone(repository, serve):
    put(repository, "mine", "1")
    stubs = serve()
    stubs.call("mine")

    def metrics():
        with urllib.request.urlopen(f"http://{stubs.server.http}/metrics", timeout=10) as reply:
            return reply.read().decode()

    assert 'nearfield_inputs_total{model="mine"} 1.0' in metrics()
    unload(stubs, "mine")
    text = metrics()
    assert "nearfield_model_unloads_total 1.0" in text
    refused(lambda: stubs.call("mine"), "UNAVAILABLE", "not loaded")
    text = metrics()
    assert 'model="mine"' not in text
    assert 'nearfield_models{state="unloaded"} 1.0' in text


def test_versions_in_their_natural_order():
    assert sorted(["v10", "v9", "v1.10", "v1.9", "2", "10"], key=natural_order) == [
        "2",
        "10",
        "v1.9",
        "v1.10",
        "v9",
        "v10",
    ]


def test_links_that_lead_out_of_the_repository_are_no_models(tmp_path):
    outside = tmp_path / "outside" / "1"
    outside.mkdir(parents=True)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "linked").symlink_to(outside.parent)
    (tmp_path / "models" / "good").mkdir()
    (tmp_path / "models" / "good" / "1").symlink_to(outside)
    (tmp_path / "models" / "good" / "2").mkdir()
    (tmp_path / "models" / ".hidden" / "1").mkdir(parents=True)
    repository = Repository(tmp_path / "models")
    assert (repository.names(), repository.versions("good")) == (["good"], ["2"])
    assert repository.folder("good", "1") is None
