"""Training and classifying over gRPC, with the real encoder and a real worker."""

from dataclasses import replace

import grpc
import numpy as np
import pytest

from nearfield.v1 import cluster_pb2, embed_pb2, search_pb2, search_pb2_grpc, types_pb2
from nearfield_server.core.classifiers.codec import decode, encode
from nearfield_server.core.classifiers.nouns import Classifier

pytestmark = pytest.mark.slow


def refused(call, code, *words):
    with pytest.raises(grpc.RpcError) as caught:
        call()
    assert caught.value.code() is code, caught.value.details()
    for word in words:
        assert word in caught.value.details()
    return caught.value


INVALID, MISSING = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND


def test_a_classifier_is_told_and_used(service, trained):
    assert [(one.label, one.examples) for one in trained.labels] == [("animals", 5), ("money", 5), ("weather", 5)]
    assert (trained.examples, trained.folds, trained.version, trained.dimensions) == (15, 5, 1, 384)
    assert trained.accuracy > 0.5
    assert len(trained.trials) == 7
    assert trained.description == "what it is about"
    assert trained.input_type == types_pb2.INPUT_TYPE_CLASSIFICATION
    assert all(one.HasField("recall") for one in trained.labels)
    reply = service.classify("subjects", ["two puppies play", "shares went up", "zqx 0x7f kernel panic"])
    assert [one.labels[0].label for one in reply.results[:2]] == ["animals", "money"]
    assert [one.abstained for one in reply.results] == [False, False, True]
    assert reply.classifier == "subjects@1"
    assert reply.model == "all-MiniLM-L6-v2"
    assert len(reply.token_counts) == 3
    for one in reply.results:
        assert sum(label.score for label in one.labels) == pytest.approx(1.0, abs=1e-5)


def test_bounds_of_answers(service, trained):
    texts = ["two puppies play"]
    assert service.classify("subjects@1", texts, min_score=1.0).results[0].abstained
    assert service.classify("subjects", texts, min_similarity=1.0).results[0].abstained
    assert not service.classify("subjects", ["zqx 0x7f kernel panic"], min_similarity=-1.0).results[0].abstained
    assert len(service.classify("subjects", texts, top_k=1).results[0].labels) == 1


def test_vectors_in_place_of_texts(service, trained):
    row = service.embed.Embed(
        embed_pb2.EmbedRequest(
            inputs=[{"text": "two puppies play"}], input_type=types_pb2.INPUT_TYPE_CLASSIFICATION, normalize=True
        )
    ).embeddings
    by_text, by_vector = service.classify("subjects", ["two puppies play"]), service.classify("subjects", vectors=row)
    assert by_vector.results[0].labels[0].score == pytest.approx(by_text.results[0].labels[0].score, abs=1e-4)
    narrow = types_pb2.Matrix(rows=1, cols=2, data=np.ones(2, "<f4").tobytes())
    refused(lambda: service.classify("subjects", vectors=narrow), INVALID, "vectors.cols", "384")
    refused(lambda: service.classify("subjects", ["x"], vectors=row), INVALID, "not both")


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"model": "m"}, "model"),
        ({"labels": ["a"]}, "labels"),
        ({"label_template": "{}"}, "label_template"),
        ({"multi_label": True}, "multi_label"),
        ({"raw_scores": True}, "raw_scores"),
        ({"min_score": 1.5}, "min_score"),
        ({"min_score": float("nan")}, "min_score"),
        ({"min_similarity": -2.0}, "min_similarity"),
        ({"top_k": 0}, "top_k"),
    ],
)
def test_options_that_do_not_go_with_a_classifier(service, trained, options, field):
    refused(lambda: service.classify("subjects", ["x"], **options), INVALID, f"{field}:")


def test_what_goes_with_a_classifier_only(service):
    request = embed_pb2.ClassifyRequest(inputs=[{"input": {"text": "x"}}], labels=["a", "b"], min_score=0.5)
    refused(lambda: service.embed.Classify(request), INVALID, "min_score:")
    pair = embed_pb2.ClassifyRequest(classifier="subjects", inputs=[{"input": {"text": "x"}, "pair": "y"}])
    refused(lambda: service.embed.Classify(pair), INVALID, "inputs[0].pair:")


def test_the_same_whatever_the_order(service, trained, examples):
    other = service.train("again", examples[::-1], parts=4, description="what it is about")
    assert [(one.regularization, one.macro_f1) for one in other.trials] == [
        (one.regularization, pytest.approx(one.macro_f1)) for one in trained.trials
    ]
    first, second = (service.classify(name, ["two puppies play"]) for name in ("subjects", "again"))
    assert first.results[0].labels[0].score == pytest.approx(second.results[0].labels[0].score, abs=1e-4)


def test_versions_count_up_and_names_are_suggested(service, examples):
    assert [service.train("counted", examples, method="CLASSIFIER_METHOD_CENTROID").version for _ in "ab"] == [1, 2]
    get = service.cluster.GetClassifier
    assert get(cluster_pb2.GetClassifierRequest(name="counted")).classifier.version == 2
    assert get(cluster_pb2.GetClassifierRequest(name="counted@1")).classifier.version == 1
    refused(lambda: get(cluster_pb2.GetClassifierRequest(name="countd")), MISSING, "did you mean counted")
    refused(lambda: service.classify("counted@7", ["x"]), MISSING, "counted@")
    listed = service.cluster.ListClassifiers(cluster_pb2.ListClassifiersRequest()).classifiers
    assert [one.version for one in listed if one.name == "counted"] == [2, 1]
    delete = service.cluster.DeleteClassifier
    assert delete(cluster_pb2.DeleteClassifierRequest(name="counted@2")).deleted == 1
    assert service.classify("counted", ["x"]).classifier == "counted@1"
    # A number isn't given twice: whoever asks for counted@2 gets what was called so, or nothing.
    assert service.train("counted", examples, method="CLASSIFIER_METHOD_CENTROID").version == 3
    assert delete(cluster_pb2.DeleteClassifierRequest(name="counted")).deleted == 2
    refused(lambda: service.classify("counted", ["x"]), MISSING)
    refused(lambda: delete(cluster_pb2.DeleteClassifierRequest(name="")), INVALID, "name:")


def test_a_classifier_moves_as_a_file(service, trained, start_server, connect):
    data = service.cluster.ExportClassifier(cluster_pb2.ExportClassifierRequest(name="subjects")).data
    other = connect(start_server().target)
    made = other.cluster.ImportClassifier(cluster_pb2.ImportClassifierRequest(data=data)).classifier
    assert (made.name, made.version, made.created_at) == ("subjects", 1, trained.created_at)
    named = other.cluster.ImportClassifier(cluster_pb2.ImportClassifierRequest(data=data, name="moved")).classifier
    assert named.name == "moved"
    assert other.classify("moved", ["x"]).results == service.classify("subjects@1", ["x"]).results
    damaged = data[:-40] + bytes([data[-40] ^ 1]) + data[-39:]
    importing = other.cluster.ImportClassifier
    refused(lambda: importing(cluster_pb2.ImportClassifierRequest(data=damaged)), INVALID, "data:", "checksum")
    refused(lambda: importing(cluster_pb2.ImportClassifierRequest(data=data, name="a b")), INVALID, "name:")


def test_a_model_in_another_version_is_refused(service, trained):
    data = service.cluster.ExportClassifier(cluster_pb2.ExportClassifierRequest(name="subjects")).data
    one = decode(data)
    for name, changes in (("older", {"model_version": "0"}), ("elsewhere", {"model": "nowhere"})):
        file = encode(Classifier(replace(one.head, name=name, **changes), one.weights))
        service.cluster.ImportClassifier(cluster_pb2.ImportClassifierRequest(data=file))
    refused(lambda: service.classify("older", ["x"]), grpc.StatusCode.FAILED_PRECONDITION, "older@1", "train it anew")
    refused(lambda: service.classify("elsewhere", ["x"]), MISSING, "no model")


def test_what_a_training_would_take_is_told_before(start_server, connect, examples):
    small = connect(start_server(cluster={"memory_bytes": 256 << 20}).target)
    rows = np.random.default_rng(0).standard_normal((400, 2000)).astype("<f4")
    names = [str(row // 2) for row in range(400)]
    refused(
        lambda: small.train("n", vectors=rows, labels=names), grpc.StatusCode.RESOURCE_EXHAUSTED, "cluster.memory_bytes"
    )
    assert small.train("n", examples).version == 1


def test_more_labels_than_a_reply_holds(start_server, connect, examples):
    small = connect(start_server(limits={"max_response_bytes": 1500}).target)
    small.train("subjects", examples, method="CLASSIFIER_METHOD_CENTROID")
    texts = ["a dog"] * 60
    refused(lambda: small.classify("subjects", texts), INVALID, "top_k:")
    refused(lambda: small.classify("subjects", texts, top_k=1), INVALID, "inputs:")
    assert len(small.classify("subjects", texts[:5], top_k=1).results) == 5


def test_a_classifier_of_vectors_of_the_callers_own(service):
    vectors = np.eye(4, dtype="<f4").repeat(3, axis=0) + 0.01 * np.arange(48).reshape(12, 4)
    made = service.train("own", vectors=vectors, labels=[f"axis {row // 3}" for row in range(12)])
    assert (made.model, made.dimensions) == ("", 4)
    rows = np.eye(4, dtype="<f4")
    matrix = types_pb2.Matrix(rows=4, cols=4, data=rows.tobytes())
    reply = service.classify("own", vectors=matrix, min_similarity=-1.0)
    assert [one.labels[0].label for one in reply.results] == [f"axis {row}" for row in range(4)]
    refused(lambda: service.classify("own", ["x"]), INVALID, "vectors:")


def test_a_failed_example_touches_no_other(service):
    vectors = np.eye(4, dtype="<f4").repeat(3, axis=0)
    vectors[5] = 0
    vectors[7, 0] = np.nan
    made = service.train("holes", vectors=vectors, labels=[str(row // 3) for row in range(12)])
    assert [one.examples for one in made.labels] == [3, 2, 2, 3]
    assert made.warnings[0].startswith("2 examples were left out; of the first: examples.items.vectors[5]")


@pytest.mark.parametrize(
    ("name", "examples", "options", "words"),
    [
        ("a b", [("x", "a"), ("y", "b")], {}, ["options.name:"]),
        ("n", [("x", "a"), ("y", "a")], {}, ["examples.labels:", "1 label"]),
        ("n", [], {}, ["items:"]),
        ("n", [("x", "a"), ("y", " ")], {}, ["examples.labels[1]:"]),
        ("n", [("x", "a"), ("y", "b" * 257)], {}, ["examples.labels[1]:"]),
        ("n", [("x", "a"), ("y", "b"), ("z", "b")], {"method": 1}, ["examples.labels:", "CENTROID"]),
        ("n", [("x", "a"), ("y", "b")], {"method": 9}, ["options.method:"]),
        ("n", [("x", "a"), ("y", "b")], {"label_field": "kind"}, ["options.label_field:"]),
        ("n", [("x", "a"), ("y", "b")], {"description": "d" * 1001}, ["options.description:"]),
        ("n", [], {"collection": {"collection": "c"}}, ["options.label_field:"]),
        ("n", [], {"collection": {"collection": "c"}, "label_field": "a..b"}, ["options.label_field:"]),
        ("n", [], {"collection": {}, "label_field": "a"}, ["options.collection.collection:"]),
        ("n", [("x", "a")], {"collection": {"collection": "c"}, "label_field": "a"}, ["examples:"]),
    ],
)
def test_wrong_trainings(service, name, examples, options, words):
    refused(lambda: service.train(name, examples, **options), INVALID, *words)


def test_labels_of_one_example_are_compared_by_the_nearest_mean(service):
    made = service.train("single", [("a dog", "animal"), ("a cat", "animal"), ("a bank", "money")])
    assert made.method == cluster_pb2.CLASSIFIER_METHOD_CENTROID
    assert (made.folds, made.HasField("accuracy"), made.labels[0].HasField("recall")) == (0, False, False)
    assert "1 of 2 labels have one example only" in made.warnings[0]
    assert service.classify("single", ["a puppy"]).results[0].labels[0].label == "animal"


def test_a_collection_with_labels_in_its_payload(service, examples):
    search = search_pb2_grpc.SearchServiceStub(service.channel)
    search.CreateCollection(search_pb2.CreateCollectionRequest(name="labelled-notes", model="all-MiniLM-L6-v2"))
    values = {"animals": "animals", "money": 7, "weather": True}
    points = [
        {"id": {"number": row}, "text": text, "payload": {"fields": {"kind": values[label]}}}
        for row, (text, label) in enumerate(examples)
    ]
    points += [{"id": {"number": 99}, "text": "without a label"}]
    search.Upsert(search_pb2.UpsertRequest(collection="labelled-notes", points=points, wait=True))
    made = service.train("notes", collection={"collection": "labelled-notes"}, label_field="kind")
    assert [(one.label, one.examples) for one in made.labels] == [("7", 5), ("animals", 5), ("true", 5)]
    assert made.warnings[0].startswith("1 points have no label in 'kind'")
    assert made.input_type == types_pb2.INPUT_TYPE_DOCUMENT
    assert service.classify("notes", ["two puppies play"]).results[0].labels[0].label == "animals"
    field = {"collection": {"collection": "labelled-notes"}, "label_field": "sort"}
    refused(lambda: service.train("n", **field), INVALID, "options.label_field:", "none of 16 points")
