"""What streams may hold, one and all together."""

import asyncio

import numpy as np
import pytest

from nearfield_server.core.computing.gatherer import Embedded
from nearfield_server.core.computing.items import Items
from nearfield_server.core.dedup.deduplicator import Deduplicator
from nearfield_server.core.dedup.nouns import DedupOptions, Found, Kind, Reference
from nearfield_server.core.dedup.seen import Batch, Seen
from nearfield_server.errors import Overloaded, TooLarge, Unavailable
from nearfield_server.types import EmbedOptions

WIDTH = 64


class Gatherer:
    """Gives vectors as they are, as if model "m" had made them."""

    version = "1"

    async def each(self, items, _embedding, _caller, _failures):
        return [(range(len(items)), Embedded(items.vectors, "m", self.version))]


def sent(count, first=0):
    return Items(vectors=np.eye(WIDTH, dtype=np.float32)[first : first + count], ids=tuple(range(count)))


def compare(deduplicator, run, items):
    async def go():
        return await run.decide(await run.look_up(items, list(range(len(items)))))

    return asyncio.run(go())


def begin(deduplicator, **fields):
    return deduplicator.begin(DedupOptions(embedding=EmbedOptions(), limit=0.9, **fields))


def test_a_stream_that_would_hold_too_much_is_told_what_to_do():
    deduplicator = Deduplicator(Gatherer(), memory_bytes=12_000)
    run = begin(deduplicator)
    assert compare(deduplicator, run, sent(10)).unique == 10
    with pytest.raises(TooLarge, match=r"into a collection.*cluster\.memory_bytes"):
        compare(deduplicator, run, sent(10, 10))
    # Nothing of it was held: what was before is there, and room for less.
    assert [one.of for one in compare(deduplicator, run, sent(5)).verdicts] == [Reference(id_, id_) for id_ in range(5)]
    assert run.bytes <= 12_000


def test_all_streams_together_are_bounded_and_give_back_what_they_held():
    deduplicator = Deduplicator(Gatherer(), memory_bytes=12_000)
    runs = [begin(deduplicator) for _ in range(3)]
    for run in runs[:2]:
        compare(deduplicator, run, sent(13))
    with pytest.raises(Overloaded):
        compare(deduplicator, runs[2], sent(13))
    deduplicator.end(runs[0])
    assert compare(deduplicator, runs[2], sent(13)).unique == 13


def test_a_stream_ends_on_the_version_that_it_began_with():
    deduplicator = Deduplicator(gatherer := Gatherer(), memory_bytes=10**6)
    run = begin(deduplicator)
    compare(deduplicator, run, sent(2))
    gatherer.version = "2"
    with pytest.raises(Unavailable, match="open the stream again"):
        compare(deduplicator, run, sent(2))


@pytest.mark.parametrize("lexical_check", [False, True])
def test_what_is_held_is_at_most_what_was_asked_for_before(lexical_check):
    seen = Seen(WIDTH, hold_all=True, lexical_check=lexical_check)
    rows = np.eye(WIDTH, dtype=np.float32)[:8]
    texts = ["", "a", "a grammar of welsh 12 13", *["same"] * 5]
    batch = Batch(
        rows=rows,
        keys=[bytes([one]) for one in range(8)],
        texts=texts,
        references=[Reference("id" * 9, one) for one in range(8)],
        stored=[Found(Kind.UNIQUE)] * 8,
    )
    most = seen.bytes_of(batch)
    seen.decide(batch, 0.9)
    assert 0 < seen.bytes <= most + 64 * 2


@pytest.mark.slow
@pytest.mark.parametrize("lexical_check", [False, True])
def test_one_item_five_thousand_times_and_none_at_all(lexical_check):
    seen = Seen(WIDTH, hold_all=True, lexical_check=lexical_check)
    row = np.eye(1, WIDTH, dtype=np.float32)
    kinds = []
    for start in range(0, 5000, 500):
        batch = Batch(
            rows=np.repeat(row, 500, axis=0),
            # Other keys, as if they differed in what doesn't count for vectors.
            keys=[(start + one).to_bytes(16, "big") for one in range(500)],
            texts=["annual report"] * 500,
            references=[Reference(None, start + one) for one in range(500)],
            stored=[Found(Kind.UNIQUE)] * 500,
        )
        kinds += [one.kind for one in seen.decide(batch, 0.9)]
    assert kinds == [Kind.UNIQUE, *[Kind.NEAR] * 4999]
    nothing = Batch(rows=row[:0], keys=[], texts=[], references=[], stored=[])
    assert seen.decide(nothing, 0.9) == []
