"""Kept maps outlive the server; what isn't what was stored is told; items of another model are refused."""

import importlib.util
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from nearfield_server.core.computing.gatherer import Gathered
from nearfield_server.core.computing.items import Origin
from nearfield_server.core.projection.fit.fitting import MapJob, fit
from nearfield_server.core.projection.fits import check_libraries
from nearfield_server.core.projection.kept import KeptProjections
from nearfield_server.core.projection.nouns import Projection, ProjectionHead, ProjectOptions, Way
from nearfield_server.core.projection.projector import _check_model, _check_placed
from nearfield_server.errors import DataDamaged, FailedPrecondition, InvalidInput, ProjectionNotFound, TooLarge
from nearfield_server.rpc.projection_convert import pages
from nearfield_server.telemetry.cluster_metrics import ClusterMetrics
from nearfield_server.types import EmbedOptions


@pytest.fixture
def made(make_groups):
    """A map of 30 items, and its arrays."""
    rows, _ = make_groups(30)
    projected, arrays = fit(MapJob(rows=rows, options=ProjectOptions(method=Way.PCA)))
    head = ProjectionHead(
        id="0123456789ab",
        projected=projected,
        origin=Origin(model="m", model_version="1", dimensions=16),
        embedding=EmbedOptions(model="m"),
        created_at=datetime.now(UTC),
        expires_at=None,
    )
    ids = [*range(29), "last"]
    return Projection(
        head=head, coordinates=arrays.coordinates, ids=ids, positions=np.arange(30, dtype=np.uint64)
    ), arrays


@pytest.fixture
def open_kept(tmp_path):
    def give():
        return KeptProjections(tmp_path / "projections", 1, ClusterMetrics(CollectorRegistry()))

    return give


async def test_a_map_outlives_the_server(made, open_kept):
    one, arrays = made
    kept = open_kept()
    await kept.save_whole(one, arrays)
    with pytest.raises(FailedPrecondition, match=r"cluster\.max_kept"):
        kept.check_room()
    again = open_kept()
    await again.open()
    found = await again.load(one.head.id)
    await again.close()
    assert found.head == one.head
    assert found.ids == one.ids
    np.testing.assert_array_equal(found.coordinates, one.coordinates)
    np.testing.assert_array_equal(found.positions, one.positions)
    with pytest.raises(ProjectionNotFound, match="did you mean 0123456789ab"):
        await again.load("0123456789aX")


@pytest.mark.parametrize(("name", "content"), [("arrays.bin", b"short"), ("shapes.json", b"{}"), ("ids.json", b"{")])
async def test_a_damaged_map_is_told(made, open_kept, tmp_path, name, content):
    one, arrays = made
    kept = open_kept()
    await kept.save_whole(one, arrays)
    (tmp_path / "projections" / one.head.id / name).write_bytes(content)
    with pytest.raises(DataDamaged, match="delete it"):
        await kept.load(one.head.id)


def gathered(**origin):
    return Gathered(lambda *_: None, Origin(dimensions=16, **origin))


def test_items_of_another_model_are_refused(made):
    head = made[0].head
    _check_model(head, gathered(), "items")
    _check_model(head, gathered(model="m", model_version="1"), "items")
    with pytest.raises(InvalidInput, match="made by n; the map is by m"):
        _check_model(head, gathered(model="n", model_version="1"), "items")
    with pytest.raises(FailedPrecondition, match="another version"):
        _check_model(head, gathered(model="m", model_version="2"), "items")
    own = replace(head, origin=Origin(dimensions=16))
    with pytest.raises(InvalidInput, match="send vectors"):
        _check_model(own, gathered(model="m"), "items")


def test_items_of_another_width_or_too_many_are_refused(made):
    head = made[0].head
    _check_placed(head, 2**20, "items", 1000, 16, 0)
    with pytest.raises(InvalidInput, match="8 dimensions; the map is of 16"):
        _check_placed(head, 2**20, "items", 1, 8, 0)
    with pytest.raises(TooLarge, match=r"cluster\.memory_bytes"):
        _check_placed(head, 2**20, "items", 10_000, 16, 0)


@pytest.mark.parametrize(("method", "extra"), [(Way.PCA, "cluster"), (Way.UMAP, "maps"), (Way.TSNE, "maps")])
def test_missing_libraries_are_told_with_what_to_install(monkeypatch, method, extra):
    check_libraries(method)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(FailedPrecondition, match=rf"nearfield\[{extra}\]"):
        check_libraries(method)


@pytest.mark.parametrize("named", [True, False])
def test_pages_are_under_the_limit_of_a_reply(made, named):
    count, most = 20_000, 2**18
    one = Projection(
        head=made[0].head,
        coordinates=np.arange(2 * count, dtype=np.float32).reshape(-1, 2),
        ids=[f"{'x' * 500}{row}" for row in range(count)] if named else [],
        positions=np.arange(count, dtype=np.uint64),
    )
    found = list(pages(one, most))
    assert len(found) > 1
    assert max(page.ByteSize() for page in found) < most
    ends = np.cumsum([page.coordinates.rows for page in found])
    assert [page.offset for page in found] == [0, *ends[:-1]]
    assert b"".join(page.coordinates.data for page in found) == one.coordinates.tobytes()
    assert b"".join(page.positions for page in found) == one.positions.tobytes()
    assert [id_.text for page in found for id_ in page.ids] == one.ids
