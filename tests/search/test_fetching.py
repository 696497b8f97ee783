"""What a search reads of the points that it found."""

from types import SimpleNamespace

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from nearfield_server.core.search_calls import SearchCall
from nearfield_server.core.searcher import Searcher
from nearfield_server.engines.base import Ranked
from nearfield_server.telemetry.search_metrics import SearchMetrics
from nearfield_server.types import EngineHit, Record, Selection

BARE = Selection(payload=False, text=False)


class Store:
    """Finds `hits`; holds the points 1 and 3."""

    def __init__(self, *hits):
        self.hits, self.reads = hits, 0

    def at(self, _):
        return self

    async def search(self, queries):
        return [Ranked(list(self.hits), exact=False) for _ in queries]

    async def get(self, tenant, ids, select):
        self.reads += 1
        return [Record(id=one, version=10 * one) for one in ids if one in {1, 3}]


async def found(store, select):
    async def dense(*_):
        return np.ones((1, 2), np.float32), ()

    parts = SimpleNamespace(store=lambda _: store), SimpleNamespace(dense=dense)
    searcher = Searcher(*parts, None, SearchMetrics(CollectorRegistry()))
    result = await searcher.search(SearchCall(collection="c", query=np.ones(2, np.float32), select=select))
    return [(hit.id, hit.version, hit.record and hit.record.version) for hit in result.hits]


async def test_hits_with_their_version_are_not_read_again_where_no_more_is_wanted():
    store = Store(EngineHit(1, 0.9, 1, 10), EngineHit(3, 0.8, 3, 30))
    assert await found(store, BARE) == [(1, 10, None), (3, 30, None)]
    assert store.reads == 0


@pytest.mark.parametrize("select", [Selection(text=False), Selection(payload=False), Selection(vector=True)])
async def test_what_is_wanted_is_read(select):
    store = Store(EngineHit(1, 0.9, 1, 10), EngineHit(3, 0.8, 3, 30))
    assert [version for *_, version in await found(store, select)] == [10, 30]
    assert store.reads == 1


async def test_a_hit_without_a_version_is_read_and_left_out_where_it_went():
    store = Store(EngineHit(1, 0.9, 1, 10), EngineHit(2, 0.8, 2), EngineHit(3, 0.7, 3, 30))
    assert [id_ for id_, *_ in await found(store, BARE)] == [1, 3]
    assert store.reads == 1
