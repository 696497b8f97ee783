"""A disk that takes no more, under a server in a process of its own: what was acknowledged stays."""

import resource
import subprocess
import sys
from pathlib import Path

import grpc
import pytest

import nearfield
from nearfield.v1 import search_pb2, search_pb2_grpc

NEARFIELD = Path(sys.executable).with_name("nearfield")


@pytest.fixture
def serve(tmp_path):
    target, running = f"unix:{tmp_path}/socket", []

    def serve():
        listen = ["--listen", target, "--http", "", "--data-dir", tmp_path / "data"]
        running.append(subprocess.Popen([NEARFIELD, "serve", *listen], stderr=subprocess.DEVNULL))
        with nearfield.Client(target) as client:
            client.wait_ready(30)
        return running[-1], target

    yield serve
    for one in running:
        one.kill()
        one.wait(30)


def messages(first, count):
    for number in range(first, first + count):
        points = [{"id": {"number": 10 * number + n}, "vector": b"\0\0\x80?" * 8, "text": "x" * 5000} for n in range(5)]
        yield search_pb2.UpsertStreamRequest(id=str(number), upsert={"collection": "docs", "points": points})


@pytest.mark.slow
def test_a_full_disk_refuses_writes_and_loses_none(serve, tmp_path):
    server, target = serve()
    with nearfield.Client(target) as client, grpc.insecure_channel(target) as channel:
        docs = client.create_collection("docs", dimensions=8)
        stub = search_pb2_grpc.SearchServiceStub(channel)
        stored = {one.id for one in stub.UpsertStream(messages(0, 10)) if one.WhichOneof("outcome") == "stored"}
        assert len(stored) == 10
        (log,) = (tmp_path / "data").rglob("points.sqlite3-wal")
        limits = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (log.stat().st_size + 100_000, limits[1]))
        replies = list(stub.UpsertStream(messages(10, 40)))
        assert len(replies) == 40
        refused = [one.error for one in replies if one.WhichOneof("outcome") == "error"]
        stored |= {one.id for one in replies if one.WhichOneof("outcome") == "stored"}
        assert refused
        assert {one.code for one in refused} == {grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]}
        assert all("free space, then send it again" in one.message for one in refused)
        assert docs.count() == 5 * len(stored)
        assert docs.search([1.0] * 8, top_k=3)
        assert client.embed(["the model serves on"]).shape == (1, 384)
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, limits)  # space is freed
        for reply in stub.UpsertStream(messages(10, 40)):
            assert reply.WhichOneof("outcome") == "stored"
        assert docs.count() == 250
    server.kill()
    server.wait(30)
    _, target = serve()
    with nearfield.Client(target) as client:
        assert client.collection("docs").count() == 250
