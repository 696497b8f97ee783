"""Fits in real worker processes: stages, bounds of memory, and what becomes of a lost one."""

import asyncio
import os
import signal

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from nearfield_server.core.clustering.estimate import estimated_bytes
from nearfield_server.core.clustering.fits import Task, run_fit
from nearfield_server.core.clustering.nouns import FitOptions, LabelOptions, Method
from nearfield_server.core.computing.matter import Matter
from nearfield_server.core.computing.pool import ComputePool, Lane, PoolSettings
from nearfield_server.errors import TooLarge, Unavailable
from nearfield_server.telemetry.cluster_metrics import CLUSTER_STAGES, ClusterMetrics

pytestmark = pytest.mark.slow

GIB = 1 << 30
MIB = 1 << 20


@pytest.fixture
def work(tmp_path):
    """Fit rows by a pool of one worker, some times: `work(rows, options, memory_bytes=…, told=…)`."""

    def done(rows, options, memory_bytes=GIB, told=lambda _pool, _stage: None, times=1):
        settings = PoolSettings(
            workers=1, max_waiting=1, threads=1, memory_bytes=memory_bytes, idle_seconds=60.0, cache_dir=tmp_path
        )

        async def run():
            pool, matter = ComputePool(settings, ClusterMetrics(CollectorRegistry())), Matter(rows.shape[1])
            try:
                matter.add(rows, [""] * len(rows), [])
                for _ in range(times):
                    async with pool.turn(Lane.CALLS):
                        task = Task(matter=matter, options=options)
                        found = await run_fit(pool, task, lambda stage, _: told(pool, stage))
                return found
            finally:
                matter.close()
                await pool.close()

        return asyncio.run(run())

    return done


def test_stages_are_told_from_the_start_and_a_worker_stays(work, blobs):
    stages, workers = [], set()

    def told(pool, stage):
        stages.append(stage)
        workers.update(pool.pids)

    fitted, arrays = work(blobs(3, 60)[0], FitOptions(k=3), told=told, times=2)
    assert list(dict.fromkeys(stages)) == ["start", *CLUSTER_STAGES]
    assert stages.count("start") == 2
    assert len(workers) == 1
    assert len(arrays.clusters) == fitted.items == 60


@pytest.mark.parametrize("options", [FitOptions(k=20), FitOptions(method=Method.AGGLOMERATIVE, k=20)])
def test_a_fit_over_its_memory_is_too_large(work, unit, options):
    rows = unit(np.random.default_rng(0).standard_normal((5000, 384)))
    with pytest.raises(TooLarge, match=r"at most 4 MiB \(cluster.memory_bytes\) may be taken; try fewer items"):
        work(rows, options, memory_bytes=4 * MIB)


@pytest.mark.parametrize(("ended_by", "raised"), [(signal.SIGSEGV, TooLarge), (signal.SIGKILL, Unavailable)])
def test_a_worker_that_is_lost(work, blobs, ended_by, raised):
    def told(pool, stage):
        if stage == "order":
            os.kill(pool.pids[0], ended_by)

    with pytest.raises(raised):
        work(blobs(3, 6000, width=64)[0], FitOptions(k=50), told=told)


@pytest.mark.parametrize("method", [Method.KMEANS, Method.AGGLOMERATIVE])
def test_estimates_hold_what_is_taken(work, unit, method):
    rows = unit(np.random.default_rng(0).standard_normal((4000, 384)))
    options = FitOptions(method=method, k=20, labels=LabelOptions(disabled=True))
    fitted, _ = work(rows, options)
    assert 0.1 < fitted.peak_memory_bytes / estimated_bytes(options, 4000, 384, 0) < 1.0
