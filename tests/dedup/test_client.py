"""`deduplicate` of both clients."""

import asyncio
import itertools
from contextlib import aclosing, closing

import numpy as np
import pytest

import nearfield


class Calls:
    """Takes a kind of client, gives all verdicts as a list."""

    def __init__(self, target, is_async):
        self.target, self.is_async = target, is_async

    def __call__(self, items, to=None, **options):
        verdicts = [] if to is None else to
        if not self.is_async:
            with nearfield.Client(self.target) as client:
                verdicts.extend(client.deduplicate(items, **options))

        async def go():
            async with nearfield.AsyncClient(self.target) as client:
                async for one in client.deduplicate(items, **options):
                    verdicts.append(one)

        if self.is_async:
            asyncio.run(go())
        return verdicts


@pytest.fixture(params=["blocking", "asyncio"])
def deduplicate(server, request):
    return Calls(server.target, request.param == "asyncio")


@pytest.mark.slow
def test_one_verdict_each_in_order(deduplicate, is_near):
    verdicts = deduplicate(["a dog barks", "zebra", "the dog is barking", "a dog barks "], threshold=0.85, batch_size=2)
    assert [one.index for one in verdicts] == [0, 1, 2, 3]
    assert verdicts[0] == nearfield.DuplicateVerdict(0, "unique")
    assert is_near(verdicts[2], 0)
    assert is_near(verdicts[3], 0, "exact")


def test_an_item_that_cannot_be_sent_touches_no_other_and_numbers_are_the_callers(deduplicate):
    items = ["\ud800", "a", 5, "b", "a", "b", object()]
    verdicts = deduplicate(items, threshold=0.99, batch_size=2)
    assert [one.error is not None for one in verdicts] == [True, False, True, False, False, False, True]
    assert [one.of for one in verdicts[4:6]] == [1, 3]
    assert "items[2]" in str(verdicts[2].error)


def test_ids_name_items(deduplicate):
    verdicts = deduplicate([[1.0, 0.0], [1.0, 0.01]], ids=iter(["x", 7]), threshold=0.9)
    assert verdicts[1].of == "x"
    with pytest.raises(ValueError, match=r"zip\(\)|ids ended"):
        deduplicate([[1.0, 0.0], [1.0, 0.01]], ids=["x"], threshold=0.9)


def test_texts_vectors_and_both_may_follow_each_other(deduplicate):
    vector = np.eye(1, 384, dtype=np.float32)[0]
    verdicts = deduplicate([("a", vector), "a", vector, vector.tolist(), [101, 102]], threshold=0.9)
    assert [one.kind for one in verdicts] == ["unique", "exact", "near", "near", "unique"]


@pytest.mark.slow
def test_what_the_iterable_raises_is_raised_after_the_verdicts(deduplicate):
    def items():
        yield from ["a", "b", "a"]
        raise RuntimeError("no more")

    seen = []
    with pytest.raises(RuntimeError, match="no more"):
        deduplicate(items(), to=seen)
    assert [one.kind for one in seen] == ["unique", "unique", "exact"]


def test_what_the_server_refuses_is_raised(deduplicate):
    with pytest.raises(nearfield.InvalidArgument, match="give threshold"):
        deduplicate([[1.0, 0.0]])
    with pytest.raises(nearfield.NotFound):
        deduplicate(["a"], collection="nothing")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"level": "sometimes"}, ValueError),
        ({"batch_size": -1}, ValueError),
        ({"filter": "a == 1"}, ValueError),
        ({"similarity": 0.5}, TypeError),
    ],
)
def test_wrong_options_are_refused_at_once(deduplicate, options, error):
    with pytest.raises(error):
        deduplicate(["a"], **options)


@pytest.mark.parametrize("items", ["one text", 5])
def test_what_cannot_be_iterated_is_refused(deduplicate, items):
    with pytest.raises(TypeError):
        deduplicate(items)


def test_an_empty_iterable_has_no_verdicts(deduplicate):
    assert deduplicate([]) == []


@pytest.mark.slow
def test_an_endless_iterable_is_pulled_only_as_far_as_needed(server):
    rows = (np.array([1.0, 0.001 * at], np.float32) for at in itertools.count())
    pulled = itertools.count()
    counted = (row for row in rows if next(pulled) >= 0)
    with (
        nearfield.Client(server.target) as client,
        closing(client.deduplicate(counted, threshold=0.5, batch_size=8)) as verdicts,
    ):
        for _ in range(20):
            next(verdicts)
    assert next(pulled) <= 20 + 6 * 8

    async def items():
        for row in rows:
            next(pulled)
            yield row

    async def go():
        async with (
            nearfield.AsyncClient(server.target) as client,
            aclosing(client.deduplicate(items(), threshold=0.5, batch_size=8)) as verdicts,
        ):
            for _ in range(20):
                await anext(verdicts)

    before = next(pulled)
    asyncio.run(go())
    assert next(pulled) - before <= 20 + 6 * 8


@pytest.mark.slow
def test_against_a_collection(deduplicate, collection, is_near):
    verdicts = deduplicate(["a dog barks", "zebra"], collection=collection.name)
    assert is_near(verdicts[0], "dog", "exact")
    assert verdicts[0].in_collection
