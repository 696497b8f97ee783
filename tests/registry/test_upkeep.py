"""What happens to models without anybody asking: following the folder, sleep."""

import time
import urllib.request

import grpc
import pytest

from nearfield.v1 import model_pb2

from .calls import FAILED, READY, UNLOADED, alias, eventually, listed, present, refused, unload
from .conftest import put

pytestmark = pytest.mark.slow


def test_a_model_that_nobody_calls_sleeps_and_wakes(repository, serve):
    put(repository, "mine", "1")
    stubs = serve(repository={"idle_unload_seconds": 0.4})
    idle = model_pb2.MODEL_STATE_IDLE
    deadline = time.monotonic() + 30
    eventually(lambda: set(listed(stubs).values()) == {idle})
    # The server is as ready as before: a call is all that it takes.
    with urllib.request.urlopen(f"http://{stubs.server.http}/healthz", timeout=10) as reply:
        assert reply.status == 200
    refused(lambda: stubs.call("mine"), "UNAVAILABLE", "is loading")
    while True:
        try:
            assert stubs.call("mine").model == "mine"
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            break


def test_following_the_folder(repository, serve, caplog):
    put(repository, "mine", "1")
    stubs = serve(repository={"poll_seconds": 0.1})
    put(repository, "mine", "2")
    eventually(lambda: present(stubs, "mine") == "2")
    # One that is broken, or that can't go for its alias, stands in nobody's way.
    put(repository, "broken", "1", onnx__model_dot_onnx=b"no graph")
    put(repository, "named", "1")
    put(repository, "new", "1")
    eventually(
        lambda: {("new", "1"), ("named", "1")} <= {one for one, state in listed(stubs).items() if state == READY}
    )
    assert listed(stubs)["broken", "1"] == FAILED
    alias(stubs, "kept", "named")
    for name in ("broken", "named", "new"):
        (repository / name).rename(repository.parent / name)
    eventually(lambda: not {("new", "1"), ("broken", "1")} & set(listed(stubs)))
    assert stubs.call("kept").model == "named"
    # A version that goes leaves its place to the one before.
    eventually(lambda: ("mine", "1") not in listed(stubs))
    (repository / "mine" / "2").rename(repository.parent / "mine-2")
    eventually(lambda: present(stubs, "mine") == "1")
    # A repository that can't be read is no reason to unload anything.
    repository.rename(repository.parent / "elsewhere")
    eventually(lambda: caplog.text.count("the model repository can't be read") > 2)
    (repository.parent / "elsewhere").rename(repository)
    eventually(lambda: listed(stubs) == {("all-MiniLM-L6-v2", ""): READY, ("mine", "1"): READY, ("named", "1"): READY})


def test_following_loads_nothing_that_the_start_left_out(repository, serve):
    put(repository, "mine", "1")
    stubs = serve(repository={"poll_seconds": 0.05, "startup": "none"})
    put(repository, "mine", "2")
    eventually(lambda: present(stubs, "mine") == "2")
    put(repository, "other", "1")
    eventually(lambda: ("other", "1") in listed(stubs))
    unload(stubs, "mine")
    put(repository, "third", "1")
    eventually(lambda: ("third", "1") in listed(stubs))
    assert listed(stubs)["mine", "2"] == UNLOADED
