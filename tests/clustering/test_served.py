"""Clusters of texts, vectors and collections, by a real server."""

import datetime as dt

import numpy as np
import pytest
from cluster_wire import floats, ints, items
from google.rpc import code_pb2
from sklearn.metrics import adjusted_rand_score
from themes import LABELS, TEXTS, THEMES

import nearfield
from nearfield.v1 import cluster_pb2, types_pb2

pytestmark = pytest.mark.slow
KMEANS = cluster_pb2.CLUSTER_METHOD_KMEANS
AGGLOMERATIVE = cluster_pb2.CLUSTER_METHOD_AGGLOMERATIVE
DAY = {"seconds": 86_400}


@pytest.fixture(scope="module")
def by_theme(clusters):
    """The sentences in three clusters, kept."""
    return clusters("Cluster", options={"k": 3, "seed": 1}, items=items(TEXTS, ids=range(len(TEXTS))), ttl=DAY)


@pytest.fixture(scope="module")
def collection(server):
    """A collection of the sentences."""
    with nearfield.Client(server.target) as client:
        made = client.create_collection("themes")
        rows = [
            {"id": at, "text": text, "theme": theme} for at, (text, theme) in enumerate(zip(TEXTS, LABELS, strict=True))
        ]
        made.upsert(rows, wait=True)
    return "themes"


def test_themes_are_found(by_theme):
    labels = ints(by_theme.assignments.clusters)
    assert adjusted_rand_score(LABELS, labels) == 1.0
    assert sorted(one.size for one in by_theme.clusters.clusters) == [12, 12, 12]
    assert ints(by_theme.assignments.nearest) == labels
    assert [one.number for one in by_theme.assignments.ids] == list(range(36))
    strengths = floats(by_theme.assignments.strengths)
    assert ((strengths > 0) & (strengths <= 1)).all()


def test_it_tells_what_it_did(by_theme):
    head = by_theme.clustering
    assert (head.items, head.clusters, head.noise, head.dropped) == (36, 3, 0, 0)
    assert (head.options.method, head.options.k, head.options.seed) == (KMEANS, 3, 1)
    assert (head.model, head.dimensions) == ("all-MiniLM-L6-v2", 384)
    assert head.model_version
    assert head.quality.silhouette > 0.05
    assert head.quality.sample == 36
    assert set(head.stage_seconds) >= {"fit", "assign", "quality", "labels"}
    assert head.peak_memory_bytes > 50 << 20
    assert head.expires_at.ToDatetime() - head.created_at.ToDatetime() == dt.timedelta(days=1)


def test_clusters_are_described(by_theme):
    centroids = floats(by_theme.clusters.centroids.data).reshape(3, 384)
    np.testing.assert_allclose(np.linalg.norm(centroids, axis=1), 1.0, atol=1e-5)
    for one in by_theme.clusters.clusters:
        members = [TEXTS[at] for at, label in enumerate(ints(by_theme.assignments.clusters)) if label == one.id]
        assert one.nearest[0] == one.medoid
        assert {near.text for near in one.nearest} <= set(members)
        assert [near.similarity for near in one.nearest] == sorted((n.similarity for n in one.nearest), reverse=True)
        assert all(TEXTS[near.index] == near.text and near.id.number == near.index for near in one.nearest)
        assert one.keywords[0].weight == 1.0
        words = " ".join(members).lower()
        assert all(keyword.term in words for keyword in one.keywords)
        assert one.name == ", ".join(keyword.term for keyword in one.keywords[:3])
        assert 0 < one.radius < 2


def test_the_order_of_items_doesnt_matter(clusters, by_theme):
    chance = np.random.default_rng(5)
    order = chance.permutation(len(TEXTS))
    shuffled = items([TEXTS[at] for at in order], ids=[int(at) for at in order])
    again = clusters("Cluster", options={"k": 3, "seed": 1}, items=shuffled)
    labels = np.empty(len(order), int)
    labels[order] = ints(again.assignments.clusters)
    assert labels.tolist() == ints(by_theme.assignments.clusters)
    assert not again.clustering.id
    assert not again.clustering.HasField("expires_at")


def test_names_are_chosen_from_a_list(clusters):
    names = ["cooking recipes", "astronomy and space", "customer support", "gardening"]
    made = clusters("Cluster", options={"k": 3, "labels": {"names": names}}, items=items(TEXTS))
    assert {one.name for one in made.clusters.clusters} == set(names) - {"gardening"}
    assert all(one.name_similarity > 0.2 for one in made.clusters.clusters)


def test_vectors_with_texts_are_named_by_them(clusters, blobs):
    rows, labels = blobs(3, 12)
    made = clusters("Cluster", options={"k": 3}, items=items(TEXTS, rows))
    assert adjusted_rand_score(labels, ints(made.assignments.clusters)) == 1.0
    assert not made.clustering.model
    assert all(one.keywords for one in made.clusters.clusters)
    bare = clusters("Cluster", options={"k": 3}, items=items(vectors=rows))
    assert ints(bare.assignments.clusters) == ints(made.assignments.clusters)
    assert not any(one.name for one in bare.clusters.clusters)


def test_the_number_is_chosen(clusters, blobs):
    rows, labels = blobs(6, 40)
    made = clusters("Cluster", items=items(vectors=rows))
    assert made.clustering.options.k == 6
    assert adjusted_rand_score(labels, ints(made.assignments.clusters)) == 1.0
    tried = {one.k: one.silhouette for one in made.clustering.trials}
    assert tried[6] == max(tried.values())


def test_agglomerative_by_distance(clusters, blobs):
    rows, labels = blobs(4, 10)
    options = {"method": AGGLOMERATIVE, "distance_threshold": 0.5}
    made = clusters("Cluster", options=options, items=items(vectors=rows))
    assert adjusted_rand_score(labels, ints(made.assignments.clusters)) == 1.0
    assert [one.size for one in made.clustering.merges][-1] == 40
    assert len(made.clustering.merges) == 3


def test_a_collection_with_a_filter(clusters, collection):
    made = clusters("Cluster", options={"k": 3}, collection={"collection": collection})
    assert adjusted_rand_score(LABELS, ints(made.assignments.clusters)) == 1.0
    assert (made.clustering.collection, made.clustering.items) == ("themes", 36)
    part = clusters(
        "Cluster", options={"k": 2}, collection={"collection": collection, "filter_expression": 'theme != "support"'}
    )
    assert [one.number for one in part.assignments.ids] == list(range(24))
    assert adjusted_rand_score(LABELS[:24], ints(part.assignments.clusters)) == 1.0


def test_a_stream_gives_what_a_call_gives(clusters, by_theme):
    options = {"options": {"k": 3, "seed": 1}, "ttl": DAY}
    parts = [items(TEXTS[at : at + 10], ids=range(at, min(at + 10, 36))) for at in range(0, 36, 10)]
    found = clusters.stream(options, *parts)
    assert [one for page in found["assignments"] for one in ints(page.clusters)] == ints(by_theme.assignments.clusters)
    assert found["failure"] == []
    assert found["progress"][-1].items == 36
    fractions = [one.fraction for one in found["progress"]]
    assert fractions == sorted(fractions)
    kept = clusters.get(found["clustering"][0].id)
    assert kept.labels == ints(by_theme.assignments.clusters)


def test_items_that_fail_are_left_out_of_a_stream(clusters, blobs):
    rows, labels = blobs(2, 10)
    rows[3], rows[12] = 0, np.nan
    found = clusters.stream({"options": {"k": 2}}, items(vectors=rows[:10]), items(vectors=rows[10:]))
    assert [one.index for one in found["failure"]] == [3, 12]
    assert {one.status.code for one in found["failure"]} == {code_pb2.INVALID_ARGUMENT}
    (page,) = found["assignments"]
    positions = np.frombuffer(page.positions, "<u8").tolist()
    assert positions == [at for at in range(20) if at not in {3, 12}]
    assert adjusted_rand_score(labels[positions], ints(page.clusters)) == 1.0


def test_a_text_that_is_too_long_fails_alone(clusters):
    texts = [*TEXTS[:12], "word " * 400, *TEXTS[12:]]
    options = {"options": {"k": 3}, "embedding": {"truncate": types_pb2.TRUNCATE_NONE}}
    found = clusters.stream(options, items(texts))
    assert [one.index for one in found["failure"]] == [12]
    assert "402 tokens" in found["failure"][0].status.message
    assert len(ints(found["assignments"][0].clusters)) == 36


def test_many_clusters_come_in_pages(start_server, open_clusters, blobs):
    here = open_clusters(start_server(limits={"max_response_bytes": 100_000}).target)
    rows, _ = blobs(8, 60, width=256)
    options = {"options": {"k": 100}, "ttl": DAY}
    found = here.stream(options, *(items(vectors=rows[at : at + 256]) for at in range(0, len(rows), 256)))
    assert len(found["clusters"]) > 1
    assert [page.offset for page in found["clusters"]] == np.cumsum(
        [0, *(len(page.clusters) for page in found["clusters"][:-1])]
    ).tolist()
    assert sum(len(page.clusters) for page in found["clusters"]) == 100
    assert sum(len(ints(page.clusters)) for page in found["assignments"]) == len(rows)
    assert all(page.ByteSize() <= 100_000 for kind in ("clusters", "assignments") for page in found[kind])
    failure = here.refused("Cluster", options={"k": 100}, items=items(vectors=rows))
    assert (failure.code, "ClusterStream" in failure.message) == ("INVALID_ARGUMENT", True)


def test_clusters_keep_their_ids(clusters, by_theme):
    id_ = by_theme.clustering.id
    before = dict(enumerate(ints(by_theme.assignments.clusters)))
    # One theme is gone, one is cut in two.
    rest = [at for at in range(36) if LABELS[at] != "astronomy"]
    made = clusters(
        "Cluster",
        options={"k": 2, "seed": 9, "previous": id_},
        items=items([TEXTS[at] for at in rest], ids=rest),
    )
    assert ints(made.assignments.clusters) == [before[at] for at in rest]
    changes = {
        (one.previous, one.current): cluster_pb2.ClusterChange.Name(one.change) for one in made.clustering.lineage
    }
    gone = before[LABELS.index("astronomy")]
    assert changes.pop((gone, 0)) == "CLUSTER_CHANGE_GONE"
    assert set(changes.values()) == {"CLUSTER_CHANGE_CONTINUED"}


def test_without_ids_the_nearest_centroid_tells_them(clusters, by_theme):
    made = clusters(
        "Cluster", options={"k": 3, "seed": 4, "previous": by_theme.clustering.id}, items=items(TEXTS[::-1])
    )
    assert ints(made.assignments.clusters) == ints(by_theme.assignments.clusters)[::-1]


def test_kept_clusterings_are_listed_and_deleted(clusters, blobs):
    rows, _ = blobs(2, 5)
    made = clusters("Cluster", options={"k": 2}, items=items(vectors=rows), ttl={"seconds": 3600})
    id_ = made.clustering.id
    listed = clusters("ListClusterings")
    assert id_ in [one.id for one in listed.clusterings]
    assert listed.limits.max_items == 10_000
    kept = clusters.get(id_)
    assert kept.clustering == made.clustering
    assert kept.clusters == list(made.clusters.clusters)
    assert clusters.get(id_, without_assignments=True).labels == []
    clusters("DeleteClustering", id=id_)
    failure = clusters.refused("GetClustering", id=id_)
    assert (failure.code, failure.reason) == ("NOT_FOUND", "CLUSTERING_NOT_FOUND")


def test_results_expire(clusters, blobs):
    rows, _ = blobs(2, 5)
    made = clusters("Cluster", options={"k": 2}, items=items(vectors=rows), ttl={"nanos": 1_000_000})
    assert clusters.refused("Assign", id=made.clustering.id, items=items(vectors=rows)).reason == "CLUSTERING_NOT_FOUND"


@pytest.mark.parametrize(
    ("rows", "k", "sizes"),
    [
        ([[1, 0]], None, [1]),
        ([[1, 0], [0, 1]], None, [1, 1]),
        ([[1, 0], [0, 1]], 1, [2]),
        ([[1, 1]] * 50, None, [50]),
        ([[1, 1]] * 50, 3, [50]),
        ([[1, 0], [-1, 0], [0, 1], [0, -1]], 4, [1, 1, 1, 1]),
        ([[1e38, 0], [0, 1e38], [1e38, 1e37]], 2, [2, 1]),
        ([[1e-42, 0], [0, 1e-42]], 2, [1, 1]),
    ],
)
def test_degenerate_items_get_a_defined_answer(clusters, rows, k, sizes):
    options = {} if k is None else {"k": k}
    made = clusters("Cluster", options=options, items=items(vectors=np.array(rows)))
    assert [one.size for one in made.clusters.clusters] == sizes
    assert (k is None or k <= len(sizes)) == (not made.clustering.warnings)


def test_assign_puts_new_items_where_they_belong(clusters, by_theme):
    label = dict(zip(LABELS, ints(by_theme.assignments.clusters), strict=True))
    new = [
        "Boil the potatoes in salted water for twenty minutes.",
        "The observatory recorded a gamma ray burst from a far galaxy.",
        "My login code doesn't arrive, I can't sign in to my account.",
        "The parliament voted on the new tax law yesterday.",
    ]
    found = clusters("Assign", id=by_theme.clustering.id, items=items(new), dry_run=True)
    assert ints(found.nearest)[:3] == [label["cooking"], label["astronomy"], label["support"]]
    assert ints(found.clusters)[3] == -1
    distances, strengths = floats(found.distances), floats(found.strengths)
    assert (distances[:3] < distances[3]).all()
    assert (strengths[:3] > strengths[3]).all()
    assert found.drift.assigned == 0
    same = clusters("Assign", id=f"operations/{by_theme.clustering.id}", items=items(TEXTS), dry_run=True)
    assert ints(same.nearest) == ints(by_theme.assignments.nearest)


def test_items_unlike_the_clustered_ones_are_told(clusters, blobs, metric_of):
    rows, _ = blobs(3, 200)
    made = clusters("Cluster", options={"k": 3}, items=items(vectors=rows), ttl=DAY)
    like, _ = blobs(3, 80, seed=0)
    chance = np.random.default_rng(3)
    like = rows[chance.permutation(len(rows))[:200]] + chance.normal(scale=0.001, size=(200, 16)).astype(np.float32)
    usual = clusters("Assign", id=made.clustering.id, items=items(vectors=like)).drift
    assert (usual.assigned, usual.window, usual.recluster_due) == (200, 200, False)
    assert usual.drift_ratio < 1.0
    other = chance.normal(size=(256, 16))
    changed = clusters("Assign", id=made.clustering.id, items=items(vectors=other)).drift
    assert changed.recluster_due
    assert changed.drift_ratio > 1.0
    assert changed.far > 100
    assert metric_of("nearfield_cluster_recluster_due") >= 1
    assert metric_of("nearfield_cluster_drift_ratio") == pytest.approx(changed.drift_ratio, rel=1e-5)


def test_theres_a_theme_for_each():
    assert len(TEXTS) == 36 == len(set(TEXTS))
    assert list(THEMES) == ["cooking", "astronomy", "support"]
