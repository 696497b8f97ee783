"""Decisions in the order of the stream, however it is cut into messages."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfield_server.core.dedup.nouns import Found, Kind, Reference
from nearfield_server.core.dedup.seen import Batch, Seen, better

THRESHOLD = 0.9


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def batches(rows, texts, size):
    for start in range(0, len(rows), size):
        part = range(start, min(start + size, len(rows)))
        yield Batch(
            rows=rows[part.start : part.stop],
            keys=[texts[one].encode() if texts[one] else b"#%d" % one for one in part],
            texts=[texts[one] for one in part],
            references=[Reference(None, one) for one in part],
            stored=[Found(Kind.UNIQUE)] * len(part),
        )


def decided(rows, texts, size, **options):
    seen = Seen(rows.shape[1], **{"hold_all": False, "lexical_check": False} | options)
    return [one for batch in batches(rows, texts, size) for one in seen.decide(batch, THRESHOLD)]


def simply(rows, texts):
    """The rules, one item after the other."""
    held, found = [], []
    for row, text in enumerate(texts):
        same = [one for one in held if text and texts[one] == text]
        near = max(((float(rows[one] @ rows[row]), -one) for one in held), default=None)
        if same:
            found.append((Kind.EXACT, same[0]))
        elif near is not None and near[0] >= THRESHOLD - 1e-6:
            found.append((Kind.NEAR, -near[1]))
        else:
            found.append((Kind.UNIQUE, None if near is None else -near[1]))
            held.append(row)
    return found


@pytest.mark.slow
@given(
    angles=st.lists(st.integers(0, 90), min_size=1, max_size=30),
    texts=st.lists(st.sampled_from(["", "", "a", "b"]), min_size=30, max_size=30),
    size=st.integers(1, 31),
)
def test_any_cut_of_a_stream_gives_what_the_rules_say(angles, texts, size):
    # Whole degrees: similarities differ by far more than rounding, or not at all.
    rows = unit(np.array([[np.cos(np.radians(one)), np.sin(np.radians(one))] for one in angles]))
    found = decided(rows, texts[: len(rows)], size)
    expected = simply(rows, texts[: len(rows)])
    assert [one.kind for one in found] == [kind for kind, _ in expected]
    for one, (_, of), row in zip(found, expected, rows, strict=True):
        if of is None:
            assert one.of is None
        else:
            # Of equally near ones either may be meant.
            assert rows[one.of.index] @ row == pytest.approx(rows[of] @ row, abs=1e-6)


@pytest.mark.parametrize("size", [7, 100])
def test_the_same_words_are_found_though_many_vectors_are_nearer(size):
    rng = np.random.default_rng(0)
    centre = np.eye(1, 64)
    crowd = unit(centre + 0.02 * rng.standard_normal((40, 64)))
    twin = unit(centre + 0.08 * rng.standard_normal((1, 64)))
    rows = np.concatenate([twin, crowd, unit(centre)])
    others = ["".join(rng.choice(list("abcdefghij"), 24)) for _ in range(40)]
    texts = ["a grammar of modern welsh", *others, "A Grammar of Modern Welsh."]
    found = decided(rows, texts, size, lexical_check=True)
    assert [one.kind for one in found[:-1]] == [Kind.UNIQUE] * 41
    assert (found[-1].kind, found[-1].of) == (Kind.NEAR, Reference(None, 0))


def test_the_same_counts_more_than_near_and_near_more_than_unique():
    stored = Found(Kind.NEAR, Reference("p", in_collection=True), 0.95)
    assert better(stored, Found(Kind.EXACT, Reference(None, 1), 1.0)).kind is Kind.EXACT
    assert better(stored, Found(Kind.NEAR, Reference(None, 1), 0.96)).of == Reference(None, 1)
    assert better(stored, Found(Kind.NEAR, Reference(None, 1), 0.95)) is stored
    assert better(stored, Found(Kind.UNIQUE, Reference(None, 1), 0.99)) is stored
    assert better(Found(Kind.UNIQUE), Found(Kind.UNIQUE, Reference(None, 1), -0.5)).of == Reference(None, 1)
