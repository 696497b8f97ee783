"""Three nodes on this machine, two of which are killed while a job runs."""

import os
import sys
from functools import partial

import numpy as np
import pytest
import works
from sklearn.metrics import v_measure_score

from nearfield_server.cli.engines import ClusterRequest, EmbedRequest, Engine, run_cluster, run_embed

pytestmark = [pytest.mark.long, pytest.mark.slow]
pytest.importorskip("ray")


@pytest.fixture
def cluster(monkeypatch):
    from ray.cluster_utils import Cluster  # noqa: PLC0415  starts in half a second

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    quick = {"health_check_initial_delay_ms": 1000, "health_check_period_ms": 500, "health_check_failure_threshold": 2}
    node = {"num_cpus": 1, "object_store_memory": 100 * 2**20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "_system_config": quick})
    try:
        cluster.lost = [cluster.add_node(**node) for _ in range(2)]
        yield cluster
    finally:
        cluster.shutdown()


@pytest.fixture
def replaced(monkeypatch):
    """Places of actors that were made again."""
    from nearfield_server.executors.ray import RayHolding  # noqa: PLC0415  starts in half a second

    places, replace = [], RayHolding._replace
    monkeypatch.setattr(
        RayHolding, "_replace", lambda self, place, error: (places.append(place), replace(self, place, error))
    )
    return places


def test_a_job_survives_two_of_three_nodes(cluster, replaced, write, blobs, parts_of, tmp_path):
    rows, labels = blobs
    file = write("a", embedding=rows)
    iterations = []

    def told(iteration, objective):
        iterations.append(objective)
        if iteration == 1:
            # Both, as either may have an actor of the job.
            for node in cluster.lost:
                cluster.remove_node(node, allow_graceful=False)

    request = ClusterRequest(
        files=(file,), out=tmp_path / "there", k=12, seed=3, shard_rows=100, iterations=6, told=told,
        engine=Engine(name="ray", ray_address=cluster.address),
    )  # fmt: skip
    found = run_cluster(request)
    assert len(iterations) >= 2
    assert replaced
    here = ClusterRequest(files=(file,), out=tmp_path / "here", k=12, seed=3, shard_rows=100, iterations=6)
    np.testing.assert_allclose(found.centroids, run_cluster(here).centroids, atol=1e-5)
    clusters = parts_of(tmp_path / "there").column("cluster").to_numpy()
    np.testing.assert_array_equal(clusters, parts_of(tmp_path / "here").column("cluster").to_numpy())
    assert v_measure_score(labels, clusters) > 0.8


def test_embedding_survives_a_node(cluster, write, parts_of, tmp_path):
    texts = [f"text {at}" for at in range(3000)]
    head = cluster.head_node.node_id
    request = EmbedRequest(
        files=(write("a", text=texts),),
        out=tmp_path / "out",
        engine=Engine(name="ray", ray_address=cluster.address),
        shard_rows=100,
        open_embedder=partial(works.embedder_that_takes_its_node_along, str(tmp_path), head),
        about={},
    )
    assert run_embed(request).vectors == 3000
    assert (tmp_path / "died").exists()
    table = parts_of(tmp_path / "out")
    assert table.column("row").to_pylist() == list(range(3000))
    assert table.column("embedding").to_pylist() == [[len(text), 1] for text in texts]
