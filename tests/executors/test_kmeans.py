import numpy as np
import pytest
from sklearn.metrics import v_measure_score

from nearfield_server.core.clustering.fit.centres import Centres
from nearfield_server.core.clustering.fit.kmeans import fit_kmeans
from nearfield_server.executors.base import JobFailure
from nearfield_server.executors.held import Sums
from nearfield_server.executors.kmeans import KMeans, _moved, cluster_shards
from nearfield_server.executors.shards import Parts, shards_of
from nearfield_server.vectors.finish import unit_rows

pytestmark = pytest.mark.slow


@pytest.fixture
def clustered(local, tmp_path):
    def call(files, **job):
        shards = shards_of(files, 100, ["embedding"])
        parts = Parts(tmp_path / "out", {})
        parts.prepare(shards, overwrite=True)
        return cluster_shards(local, KMeans(**job), shards, parts)

    return call


def test_as_good_as_on_one_machine(clustered, write, blobs, parts_of, tmp_path):
    rows, labels = blobs
    files = [write("a", embedding=rows[:500], name=[f"n{at}" for at in range(500)])]
    files.append(write("b", embedding=rows[500:], name=[f"n{at}" for at in range(500, 1200)]))
    found = clustered(files, k=12, seed=3, id_column="name")
    table = parts_of(tmp_path / "out")
    assert table.column_names == ["row", "id", "cluster", "distance"]
    assert table.column("row").to_pylist() == list(range(1200))
    assert table.column("id").to_pylist() == [f"n{at}" for at in range(1200)]
    unit = unit_rows(rows)
    here = Centres.of(unit, fit_kmeans(unit, 12, 3)).nearest
    there = table.column("cluster").to_numpy()
    assert v_measure_score(labels, there) >= v_measure_score(labels, here) - 0.01
    assert v_measure_score(labels, there) > 0.8
    np.testing.assert_array_equal(np.bincount(there, minlength=12), found.sizes)
    np.testing.assert_allclose(np.linalg.norm(found.centroids, axis=1), 1.0, atol=1e-6)
    mine = 1 - np.einsum("nw,nw->n", unit, found.centroids[there])
    np.testing.assert_allclose(table.column("distance").to_numpy(), mine, atol=1e-5)


def test_the_same_seed_the_same_clusters(clustered, write, blobs):
    file = write("a", embedding=blobs[0])
    first, second = (clustered([file], k=5, seed=1).centroids for _ in range(2))
    np.testing.assert_allclose(first, second, atol=1e-6)
    assert np.abs(first - clustered([file], k=5, seed=2).centroids).max() > 1e-3


def test_rows_without_a_vector_are_in_no_cluster(clustered, write, blobs, parts_of, tmp_path):
    rows = blobs[0].copy()
    rows[7] = 0
    rows[150] = np.nan
    assert clustered([write("a", embedding=rows)], k=3).left_out == 2
    table = parts_of(tmp_path / "out")
    assert np.flatnonzero(table.column("cluster").to_numpy() == -1).tolist() == [7, 150]
    assert table.column("distance")[7].as_py() is None


def test_a_shard_without_any_vector(clustered, write, blobs):
    rows = blobs[0][:300].copy()
    rows[100:200] = 0
    assert sum(clustered([write("a", embedding=rows)], k=3).sizes) == 200


def test_fewer_rows_that_differ_than_clusters(clustered, write, blobs):
    file = write("a", embedding=np.repeat(blobs[0][:2], 50, axis=0))
    with pytest.raises(JobFailure, match="only 2 differ, fewer than the 3 clusters"):
        clustered([file], k=3)
    with pytest.raises(JobFailure, match="fewer than the 200 clusters"):
        clustered([file], k=200)


def test_every_row_a_cluster(clustered, write, blobs):
    assert clustered([write("a", embedding=blobs[0][:6])], k=6).sizes == (1,) * 6


def test_vectors_of_different_widths(clustered, write, blobs):
    files = [write("a", embedding=blobs[0][:50]), write("b", embedding=blobs[0][:50, :8])]
    with pytest.raises(JobFailure, match="different widths: 8, 16"):
        clustered(files, k=3)


def test_an_empty_cluster_moves_to_the_row_that_fits_worst():
    centroids = np.eye(3, dtype=np.float32)
    stray = np.array([[0.6, 0, 0.8]], np.float32)
    rows = np.array([[2.0, 0, 0], [0, 0, 0], [0, 0, 3.0]])
    found = Sums(rows, np.array([2, 0, 3]), 4.8, stray, np.array([0.8], np.float32))
    np.testing.assert_allclose(_moved(found, centroids), [[1, 0, 0], [0.6, 0, 0.8], [0, 0, 1]])


def test_an_empty_cluster_stays_where_no_row_fits_badly():
    centroids = np.eye(2, dtype=np.float32)
    found = Sums(np.array([[2.0, 0], [0, 0]]), np.array([2, 0]), 2.0, centroids[:1], np.ones(1, np.float32))
    np.testing.assert_allclose(_moved(found, centroids), centroids)
