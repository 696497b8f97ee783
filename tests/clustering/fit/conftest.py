import numpy as np
import pytest

from nearfield_server.core.clustering.fit.fitting import FitJob, fit
from nearfield_server.core.clustering.nouns import FitOptions


@pytest.fixture(scope="session")
def unit():
    """Rows of length 1."""

    def made(rows):
        rows = np.asarray(rows, np.float32)
        return np.ascontiguousarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))

    return made


@pytest.fixture(scope="session")
def blobs(unit):
    """Rows around some directions, and which direction each is around: `blobs(clusters=5, rows=200)`."""

    def made(clusters, rows, width=16, seed=0, noise=0.15):
        random = np.random.default_rng(seed)
        centres = unit(random.standard_normal((clusters, width)))
        truth = np.arange(rows) % clusters
        return unit(centres[truth] + noise * unit(random.standard_normal((rows, width)))), truth

    return made


@pytest.fixture(scope="session")
def fitted():
    """Fit rows: `fitted(rows, texts=[…], k=3)`."""

    def made(rows, texts=(), keys=(), **options):
        return fit(FitJob(rows=rows, texts=texts, keys=keys, options=FitOptions(**options)))

    return made


@pytest.fixture(scope="session")
def sound():
    """Check what holds for every fit."""

    def check(result, count):
        told, arrays = result
        assert told.items == count == len(arrays.clusters) == len(arrays.strengths) == len(arrays.nearest)
        ids = [one.id for one in told.clusters]
        assert len(set(ids)) == len(ids) == len(arrays.centroids)
        sizes = {one.id: one.size for one in told.clusters}
        assert sizes == {one: int((arrays.clusters == one).sum()) for one in ids}
        assert min(sizes.values(), default=1) >= 1
        assert told.noise == int((arrays.clusters == -1).sum()) == count - sum(sizes.values())
        for array in (arrays.strengths, arrays.centroids, arrays.deciles):
            assert np.isfinite(array).all()
        assert ((arrays.strengths >= 0) & (arrays.strengths <= 1)).all()
        np.testing.assert_allclose(np.linalg.norm(arrays.centroids, axis=1), 1.0, atol=1e-5)
        assert all(arrays.clusters[one.medoid.row] == one.id for one in told.clusters)

    return check
