"""Project, GetProjection, ListProjections and DeleteProjection on the wire, by PCA."""

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2
from google.rpc.status_pb2 import Status

from nearfield.v1 import cluster_pb2, cluster_pb2_grpc, types_pb2


def vectors(rows, ids=()):
    matrix = types_pb2.Matrix(rows=len(rows), cols=rows.shape[1], data=rows.astype("<f4").tobytes())
    return cluster_pb2.ProjectRequest(items=cluster_pb2.ClusterItems(vectors=matrix, ids=ids))


def texts(*values):
    inputs = [types_pb2.Input(text=value) for value in values]
    return cluster_pb2.ProjectRequest(items=cluster_pb2.ClusterItems(inputs=inputs))


def options(**fields):
    fields = {"method": cluster_pb2.PROJECTION_METHOD_PCA} | fields
    return cluster_pb2.ProjectRequest(options=cluster_pb2.ProjectOptions(**fields))


def project(stub, *messages):
    """Give the projection, its coordinates, and the failures by position."""
    head, pages, failures = None, [], {}
    for reply in stub.Project(iter(messages), timeout=60):
        kind = reply.WhichOneof("message")
        if kind == "projection":
            head = reply.projection
        elif kind == "coordinates":
            pages.append(reply.coordinates)
        elif kind == "failure":
            failures[reply.failure.index] = reply.failure.status
    return head, pages, failures


def rows_of(pages, components=2):
    return np.frombuffer(b"".join(one.coordinates.data for one in pages), "<f4").reshape(-1, components)


def refusal(stub, *messages):
    """Give code and field of the error that a call ends with."""
    with pytest.raises(grpc.RpcError) as caught:
        project(stub, *messages)
    status = Status.FromString(dict(caught.value.trailing_metadata())["grpc-status-details-bin"])
    for packed in status.details:
        bad = error_details_pb2.BadRequest()
        if packed.Unpack(bad):
            return caught.value.code().name, bad.field_violations[0].field
    return caught.value.code().name, status.message


@pytest.mark.slow
def test_vectors_become_coordinates(map_stub, make_groups):
    rows, _ = make_groups(300)
    head, pages, failures = project(map_stub, options(components=3, seed=7), vectors(rows[:100]), vectors(rows[100:]))
    assert rows_of(pages, 3).shape == (300, 3)
    assert np.abs(rows_of(pages, 3)).max() == pytest.approx(1.0)
    assert not failures
    assert (head.id, head.components, head.seed, head.items, head.dimensions) == ("", 3, 7, 300, 16)
    assert head.method == cluster_pb2.PROJECTION_METHOD_PCA
    assert head.trustworthiness > 0.5
    assert head.stage_seconds["fit"] > 0
    assert head.peak_memory_bytes > 0
    assert not head.HasField("expires_at")


@pytest.mark.slow
def test_a_failed_item_leaves_its_neighbors_alone(map_stub, make_groups):
    rows, _ = make_groups(20)
    broken = rows.copy()
    broken[3], broken[7] = 0, np.nan
    head, pages, failures = project(map_stub, options(), vectors(broken))
    assert sorted(failures) == [3, 7]
    assert head.items == 18
    kept = [row for row in range(20) if row not in failures]
    assert np.frombuffer(pages[0].positions, "<u8").tolist() == kept
    _, alone, _ = project(map_stub, options(), vectors(rows[kept]))
    np.testing.assert_array_equal(rows_of(pages), rows_of(alone))


@pytest.mark.slow
def test_a_kept_map_is_given_listed_used_and_deleted(map_stub, make_groups):
    rows, _ = make_groups(60)
    ids = [{"number": one} for one in range(40)]
    first = options()
    first.options.ttl.FromSeconds(600)
    head, pages, _ = project(map_stub, first, vectors(rows[:40], ids))
    assert head.id
    assert head.expires_at.seconds - head.created_at.seconds == 600
    given = list(map_stub.GetProjection(cluster_pb2.GetProjectionRequest(id=head.id)))
    assert given[0].projection == head
    np.testing.assert_array_equal(rows_of([one.coordinates for one in given[1:]]), rows_of(pages))
    assert [one.number for one in given[1].coordinates.ids] == list(range(40))
    listed = map_stub.ListProjections(cluster_pb2.ListProjectionsRequest()).projections
    assert listed[0] == head
    again, placed, _ = project(map_stub, options(projection=head.id, method=0), vectors(rows[20:]))
    assert again == head
    np.testing.assert_allclose(rows_of(placed)[:20], rows_of(pages)[20:], atol=1e-5)
    map_stub.DeleteProjection(cluster_pb2.DeleteProjectionRequest(id=head.id))
    with pytest.raises(grpc.RpcError) as caught:
        list(map_stub.GetProjection(cluster_pb2.GetProjectionRequest(id=head.id)))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    with pytest.raises(grpc.RpcError) as caught:
        map_stub.DeleteProjection(cluster_pb2.DeleteProjectionRequest(id=head.id))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.slow
def test_items_of_another_kind_are_not_put_into_a_map(map_stub, make_groups):
    rows, _ = make_groups(20, width=384)
    first = options()
    first.options.ttl.FromSeconds(600)
    head, _, _ = project(map_stub, first, vectors(rows))
    into = options(projection=head.id, method=0)
    assert refusal(map_stub, into, vectors(rows[:, :16])) == ("INVALID_ARGUMENT", "items")
    assert refusal(map_stub, into, texts("a dog")) == ("INVALID_ARGUMENT", "items")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"components": 4}, "components"),
        ({"components": 1}, "components"),
        ({"neighbors": 5}, "neighbors"),
        ({"neighbors": 201, "method": cluster_pb2.PROJECTION_METHOD_UMAP}, "neighbors"),
        ({"method": 99}, "method"),
        ({"ttl": {"seconds": -1}}, "ttl"),
        ({"projection": "x", "seed": 1, "method": 0}, "seed"),
        ({"projection": "x"}, "method"),
        ({"collection": {}}, "collection.collection"),
    ],
)
def test_wrong_options_are_named(map_stub, fields, field):
    assert refusal(map_stub, options(**fields)) == ("INVALID_ARGUMENT", f"options.{field}")


def test_messages_in_the_wrong_order_are_refused(map_stub, make_groups):
    rows, _ = make_groups(3)
    assert refusal(map_stub, vectors(rows)) == ("INVALID_ARGUMENT", "options")
    assert refusal(map_stub, options(), options()) == ("INVALID_ARGUMENT", "items")
    assert refusal(map_stub, options()) == ("INVALID_ARGUMENT", "items")
    assert refusal(map_stub, options(collection={"collection": "c"}), vectors(rows)) == ("INVALID_ARGUMENT", "items")


def test_unknown_maps_and_collections_are_not_found(map_stub, make_groups):
    rows, _ = make_groups(3)
    code, message = refusal(map_stub, options(projection="nothing", method=0), vectors(rows))
    assert code == "NOT_FOUND"
    assert "ListProjections" in message
    assert refusal(map_stub, options(collection={"collection": "nothing"}))[0] == "NOT_FOUND"


def test_a_missing_id_is_named(map_stub):
    with pytest.raises(grpc.RpcError, match="must name a projection"):
        list(map_stub.GetProjection(cluster_pb2.GetProjectionRequest()))


@pytest.mark.slow
def test_what_would_take_too_much_memory_is_refused_before_it_begins(start_server, make_groups):
    server = start_server(cluster={"memory_bytes": 2**28})
    rows, _ = make_groups(3)
    with grpc.insecure_channel(server.target) as channel:
        stub = cluster_pb2_grpc.ClusterServiceStub(channel)
        code, message = refusal(stub, options(), vectors(rows))
    assert code == "RESOURCE_EXHAUSTED"
    assert "cluster.memory_bytes" in message


@pytest.mark.slow
def test_who_leaves_ends_the_work(map_server, map_stub, make_groups):
    registry = map_server.server.metrics.registry

    def counts():
        return [registry.get_sample_value("nearfield_maps_total", {"outcome": one}) for one in ("cancelled", "done")]

    before, fits = counts(), registry.get_sample_value("nearfield_map_stage_seconds_count", {"stage": "fit"})
    rows, _ = make_groups(3000)
    tsne = options(method=cluster_pb2.PROJECTION_METHOD_TSNE)
    parts = [vectors(rows[start : start + 200]) for start in range(0, 3000, 200)]
    call = map_stub.Project(iter([tsne, *parts]), timeout=120)
    assert any(reply.progress.stage == "fit" for reply in call)
    call.cancel()
    # There is one worker: this waits for it.
    head, _, _ = project(map_stub, options(), vectors(rows[:20]))
    assert head.items == 20
    assert counts() == [before[0] + 1, before[1] + 1]
    assert registry.get_sample_value("nearfield_map_stage_seconds_count", {"stage": "fit"}) == fits + 1
