"""Classifiers as files, and on the disk."""

import asyncio
import hashlib
import json
import struct
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfield_server.core.classifiers.codec import decode, encode
from nearfield_server.core.classifiers.kept import KeptClassifiers
from nearfield_server.core.classifiers.nouns import Classifier, Head, LabelFacts, Method, Trained, Trial, Weights
from nearfield_server.errors import ClassifierNotFound, DataDamaged, FailedPrecondition
from nearfield_server.types import InputType


def made(name="a", labels=("x", "y"), width=3):
    random = np.random.default_rng(0)
    head = Head(
        name=name,
        version=1,
        trained=Trained(
            method=Method.RIDGE,
            labels=tuple(LabelFacts(label=one, examples=2, precision=0.5) for one in labels),
            examples=2 * len(labels),
            accuracy=0.75,
            macro_f1=0.5,
            folds=2,
            trials=(Trial(method=Method.RIDGE, regularization=1.0, macro_f1=0.5),),
            min_similarity=0.25,
            warnings=("careful",),
        ),
        model="m",
        model_version="1",
        dimensions=width,
        input_type=InputType.DOCUMENT,
        description="d",
        created_at=datetime(2026, 1, 2, tzinfo=UTC),
    )
    table = (len(labels), width)
    weights = Weights(
        coefficients=random.standard_normal(table).astype(np.float32),
        intercepts=random.standard_normal(len(labels)).astype(np.float32),
        centroids=np.eye(*table, dtype=np.float32),
    )
    return Classifier(head, weights)


def sealed(body):
    return body + hashlib.sha256(body).digest()


def with_head(change):
    data = encode(made())
    (length,) = struct.unpack_from("<I", data, 8)
    head = json.loads(data[12 : 12 + length])
    change(head)
    text = json.dumps(head).encode()
    return sealed(data[:8] + struct.pack("<I", len(text)) + text + data[12 + length : -32])


def test_a_file_is_read_as_it_was_written():
    one = made(labels=("x", "zwei", "日本"))
    again = decode(encode(one))
    assert again.head == one.head
    for name in ("coefficients", "intercepts", "centroids"):
        np.testing.assert_array_equal(getattr(again.weights, name), getattr(one.weights, name))


@given(st.integers(0, len(encode(made())) - 1), st.integers(1, 255))
def test_no_changed_byte_is_taken(place, change):
    data = bytearray(encode(made()))
    data[place] ^= change
    with pytest.raises(ValueError, match=r"is damaged|is no file"):
        decode(bytes(data))


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(data):
    with pytest.raises(ValueError, match=r"is |has "):
        decode(data)
    with pytest.raises(ValueError, match=r"is |has |weights|size"):
        decode(sealed(b"NFCLASS1" + data))


@pytest.mark.parametrize(
    "change",
    [
        lambda head: head.update(name="../up"),
        lambda head: head.update(version=0),
        lambda head: head.update(dimensions=10**9),
        lambda head: head.update(dimensions=4),
        lambda head: head.update(description="d" * 1001),
        lambda head: head["trained"].update(accuracy=1.5),
        lambda head: head["trained"].update(accuracy=float("nan")),
        lambda head: head["trained"].update(min_similarity=-2),
        lambda head: head["trained"].update(labels=head["trained"]["labels"][:1]),
        lambda head: head["trained"]["labels"][1].update(label="x"),
        lambda head: head["trained"]["labels"][1].update(label=" "),
        lambda head: head["trained"]["labels"][1].update(examples=-1),
        lambda head: head["trained"].update(examples=5),
        lambda head: head["trained"].update(method="tree"),
        lambda head: head["trained"]["trials"][0].update(regularization=1e300),
        lambda head: head.pop("model"),
    ],
)
def test_a_file_with_a_right_checksum_is_not_believed(change):
    assert decode(with_head(lambda _: None)).head.name == "a"
    with pytest.raises(ValueError, match=r"has |size"):
        decode(with_head(change))


@pytest.mark.parametrize("name", ["coefficients", "intercepts", "centroids"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -3e38])
def test_weights_must_give_numbers(name, value):
    one = made()
    getattr(one.weights, name).ravel()[1] = value
    with pytest.raises(ValueError, match=r"finite|unit length"):
        decode(encode(one))


async def opened(folder, most=10):
    kept = KeptClassifiers(folder, most, lambda _: None)
    await kept.open()
    return kept


async def test_versions_survive_a_restart_and_no_number_comes_twice(tmp_path):
    kept = await opened(tmp_path / "c")
    for _ in range(3):
        await kept.add(made())
    await kept.drop("a@3")
    await kept.close()
    kept = await opened(tmp_path / "c")
    assert [one.id for one in kept.listed()] == ["a@2", "a@1"]
    assert (await kept.add(made())).head.version == 4
    assert (await kept.load("a")).head.version == 4
    assert await kept.drop("a") == 3
    assert (await kept.add(made())).head.version == 1
    await kept.close()


async def test_versions_made_at_once_are_different(tmp_path):
    kept = await opened(tmp_path / "c")
    found = await asyncio.gather(*(kept.add(made()) for _ in range(5)))
    assert sorted(one.head.version for one in found) == [1, 2, 3, 4, 5]
    await kept.close()


async def test_a_classifier_that_is_deleted_serves_those_who_have_it(tmp_path):
    kept = await opened(tmp_path / "c")
    await kept.add(made())
    held = await kept.load("a")
    await kept.drop("a")
    assert held.weights.coefficients.sum() == made().weights.coefficients.sum()
    with pytest.raises(ClassifierNotFound):
        await kept.load("a")
    await kept.add(made(labels=("p", "q")))
    assert [one.label for one in (await kept.load("a@1")).head.trained.labels] == ["p", "q"]
    await kept.close()


async def test_what_a_killed_server_left_is_done_away_with(tmp_path):
    kept = await opened(tmp_path / "c")
    await kept.add(made())
    await kept.close()
    half = tmp_path / "c" / "a@2.making"
    half.mkdir()
    (half / "classifier.bin").write_bytes(b"half")
    kept = await opened(tmp_path / "c")
    assert [one.id for one in kept.listed()] == ["a@1"]
    assert not half.exists()
    await kept.close()


async def test_damage_is_told_and_no_more_than_may_are_kept(tmp_path):
    kept = await opened(tmp_path / "c", most=1)
    await kept.add(made())
    with pytest.raises(FailedPrecondition, match="max_kept"):
        await kept.add(made("b"))
    (tmp_path / "c" / "a@1" / "classifier.bin").write_bytes(b"NFCLASS1")
    with pytest.raises(DataDamaged, match="a@1 is no file"):
        await kept.load("a")
    await kept.close()
    (tmp_path / "c" / "versions.json").write_text("[1]")
    with pytest.raises(DataDamaged, match=r"versions\.json"):
        await opened(tmp_path / "c")


async def test_names_are_suggested(tmp_path):
    kept = await opened(tmp_path / "c")
    await kept.add(made("intents"))
    for asked, near in (("intent", "intents"), ("intents@2", "intents@1")):
        with pytest.raises(ClassifierNotFound, match=f"did you mean {near}"):
            kept.find(asked)
    await kept.add(replace(made("intents")))
    assert kept.find("intents").version == 2
    await kept.close()
