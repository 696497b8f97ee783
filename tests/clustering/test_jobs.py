"""Jobs over collections: their life, what cancels them, and what is true after kill -9."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from cluster_wire import Clusters, ints, items
from google.longrunning import operations_pb2
from google.rpc import code_pb2
from sklearn.metrics import adjusted_rand_score

import nearfield
from nearfield.v1 import cluster_pb2

pytestmark = pytest.mark.slow
NEARFIELD = Path(sys.executable).with_name("nearfield")
STATE = cluster_pb2.ClusteringState.Name
LONG = {"min_k": 200, "max_k": 2000}
"""Options of a fit that takes a minute or more on the rows of `large`."""


def fill(target, name, rows):
    with nearfield.Client(target) as client:
        made = client.create_collection(name, dimensions=rows.shape[1])
        made.upsert([{"id": at, "vector": row} for at, row in enumerate(rows)], wait=True, vector="vector")


@pytest.fixture(scope="module")
def large():
    """Rows without clusters."""
    return np.random.default_rng(0).normal(size=(12_000, 64)).astype(np.float32)


@pytest.fixture(scope="module")
def here(start_server, open_clusters, blobs, large):
    """A server with a small and a large collection; `.labels` of the small one."""
    server = start_server(cluster={"max_waiting": 1})
    rows, labels = blobs(3, 30)
    fill(server.target, "small", rows)
    fill(server.target, "large", large)
    clusters = open_clusters(server.target)
    clusters.labels = labels
    clusters.server = server.server
    return clusters


def progress_of(operation):
    message = cluster_pb2.ClusteringProgress()
    assert operation.metadata.Unpack(message)
    return message


def running(clusters, id_, attempt=1):
    """Wait until a job is being fitted."""
    for reply in clusters("WatchClustering", id=id_):
        if (reply.progress.stage, reply.progress.attempts) == ("fit", attempt):
            return
    pytest.fail("it ended before")


def worker_pids(parent):
    return [one.pid for one in psutil.Process(parent).children() if "computing.worker" in " ".join(one.cmdline())]


def gone(pid, seconds=5.0):
    """Wait until a process has ended; a zombie has."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False


def test_a_job_from_its_start_to_its_result(here):
    begun = here("StartClustering", options={"k": 3}, collection={"collection": "small"})
    assert begun.name.startswith("operations/")
    assert not begun.done
    told = [one.progress for one in here("WatchClustering", id=begun.name)]
    assert STATE(told[-1].state) == "CLUSTERING_STATE_DONE"
    assert (told[-1].fraction, told[-1].items, told[-1].attempts) == (1.0, 90, 1)
    fractions = [one.fraction for one in told]
    assert fractions == sorted(fractions)
    done = here("WaitOperation", name=begun.name)
    assert done == here("GetOperation", name=begun.name)
    head = cluster_pb2.Clustering()
    assert done.done
    assert done.response.Unpack(head)
    assert f"operations/{head.id}" == begun.name
    kept = here.get(head.id)
    assert kept.clustering == head
    assert adjusted_rand_score(here.labels, kept.labels) == 1.0
    assert [one.number for one in kept.ids] == list(range(90))
    assert head.expires_at.seconds - head.created_at.seconds == 7 * 86_400
    listed = here("ListOperations", filter="done=true", page_size=1000).operations
    assert begun.name in [one.name for one in listed]
    here("DeleteOperation", name=begun.name)
    assert here.refused("GetOperation", name=begun.name).code == "NOT_FOUND"
    assert here.get(head.id).labels == kept.labels


def test_the_operation_of_a_deleted_clustering_says_so(here):
    begun = here("StartClustering", options={"k": 2}, collection={"collection": "small"})
    id_ = here("WaitOperation", name=begun.name).name.removeprefix("operations/")
    here("DeleteClustering", id=id_)
    assert here("GetOperation", name=begun.name).error.code == code_pb2.NOT_FOUND


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"options": {"k": 91}, "collection": {"collection": "small"}}, "INVALID_ARGUMENT", "options.k"),
        ({"options": {"k": 0}, "collection": {"collection": "small"}}, "INVALID_ARGUMENT", "options.k"),
        ({"collection": {"collection": "smal"}}, "NOT_FOUND", ""),
        ({"collection": {"collection": "small", "filter_expression": "a = 1"}}, "FAILED_PRECONDITION", ""),
        ({"options": {"method": 3}, "collection": {"collection": "large"}}, "INVALID_ARGUMENT", "collection"),
        ({"options": {"previous": "none"}, "collection": {"collection": "small"}}, "NOT_FOUND", ""),
        ({}, "INVALID_ARGUMENT", "collection.collection"),
    ],
)
def test_what_cant_be_done_is_refused_before_it_begins(here, fields, code, field):
    before = len(here("ListOperations", page_size=1000).operations)
    failure = here.refused("StartClustering", **fields)
    assert (failure.code, failure.field) == (code, field)
    assert len(here("ListOperations", page_size=1000).operations) == before


def test_a_cancelled_job_ends_at_once(here):
    begun = here("StartClustering", options=LONG, collection={"collection": "large"})
    running(here, begun.name)
    (pid,) = here.server.computations.pool.pids
    failure = here.refused("GetClustering", id=begun.name)
    assert (failure.code, "wait for it" in failure.message) == ("FAILED_PRECONDITION", True)
    assert here.refused("DeleteOperation", name=begun.name).code == "FAILED_PRECONDITION"
    waited = here("WaitOperation", name=begun.name, timeout={"nanos": 1})
    assert not waited.done
    started = time.monotonic()
    here("CancelOperation", name=begun.name)
    assert gone(pid)
    took = time.monotonic() - started
    print(f"\ncancelled, and its worker gone, in {took:.3f} s")
    assert took < 2.0
    ended = here("GetOperation", name=begun.name)
    assert (ended.done, ended.error.code) == (True, code_pb2.CANCELLED)
    assert STATE(progress_of(ended).state) == "CLUSTERING_STATE_CANCELLED"
    here("CancelOperation", name=begun.name)
    assert here.refused("GetClustering", id=begun.name).code == "FAILED_PRECONDITION"


def test_jobs_wait_for_each_other_and_calls_dont_wait_for_jobs(here, blobs):
    names = [
        here("StartClustering", options=LONG, collection={"collection": "large"}).name,
        here("StartClustering", options={"k": 3}, collection={"collection": "small"}).name,
    ]
    running(here, names[0])
    assert STATE(progress_of(here("GetOperation", name=names[1])).state) == "CLUSTERING_STATE_QUEUED"
    failure = here.refused("StartClustering", options={"k": 3}, collection={"collection": "small"})
    assert (failure.code, failure.reason, failure.retry) == ("RESOURCE_EXHAUSTED", "OVERLOADED", True)
    rows, labels = blobs(2, 10)
    made = here("Cluster", options={"k": 2}, items=items(vectors=rows))
    assert adjusted_rand_score(labels, ints(made.assignments.clusters)) == 1.0
    here("CancelOperation", name=names[0])
    assert here("WaitOperation", name=names[1]).response.ByteSize()


def endless(here, rows, seconds):
    """Begin to cluster rows by a stream; give the call once it is being fitted, and its worker."""
    requests = [cluster_pb2.ClusterStreamRequest(options={"options": LONG})]
    parts = (rows[at : at + 500] for at in range(0, len(rows), 500))
    requests += [cluster_pb2.ClusterStreamRequest(items=items(vectors=part)) for part in parts]
    call = here.stub.ClusterStream(iter(requests), timeout=seconds)
    next(reply for reply in call if reply.progress.stage == "fit")
    (pid,) = here.server.computations.pool.pids
    return call, pid


def test_a_call_that_is_cancelled_ends_its_worker(here, large):
    call, pid = endless(here, large, 60)
    call.cancel()
    assert gone(pid)


def test_a_deadline_ends_the_worker_too(here, large):
    here("Cluster", options={"k": 1}, items=items(vectors=large[:2]))  # a warm worker begins at once
    call, pid = endless(here, large, 6)
    assert Clusters.code(lambda: list(call)) == "DEADLINE_EXCEEDED"
    assert gone(pid)


@pytest.mark.long
def test_a_job_whose_process_is_killed_is_begun_again(start_server, open_clusters, large):
    server = start_server(cluster={"max_attempts": 2})
    fill(server.target, "large", large)
    here = open_clusters(server.target)
    begun = here("StartClustering", options=LONG, collection={"collection": "large"})
    for attempt in (1, 2):
        running(here, begun.name, attempt)
        (pid,) = server.server.computations.pool.pids
        os.kill(pid, signal.SIGKILL)
        assert gone(pid)
    ended = here("WaitOperation", name=begun.name)
    assert ended.error.code == code_pb2.UNAVAILABLE
    assert "memory" in ended.error.message
    assert progress_of(ended).attempts == 2
    failure = here.refused("GetClustering", id=begun.name)
    assert (failure.code, "no result" in failure.message) == ("FAILED_PRECONDITION", True)


@pytest.mark.long
def test_kill_9_leaves_nothing_untrue(tmp_path, open_clusters, blobs, large):
    target = f"unix:{tmp_path}/grpc.sock"
    command = [NEARFIELD, "serve", "--listen", target, "--http", "", "--data-dir", tmp_path / "data"]

    def serve():
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        with nearfield.Client(target) as client:
            client.wait_ready(60)
        return process, open_clusters(target)

    process, here = serve()
    try:
        rows, labels = blobs(3, 30)
        fill(target, "small", rows)
        fill(target, "large", large)
        whole = here("StartClustering", options={"k": 3}, collection={"collection": "small"})
        before = here("WaitOperation", name=whole.name)
        cut = here("StartClustering", options=LONG, collection={"collection": "large"})
        queued = here("StartClustering", options={"k": 3}, collection={"collection": "small"})
        running(here, cut.name)
        workers = worker_pids(process.pid)
        assert workers
        process.kill()
        process.wait()
        assert all(gone(pid) for pid in workers)
        assert not list((tmp_path / "data" / "clusterings").glob("*.making"))

        process, here = serve()
        assert here("GetOperation", name=whole.name) == before
        running(here, cut.name, attempt=2)
        again = progress_of(here("GetOperation", name=cut.name))
        assert (STATE(again.state), again.attempts) == ("CLUSTERING_STATE_RUNNING", 2)
        here("CancelOperation", name=cut.name)
        done = here("WaitOperation", name=queued.name)
        assert adjusted_rand_score(labels, here.get(done.name).labels) == 1.0
        assert {one.name for one in here("ListOperations").operations} == {whole.name, cut.name, queued.name}
    finally:
        process.terminate()
        process.wait()
    assert not worker_pids_of_all(tmp_path)


def worker_pids_of_all(folder):
    """Give workers whose cache lies in a folder."""
    found = []
    for one in psutil.process_iter():
        try:
            if "computing.worker" in " ".join(one.cmdline()) and str(folder) in " ".join(one.environ().values()):
                found.append(one.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found


def test_a_job_that_was_begun_too_often_fails(tmp_path, start_server, open_clusters, blobs):
    """What kills the server each time must not do so for ever."""
    server = start_server(data_dir=tmp_path, cluster={"max_attempts": 1})
    rows, _ = blobs(2, 5)
    fill(server.target, "points", rows)
    here = open_clusters(server.target)
    begun = here("StartClustering", options={"k": 2}, collection={"collection": "points"})
    assert here("WaitOperation", name=begun.name).response.ByteSize()
    pages = here("ListOperations", page_size=1)
    assert isinstance(pages.operations[0], operations_pb2.Operation)
    assert not pages.next_page_token


def test_failures_are_told_alike_by_stream_and_call(here):
    requests = [cluster_pb2.ClusterStreamRequest(options={"options": {"method": 3}})]
    failure = Clusters.failure(lambda: list(here.stub.ClusterStream(iter(requests), timeout=60)))
    assert (failure.code, failure.field) == ("INVALID_ARGUMENT", "items")
