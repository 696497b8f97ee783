"""What docs/classifiers.md promises of banking77, against shared/data/open/reference.json."""

import gzip
import json

import numpy as np
import pytest

import nearfield

pytestmark = pytest.mark.long

INTENTS = 77


@pytest.fixture(scope="module")
def banking(shared_data, server):
    """Unit rows and labels of `train` and `test`, and rows of texts about something else as `foreign`."""

    def read(name, most=None):
        with gzip.open(shared_data / name, "rt", encoding="utf-8") as lines:
            return [json.loads(line) for line in lines][:most]

    parts = {
        "train": read("intent/banking77_train.jsonl.gz"),
        "test": read("intent/banking77_test.jsonl.gz"),
        "foreign": read("clustering/stackoverflow_titles.jsonl.gz", 1000),
    }
    with nearfield.Client(server.target, timeout=250) as client:
        rows = {
            name: client.embed([one["text"] for one in part], input_type="classification")
            for name, part in parts.items()
        }
    return {name: (rows[name], [str(one["label"]) for one in part]) for name, part in parts.items()}


@pytest.fixture(scope="module")
def reference(shared_data):
    return json.loads((shared_data / "reference.json").read_text("utf-8"))["scores"]["intent/banking77"]


def accuracy(found, labels):
    return np.mean([one[0].label == label for one, label in zip(found, labels, strict=True)])


def auc(known, foreign):
    order = np.argsort(np.concatenate([known, foreign])).argsort() + 1
    return (order[: len(known)].sum() - len(known) * (len(known) + 1) / 2) / (len(known) * len(foreign))


def test_all_examples_are_better_than_the_nearest_one(client, banking, reference):
    rows, labels = banking["train"]
    made = client.train_classifier("banking", rows, labels=labels)
    found = client.classify(banking["test"][0], classifier="banking")
    measured = accuracy(found, banking["test"][1])
    print(f"\naccuracy with all examples {measured:.4f}, of the nearest one {reference['acc_1nn']:.4f}")
    assert measured > reference["acc_1nn"]
    assert made.accuracy == pytest.approx(measured, abs=0.02)
    assert np.mean([one[0].score for one in found]) == pytest.approx(measured, abs=0.02)
    foreign = client.classify(banking["foreign"][0], classifier="banking")
    assert auc([one.similarity for one in found], [one.similarity for one in foreign]) > 0.99
    assert np.mean([one.abstained for one in foreign]) > 0.95
    assert np.mean([one.abstained for one in found]) < 0.03


def test_eight_examples_of_each_are_better_than_plain_logistic_regression(client, banking, reference):
    rows, labels = banking["train"]
    random = np.random.default_rng(0)
    places = np.array(labels)
    chosen = np.concatenate(
        [random.choice(np.flatnonzero(places == one), 8, replace=False) for one in np.unique(places)]
    )
    made = client.train_classifier("few", rows[chosen], labels=places[chosen].tolist())
    assert (made.examples, len(made.labels)) == (8 * INTENTS, INTENTS)
    found = client.classify(banking["test"][0], classifier="few")
    measured = accuracy(found, banking["test"][1])
    print(f"\naccuracy with 8 examples a label {measured:.4f}, of plain regression {reference['acc_8shot_lr']:.4f}")
    assert measured > reference["acc_8shot_lr"] + reference["acc_8shot_lr_std"]
