"""On a real Ray: a cluster of this process's own, which ends with the tests."""

import operator
import os
import sys
from functools import partial

import conformance
import numpy as np
import psutil
import pytest
import works

from nearfield_server.cli.engines import (
    ClusterRequest,
    DedupRequest,
    EmbedRequest,
    Engine,
    run_cluster,
    run_dedup,
    run_embed,
)
from nearfield_server.cli.failures import CliError
from nearfield_server.executors.base import JobFailure

pytestmark = [pytest.mark.long, pytest.mark.slow]
pytest.importorskip("ray")


def of_ray():
    return {one.pid for one in psutil.Process().children(recursive=True) if "ray" in " ".join(one.cmdline())}


@pytest.fixture(scope="module")
def importable():
    """Lets workers import what this process can."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        yield


@pytest.fixture(scope="module")
def ray_executor(importable):
    from nearfield_server.executors.ray import RayExecutor  # noqa: PLC0415  starts in half a second

    executor = RayExecutor(num_cpus=2, object_store_memory=100 * 2**20)
    assert of_ray()
    yield executor
    executor.close()
    gone = [psutil.Process(pid) for pid in of_ray() if psutil.pid_exists(pid)]
    assert psutil.wait_procs(gone, timeout=10)[1] == []


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "127.0.0.1:99999"])
def test_a_cluster_that_is_not_there_is_told_at_once(address, write, tmp_path):
    engine = Engine(name="ray", ray_address=address)
    file = write("a", embedding=np.ones((3, 2), np.float32))
    with pytest.raises(CliError, match=f"no Ray cluster at {address}"):
        run_dedup(DedupRequest(files=(file,), out=tmp_path / "out", threshold=0.9, engine=engine))


class TestRay(conformance.Conformance):
    @pytest.fixture
    def executor(self, ray_executor):
        return ray_executor

    def test_a_lost_actor_is_made_again_and_the_step_taken_once_more(self, executor, tmp_path):
        holding = executor.hold(works.opened, [1, 2, 3])
        try:
            step = partial(works.dies_at_first_step, str(tmp_path))
            assert holding.reduce(step, 10, operator.add) == 60
            assert (tmp_path / "died").exists()
            assert holding.reduce(works.scaled, 1, operator.add) == 6
        finally:
            holding.close()

    def test_jobs_give_the_same_on_either_engine(self, executor, write, blobs, parts_of, tmp_path):
        rows = np.concatenate([blobs[0], blobs[0][:300] * 2])
        files = (write("a", embedding=rows, text=[f"text {at % 1100}" for at in range(1500)]),)
        for engine in (Engine(name="ray"), Engine(workers=2)):
            shared = {"files": files, "engine": engine, "shard_rows": 200}
            run_cluster(ClusterRequest(out=tmp_path / "clusters" / engine.name, k=12, **shared))
            run_dedup(DedupRequest(out=tmp_path / "dedup" / engine.name, threshold=0.97, text_column="text", **shared))
        for job in ("clusters", "dedup"):
            there, here = (parts_of(tmp_path / job / name) for name in ("ray", "local"))
            for column in {*here.column_names} - {"distance", "similarity"}:
                assert there.column(column).to_pylist() == here.column(column).to_pylist(), (job, column)

    def test_shards_are_embedded_and_a_lost_worker_costs_none(self, executor, write, parts_of, tmp_path):
        request = EmbedRequest(
            files=(write("a", text=[f"text {at}" for at in range(450)]),),
            out=tmp_path / "out",
            engine=Engine(name="ray"),
            shard_rows=100,
            open_embedder=partial(works.embedder_that_dies, str(tmp_path)),
            about={},
        )
        assert run_embed(request).vectors == 450
        assert (tmp_path / "died").exists()
        assert parts_of(tmp_path / "out").column("row").to_pylist() == list(range(450))

    def test_an_actor_that_is_lost_each_time_ends_the_call(self, executor):
        holding = executor.hold(works.opened, [1])
        try:
            with pytest.raises(JobFailure, match="an actor was lost 3 times"):
                holding.reduce(works.dies_at_each_step, 1, operator.add)
        finally:
            holding.close()
