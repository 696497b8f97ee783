"""The client's methods about classifiers, blocking and on asyncio, against a real server."""

import blocking
import numpy as np
import pytest

import nearfield

pytestmark = pytest.mark.slow


@pytest.fixture(params=[nearfield.Client, blocking.BlockingAsyncClient], ids=["blocking", "asyncio"])
def either(request, server):
    with request.param(server.target) as client:
        yield client


def test_train_use_move_and_delete(either, examples):
    made = either.train_classifier("intents", examples, description="what about", seed=3)
    assert (made.name, made.id, made.seed, made.description) == ("intents", f"intents@{made.version}", 3, "what about")
    assert [one.label for one in made.labels] == ["animals", "money", "weather"]
    assert made.input_type == "classification"
    assert {one.method for one in made.trials} == {"logistic", "ridge", "centroid"}
    assert either.classifier("intents") == made
    assert made in either.classifiers()
    found = either.classify(["two puppies play", "zqx 0x7f kernel panic"], classifier="intents")
    assert [one.answer for one in found] == ["animals", None]
    assert [one.abstained for one in found] == [False, True]
    assert [label.index for label in sorted(found[0], key=lambda label: label.label)] == [0, 1, 2]
    assert found[0] == list(found[0])  # as ever, a list of scores
    assert found[0].similarity > made.min_similarity > found[1].similarity
    (strict,) = either.classify("two puppies play", classifier="intents@1", min_score=1.0, top_k=1)
    assert strict.abstained
    assert len(strict) == 1
    moved = either.import_classifier(either.export_classifier("intents"), "moved")
    assert (moved.name, moved.labels) == ("moved", made.labels)
    assert either.delete_classifier("moved") == 1
    with pytest.raises(nearfield.NotFound, match="no classifier") as caught:
        either.classifier("moved")
    assert caught.value.reason == "CLASSIFIER_NOT_FOUND"
    with pytest.raises(nearfield.InvalidArgument, match="data"):
        either.import_classifier(b"nothing")
    assert either.delete_classifier("intents") >= 1


def test_vectors_and_many_inputs(either):
    rows = np.eye(3, dtype=np.float32).repeat(200, axis=0)
    labels = [f"axis {row // 200}" for row in range(600)]
    made = either.train_classifier("axes", rows, labels=labels, method="centroid")
    assert (made.examples, made.model, made.accuracy) == (600, "", 1.0)
    found = either.classify(rows, classifier="axes")
    assert [one.answer for one in found] == labels
    either.delete_classifier("axes")


@pytest.mark.parametrize(
    ("arguments", "options", "kind", "text"),
    [
        ((), {}, TypeError, "give examples"),
        ((["a", "b"],), {}, TypeError, "pairs"),
        ((["a", "b"],), {"labels": ["x"]}, ValueError, "1 labels for 2 examples"),
        ((["a", "b"],), {"labels": ["x", 1]}, TypeError, "a label is a int"),
        ((["a", "b"],), {"labels": "xy"}, TypeError, "one str"),
        (([("a", "x")],), {"collection": "c"}, TypeError, "or a collection"),
        (([("a", "x")],), {"methode": "ridge"}, TypeError, "unknown option"),
        (([("a", "x")],), {"method": "tree"}, ValueError, "known: 'logistic'"),
        (([("a", "x"), ("b", "x")],), {}, nearfield.InvalidArgument, "at least 2"),
    ],
)
def test_what_is_wrong_is_told(client, arguments, options, kind, text):
    with pytest.raises(kind, match=text):
        client.train_classifier("wrong", *arguments, **options)


def test_options_of_models_do_not_go_with_a_classifier(client):
    with pytest.raises(TypeError, match="unknown option 'labels'"):
        client.classify(["a"], classifier="intents", labels=["a"])


def test_a_collection(client, examples):
    notes = client.create_collection("subjects-notes")
    notes.upsert({"id": row, "text": text, "kind": label} for row, (text, label) in enumerate(examples))
    made = client.train_classifier(
        "of-notes", collection="subjects-notes", label_field="kind", filter="kind != 'money'"
    )
    assert [one.label for one in made.labels] == ["animals", "weather"]
    assert made.input_type == "document"
