"""What a caller gets wrong about vectors, filters, ids and tenants: the right status or the right result."""

import numpy as np
import pytest

from nearfield.v1 import search_pb2
from nearfield_server.rpc.enums import METRICS
from nearfield_server.types import SimilarityMetric

COSINE, DOT, EUCLIDEAN = (
    next(number for number, metric in METRICS.items() if metric is wanted)
    for wanted in (SimilarityMetric.COSINE, SimilarityMetric.DOT, SimilarityMetric.EUCLIDEAN)
)
ODD_IDS = ["a/b/../c", "\0", "a\0b", "\U0001f642", "\"'\\", "%00", "\u0661", "e\u0301", " ", "\u202e", "1"]


@pytest.fixture(scope="module")
def flat(search, wire):
    """A collection of two components for each metric: ids 1 and 2."""
    made = {metric: search.make(dimensions=2, metric=metric) for metric in (COSINE, DOT, EUCLIDEAN)}
    for name in made.values():
        search.upsert(name, wire.point(1, vector=[1, 0]), wire.point(2, vector=[0, 1]), wait=True)
    return made


def vector(*values):
    return {"vector": np.array(values, "<f4").tobytes()}


def nested(depth):
    """Give a filter of so many conditions within each other."""
    made = search_pb2.Filter(exists="a")
    for _ in range(depth - 1):
        made = search_pb2.Filter(negated=made)
    return made


@pytest.mark.parametrize("metric", [COSINE, DOT, EUCLIDEAN])
@pytest.mark.parametrize("wrong", [(np.nan, 1), (np.inf, 1), (-np.inf, 1), (1, 2, 3), (1,)])
def test_no_metric_takes_vectors_that_are_none(search, flat, wire, metric, wrong):
    failure = search.refused("Search", collection=flat[metric], query=vector(*wrong))
    assert (failure.code, failure.field) == ("INVALID_ARGUMENT", "query")
    failure = search.refused("Upsert", collection=flat[metric], points=[wire.point(3, vector=wrong)])
    assert (failure.code, failure.field) == ("INVALID_ARGUMENT", "points[0].vector")


@pytest.mark.parametrize("size", [1e-42, 1e-30, 1e38, 3.4e38])
def test_a_cosine_takes_any_length(search, flat, wire, size):
    (hit,) = search("Search", collection=flat[COSINE], query=vector(size, 0), top_k=1).hits
    assert (wire.id_of(hit.id), hit.score) == (1, pytest.approx(1.0, abs=1e-6))


@pytest.mark.parametrize("metric", [DOT, EUCLIDEAN])
def test_scores_never_overflow(search, flat, wire, metric):
    assert search.refused("Search", collection=flat[metric], query=vector(3e38, 3e38)).field == "query"
    points = [wire.point(3, vector=[3e38, 3e38])]
    assert search.refused("Upsert", collection=flat[metric], points=points).field == "points[0].vector"


@pytest.mark.parametrize("metric", [DOT, EUCLIDEAN])
def test_duplicates_are_found_by_cosine_only(search, flat, metric):
    failure = search.refused("FindDuplicates", collection=flat[metric])
    assert (failure.code, failure.reason, failure.field) == ("INVALID_ARGUMENT", "UNSUPPORTED", "collection")
    assert "COSINE" in failure.message


@pytest.mark.parametrize(("depth", "taken"), [(16, True), (17, False), (90, False), (100, False)])
def test_filters_have_a_depth(search, flat, depth, taken):
    expression = "not (" * (depth - 1) + "exists(a)" + ")" * (depth - 1)
    for fields in ({"filter": nested(depth)}, {"filter_expression": expression}):
        if taken:
            # An odd number of negations.
            assert search("Count", collection=flat[COSINE], **fields).count == 2
        else:
            assert search.refused("Count", collection=flat[COSINE], **fields).code == "INVALID_ARGUMENT"


@pytest.mark.parametrize("kind", ["ids", "one_of"])
def test_ten_thousand_values_in_a_filter(search, flat, wire, kind):
    def condition(count):
        if kind == "ids":
            return search_pb2.Filter(ids={"ids": [wire.id(n) for n in range(count)]})
        return search_pb2.Filter(one_of={"field": "a", "values": [{"integer": n} for n in range(count)]})

    found = search("Search", collection=flat[COSINE], query=vector(1, 0), filter=condition(10_000)).hits
    assert len(found) == (2 if kind == "ids" else 0)
    failure = search.refused("Search", collection=flat[COSINE], query=vector(1, 0), filter=condition(10_001))
    assert failure.code == "INVALID_ARGUMENT"


@pytest.mark.parametrize("odd", ODD_IDS)
def test_odd_ids_are_ids(search, flat, wire, odd):
    name = flat[COSINE]
    search.upsert(name, wire.point(odd, odd, [0.6, 0.8]), tenant="odd", wait=True)
    assert [one.text for one in search.get(name, odd, tenant="odd")] == [odd]
    only = search_pb2.Filter(ids={"ids": [wire.id(odd)]})
    hits = search("Search", collection=name, query=vector(1, 0), filter=only, tenant="odd").hits
    assert [wire.id_of(one.id) for one in hits] == [odd]
    assert search("DeletePoints", collection=name, ids=[wire.id(odd)], tenant="odd", wait=True).deleted == 1
    assert search.get(name, odd, tenant="odd") == []


def test_equal_ids_of_two_tenants_are_two_points(search, flat, wire):
    name, tenants = flat[COSINE], ["t1", "t2", "/", "\0", "\U0001f642", "x" * 128]
    for one in tenants:
        search.upsert(name, wire.point("same", one, [1, 0]), tenant=one, wait=True)
    for one in tenants:
        assert [point.text for point in search.get(name, "same", tenant=one)] == [one]
        hits = search("Search", collection=name, tenant=one, query=vector(1, 0)).hits
        assert [hit.text for hit in hits] == [one]
    search("DeletePoints", collection=name, tenant="t1", all=True, wait=True)
    assert search.get(name, "same", tenant="t1") == []
    assert len(search.get(name, "same", tenant="t2")) == 1
    for rpc, query in (
        ("Search", {"query": {"id": wire.id("same")}}),
        ("Recommend", {"positive": [{"id": wire.id("same")}]}),
    ):
        assert search.refused(rpc, collection=name, tenant="t1", **query).code == "NOT_FOUND"
    assert search.refused("Count", collection=name, tenant="x" * 129).field == "tenant"


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "\0", "", "x" * 100, ".", ".."])
def test_names_of_collections_are_never_paths(search, name):
    assert search.refused("CreateCollection", name=name, dimensions=2).field == "name"
    assert search.refused("Search", collection=name, query=vector(1, 0)).code == "NOT_FOUND"


def test_line_breaks_in_a_name_are_refused(search):
    failure = search.refused("Search", collection="a\r\nb", query=vector(1, 0))
    assert (failure.code, failure.field) == ("INVALID_ARGUMENT", "collection")
    assert "model" not in failure.message
