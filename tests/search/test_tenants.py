"""Tenants of a collection with their points, and how many copies a call asks for."""

import pytest

from nearfield.v1 import search_pb2

NAMES = ["", "a/\x00b", "acme", "zürich", "\N{GRINNING FACE}"]


@pytest.fixture(scope="module")
def shared(search, wire):
    name = search.make(dimensions=2)
    for count, tenant in enumerate(NAMES, 1):
        search.upsert(name, *[wire.point(one, vector=[1, one]) for one in range(count)], tenant=tenant)
    return name


def listed(search, name, **fields):
    return [(one.tenant, one.points) for one in search("ListTenants", collection=name, **fields).tenants]


def test_tenants_come_by_name_in_pages(search, shared):
    everybody = list(zip(NAMES, range(1, 6), strict=True))
    assert listed(search, shared) == everybody
    assert listed(search, shared, limit=2) == everybody[:2]
    assert listed(search, shared, limit=2, after="a/\x00b") == everybody[2:4]
    assert listed(search, shared, after="") == everybody[1:]
    assert listed(search, shared, after=NAMES[-1]) == []


def test_wrong_questions_about_tenants_are_refused(search, shared):
    assert search.refused("ListTenants", collection="nowhere").code == "NOT_FOUND"
    assert search.refused("ListTenants", collection=shared, limit=10_001).field == "limit"
    assert search.refused("ListTenants", collection=shared, after="x" * 129).field == "after"


def test_the_client_gives_all_tenants(client, shared, monkeypatch):
    collection = client.collection(shared)
    assert dict(collection.tenants()) == dict(zip(NAMES, range(1, 6), strict=True))
    monkeypatch.setattr("nearfield._search_requests.TENANTS_AT_ONCE", 2)
    assert [name for name, _ in collection.tenants()] == NAMES


@pytest.mark.parametrize("consistency", search_pb2.ReadConsistency.values())
def test_every_consistency_is_taken(search, shared, wire, consistency):
    query = search_pb2.SearchQuery(vector=wire.point(0, vector=[1, 0]).vector)
    assert search("Count", collection=shared, consistency=consistency).count == 1
    assert search("Search", collection=shared, query=query, consistency=consistency).hits
    assert search.ids(shared, consistency=consistency) == [0]


def test_unknown_consistencies_are_refused(search, shared, wire):
    query = search_pb2.SearchQuery(vector=wire.point(0, vector=[1, 0]).vector)
    for rpc, fields in {
        "GetPoints": {"ids": [wire.id(1)]},
        "Scroll": {},
        "Count": {},
        "Search": {"query": query},
        "Recommend": {"positive": [query]},
        "FindDuplicates": {},
        "Facet": {"field": "a"},
    }.items():
        refused = search.refused(rpc, collection=shared, consistency=9, **fields)
        assert (refused.code, refused.field) == ("INVALID_ARGUMENT", "consistency"), rpc
    for rpc, fields in {"Upsert": {"points": [wire.point(1, vector=[1, 0])]}, "DeletePoints": {"all": True}}.items():
        refused = search.refused(rpc, collection=shared, ordering=9, **fields)
        assert (refused.code, refused.field) == ("INVALID_ARGUMENT", "ordering"), rpc
