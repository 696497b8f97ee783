"""Clusterings by both clients, against a real server with real texts."""

import numpy as np
import pytest
from blocking import BlockingAsyncClient

import nearfield

pytestmark = pytest.mark.slow
ANIMALS = [
    "Three dogs are running along the beach.",
    "A cat sleeps on the windowsill.",
    "The horse jumped over the fence.",
    "Our dog barks at every stranger.",
    "The kitten plays with a ball of wool.",
    "A pony grazes in the meadow.",
]
MONEY = [
    "Please send me a copy of last month's invoice.",
    "Refunds are paid to the original card within five days.",
    "The bank raised its interest rates again.",
    "My payment was declined by the bank.",
    "How do I change the card that I pay with?",
    "The invoice shows a wrong amount.",
]
TEXTS = [text for pair in zip(ANIMALS, MONEY, strict=True) for text in pair]


@pytest.fixture(scope="module")
def warm(server):
    """The first clustering waits for the worker process, longer than a test's timeout may be."""
    with nearfield.Client(server.target) as client:
        client.cluster(TEXTS, k=2, timeout=120.0)
    return server


@pytest.fixture
def client(warm):
    with nearfield.Client(warm.target) as client:
        yield client


@pytest.fixture(params=[nearfield.Client, BlockingAsyncClient], ids=["sync", "async"])
def both(request, warm):
    """Both clients, for the tests that take ways of their own; what they share is tested once."""
    with request.param(warm.target) as client:
        yield client


@pytest.fixture(scope="module")
def rows(server):
    with nearfield.Client(server.target) as client:
        return client.embed(TEXTS, input_type="clustering")


@pytest.fixture(scope="module")
def collection(server):
    with nearfield.Client(server.target) as client:
        made = client.create_collection("clustered")
        made.upsert([{"id": f"p{index:02}", "text": text, "even": index % 2 == 0} for index, text in enumerate(TEXTS)])
    return "clustered"


def same_groups(one, other):
    return {frozenset(np.flatnonzero(one == label)) for label in set(one)} == {
        frozenset(np.flatnonzero(other == label)) for label in set(other)
    }


def test_texts_about_two_things_are_two_clusters(both):
    made = both.cluster(TEXTS, k=2, seed=3, nearest_items=2)
    assert made.labels.dtype == np.int32
    assert same_groups(made.labels, np.arange(12) % 2)
    assert [one.size for one in made.clusters] == [6, 6]
    assert (made.items, made.noise, made.cluster_count, made.id, made.failures) == (12, 0, 2, "", {})
    assert made.centroids.shape == (2, 384)
    np.testing.assert_allclose(np.linalg.norm(made.centroids, axis=1), 1.0, atol=1e-5)
    assert made.options["k"] == 2
    assert made.options["seed"] == 3
    assert made.quality.silhouette > 0.05
    for one in made.clusters:
        assert len(one.nearest) == 2
        assert one.medoid == one.nearest[0]
        assert one.medoid.text == TEXTS[one.medoid.index]
        assert made.labels[one.medoid.index] == one.id
        assert one.keywords[0].weight == 1.0
        assert set(made.members(one.id)) == set(np.flatnonzero(made.labels == one.id))
        assert made.cluster(one.id) is one
    assert ((made.strengths >= 0) & (made.strengths <= 1)).all()
    np.testing.assert_array_equal(made.nearest, made.labels)
    with pytest.raises(KeyError):
        made.cluster(7)


def test_it_is_readable(client):
    made = client.cluster(TEXTS, k=2)
    assert repr(made) == "<Clustering 2 clusters of 12 items, kmeans>"
    lines = made.summary().splitlines()
    assert lines[0] == "2 clusters of 12 items, kmeans"
    assert made.clusters[0].name in lines[2]
    assert "silhouette" in lines[4]


def test_the_same_seed_gives_the_same_whatever_the_order(client):
    order = np.random.default_rng(5).permutation(len(TEXTS))
    first, again = client.cluster(TEXTS, k=4, seed=9), client.cluster(TEXTS, k=4, seed=9)
    turned = client.cluster([TEXTS[at] for at in order], k=4, seed=9)
    np.testing.assert_array_equal(first.labels, again.labels)
    assert same_groups(turned.labels, first.labels[order])


def test_texts_arrays_lists_and_streams_agree(client, rows):
    told = []
    ways = [
        client.cluster(TEXTS, k=3),
        client.cluster(list(rows.astype(np.float64)), k=3),
        client.cluster((row.tolist() for row in rows), k=3),
        client.cluster(iter(TEXTS), k=3, on_progress=told.append),
    ]
    for one in ways[1:]:
        np.testing.assert_array_equal(one.labels, ways[0].labels)
    assert [one.name for one in ways[1].clusters] == ["", "", ""]
    assert told
    assert [one.fraction for one in told] == sorted(one.fraction for one in told)
    assert {one.state for one in told} <= {"queued", "running"}
    assert all(one.id == "" for one in told)


def test_texts_and_ids_go_beside_vectors(client, rows):
    ids = [f"t{index}" for index in range(len(rows))]
    made = client.cluster(rows, texts=iter(TEXTS), ids=ids, k=2)
    assert made.ids == tuple(ids)
    assert all(one.name for one in made.clusters)
    assert made.clusters[0].medoid.id == ids[made.clusters[0].medoid.index]


def test_more_than_a_message_holds_is_streamed(both):
    random = np.random.default_rng(0)
    centres = random.standard_normal((3, 16))
    belongs = random.integers(0, 3, 1300)
    vectors = (centres[belongs] + 0.05 * random.standard_normal((1300, 16))).astype(np.float32)
    made = both.cluster((row for row in vectors), k=3)
    assert made.labels.shape == (1300,)
    assert same_groups(made.labels, belongs)


@pytest.mark.parametrize("how", ["unary", "stream"])
def test_an_input_that_fails_touches_no_other(both, rows, how):
    bad = [*rows[:3], np.zeros(384), *rows[3:6], rows[6] * np.nan, "a text", rows[0][:7], *rows[6:]]
    options = {"on_progress": lambda _: None} if how == "stream" else {}
    made = both.cluster(bad, k=2, ids=range(len(bad)), **options)
    assert sorted(made.failures) == [3, 7, 8, 9]
    assert all(isinstance(error, nearfield.InvalidArgument) for error in made.failures.values())
    assert all(f"inputs[{index}]" in error.message for index, error in made.failures.items())
    assert "zero" in made.failures[3].message
    good = np.array([index for index in range(len(bad)) if index not in made.failures])
    np.testing.assert_array_equal(made.labels[[3, 7, 8, 9]], -1)
    assert same_groups(made.labels[good], np.arange(12) % 2)
    assert (made.items, len(made.labels), made.ids[3], made.ids[4]) == (12, 16, None, 4)
    for one in made.clusters:
        assert [example.id for example in one.nearest] == [example.index for example in one.nearest]


def test_a_text_that_is_too_long_for_truncate_none_fails_alone(client):
    made = client.cluster([*TEXTS, "word " * 2000], k=2, truncate="none")
    assert list(made.failures) == [12]
    assert made.labels[12] == -1


@pytest.mark.parametrize("options", [{}, {"on_progress": lambda _: None}])
def test_all_failing_is_the_first_ones_error(both, options):
    with pytest.raises(nearfield.InvalidArgument, match=r"inputs\[0\]"):
        both.cluster(np.zeros((3, 4)), **options)
    with pytest.raises(nearfield.InvalidArgument, match=r"inputs\[0\]"):
        both.cluster([object(), object()], **options)
    with pytest.raises(nearfield.InvalidArgument, match="at least one"):
        both.cluster([], **options)


def test_what_an_iterable_raises_is_raised(both):
    def lines():
        yield from ([float(index), 1.0] for index in range(600))
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        both.cluster(lines())


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"min_cluster_size": 3}, "min_cluster_size"),
        ({"k": 13}, "k"),
        ({"k": 2, "max_k": 3}, "k"),
        ({"names": [""]}, r"names\[0\]"),
        ({"dimensions": 100_000}, "dimensions"),
        ({"keep_seconds": 1e9}, "keep_seconds"),
        ({"previous": "nothing"}, ""),
    ],
)
def test_wrong_options_are_named_as_they_were_given(client, options, field):
    for more in ({}, {"on_progress": lambda _: None}):
        with pytest.raises((nearfield.InvalidArgument, nearfield.NotFound), match=rf"^{field}") as raised:
            client.cluster(TEXTS, **options, **more)
        assert "options." not in raised.value.message


@pytest.mark.parametrize(
    ("arguments", "options", "kind"),
    [
        ([TEXTS], {"number": 2}, TypeError),
        ([], {}, TypeError),
        ([TEXTS], {"collection": "c"}, TypeError),
        ([TEXTS], {"filter": "a = 1"}, ValueError),
        ([TEXTS], {"method": "dbscan"}, ValueError),
        ([TEXTS], {"k": -1}, ValueError),
        ([TEXTS], {"names": "one"}, TypeError),
        ([TEXTS], {"texts": TEXTS}, ValueError),
        ([TEXTS], {"ids": [1]}, ValueError),
        ([TEXTS], {"ids": range(40)}, ValueError),
        ([TEXTS], {"keep_seconds": -1.0}, ValueError),
        ([TEXTS], {"timeout": 0.0}, ValueError),
        ([np.zeros(4)], {}, TypeError),
        ([], {"collection": "c", "on_progress": print}, ValueError),
    ],
)
def test_what_no_server_could_take_is_refused_here(client, arguments, options, kind):
    with pytest.raises(kind):
        client.cluster(*arguments, **options)


def test_a_kept_one_is_found_again(both):
    made = both.cluster(TEXTS, k=2, keep_seconds=600.0)
    found = both.clustering(made.id)
    np.testing.assert_array_equal(found.labels, made.labels)
    np.testing.assert_array_equal(found.centroids, made.centroids)
    assert found.clusters == made.clusters
    bare = both.clustering(made.id, assignments=False)
    assert (len(bare.labels), bare.clusters) == (0, made.clusters)
    (head,) = [one for one in both.clusterings() if one.id == made.id]
    assert (head.cluster_count, head.expires_at) == (2, made.expires_at)
    assert made.id in repr(head)
    both.delete_clustering(made.id)
    with pytest.raises(nearfield.NotFound):
        both.clustering(made.id)
    with pytest.raises(nearfield.NotFound):
        both.delete_clustering(made.id)


def test_new_texts_are_assigned(both):
    made = both.cluster(TEXTS, k=2, keep_seconds=600.0)
    found = both.assign(made.id, TEXTS, dry_run=True)
    np.testing.assert_array_equal(found.nearest, made.labels)
    assert set(found.labels[found.labels != made.labels]) <= {-1}
    assert (found.drift.assigned, len(found.distances), len(found.strengths)) == (0, 12, 12)
    new = both.assign(made.id, ["A puppy sleeps by the fire.", "Pay the bill."])
    np.testing.assert_array_equal(new.nearest, [made.labels[0], made.labels[1]])
    assert new.drift.assigned == 2
    assert repr(new).startswith("<Assignment of 2 items")
    with pytest.raises(nearfield.InvalidArgument, match=r"inputs\[1\]"):
        both.assign(made.id, [[1.0] * 384, [0.0] * 384])
    with pytest.raises(nearfield.InvalidArgument, match="at least one"):
        both.assign(made.id, [])
    with pytest.raises(nearfield.NotFound):
        both.assign("nothing", ["a"])


def test_more_items_than_a_request_holds_are_assigned(client):
    made = client.cluster(TEXTS, k=2, keep_seconds=600.0)
    many = client.assign(made.id, np.tile(made.centroids, (400, 1)), dry_run=True)
    np.testing.assert_array_equal(many.nearest, np.tile([one.id for one in made.clusters], 400))


def test_clusters_keep_their_ids(client):
    before = client.cluster(TEXTS, k=2, keep_seconds=600.0, ids=range(12))
    after = client.cluster([*TEXTS, "The goat eats grass."], k=2, previous=before.id, ids=range(13))
    np.testing.assert_array_equal(after.labels[:12], before.labels)
    assert {one.change for one in after.lineage} == {"continued"}
    assert {(one.previous, one.current) for one in after.lineage} == {(0, 0), (1, 1)}


def test_names_to_choose_from(client):
    made = client.cluster(TEXTS, k=2, names=["animals", "payments and invoices", "weather"])
    assert made.cluster(made.labels[0]).name == "animals"
    assert made.cluster(made.labels[1]).name == "payments and invoices"
    assert made.clusters[0].name_similarity > 0.1


def test_agglomerative_merges_and_no_k_tries(client):
    joined = client.cluster(TEXTS, method="agglomerative", k=3, linkage="ward", keywords=0)
    assert [one.size for one in joined.clusters] == sorted((one.size for one in joined.clusters), reverse=True)
    assert len(joined.merges) == 2
    assert joined.options["linkage"] == "ward"
    assert all(not one.keywords for one in joined.clusters)
    tried = client.cluster(TEXTS, max_k=4)
    assert [one.k for one in tried.trials] == [2, 3, 4]


def test_a_job_over_a_collection(both, collection):
    job = both.start_clustering(collection, k=2, keep_seconds=600.0, filter="even = true")
    assert (job.state in {"queued", "running"}, job.items, job.error) == (True, 6, None)
    told = list(both.watch_clustering(job.id))
    assert told[-1].state == "done"
    assert told[-1].has_ended
    made = both.wait_clustering(job.id)
    assert made.ids == tuple(f"p{index:02}" for index in range(0, 12, 2))
    assert made.collection == collection
    assert job.id in [one.id for one in both.clustering_jobs()]
    assert both.cancel_clustering(job.id).state == "done"
    unary = both.cluster(collection=collection, filter="even = true", k=2)
    np.testing.assert_array_equal(unary.labels, made.labels)
    with pytest.raises(nearfield.NotFound):
        both.start_clustering("nothing")
    with pytest.raises(nearfield.NotFound):
        list(both.watch_clustering("nothing"))


def test_a_cancelled_job_says_so(both, collection):
    ahead = both.start_clustering(collection, k=2)
    job = both.start_clustering(collection, k=2)
    assert both.cancel_clustering(job.id).state == "cancelled"
    with pytest.raises(nearfield.Cancelled):
        both.wait_clustering(job.id)
    with pytest.raises(nearfield.FailedPrecondition):
        both.clustering(job.id)
    with pytest.raises(nearfield.DeadlineExceeded):
        both.wait_clustering(ahead.id, timeout=0.001)


def test_limits_are_told(both):
    limits = both.cluster_limits()
    assert limits.max_items == 10_000
    assert limits.max_keep_seconds > limits.default_keep_seconds > 0


@pytest.mark.long
@pytest.mark.timeout(900)  # the first fit compiles
def test_density_has_layers_and_noise(warm):
    random = np.random.default_rng(1)
    belongs = np.repeat(np.arange(4), 60)
    vectors = random.standard_normal((4, 24))[belongs] + 0.1 * random.standard_normal((240, 24))
    with nearfield.Client(warm.target) as client:
        made = client.cluster(vectors, method="density", target_clusters=4)
        counts = [one.clusters for one in made.layer_details]
        assert abs(made.cluster_count - 4) == min(abs(one - 4) for one in counts)
        assert made.cluster_count == counts[made.layer]
        assert made.layers.shape == (len(counts), 240)
        assert made.noise == int((made.labels < 0).sum())
        np.testing.assert_array_equal(made.layers[made.layer] < 0, made.labels < 0)
        whole = client.cluster(vectors, method="density", target_clusters=4, assign_noise=True)
        assert (whole.noise, int((whole.labels < 0).sum())) == (0, 0)
        assert all(len(set(belongs[whole.labels == one.id])) == 1 for one in whole.clusters)
