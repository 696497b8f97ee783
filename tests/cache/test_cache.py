"""The cache gives what was stored, stays within its bytes, and shows one tenant nothing of another."""

import gc
import threading
import time
import tracemalloc
from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from prometheus_client import generate_latest

from nearfield_server.core.cache import CacheKey, CacheStatistics, EmbeddingCache, plan_misses
from nearfield_server.telemetry.metrics import Metrics

OVERHEAD = 512
ROW = np.arange(4, dtype=np.float32)


def keys_of(cache, tenant="", model="sha", variant="mean"):
    return cache.keys(tenant=tenant, model=model, variant=variant)


def ids(*values):
    return np.array(values, np.int64)


class AgainstADict(RuleBasedStateMachine):
    """The cache beside an ordered dictionary that is told the same."""

    keys = st.builds(CacheKey, st.sampled_from(["a", "b"]), st.sampled_from([bytes([one]) for one in range(9)]))
    # 512 bytes of overhead each: about three rows fit, and the last never does.
    sizes = st.sampled_from([1, 64, 300, 600])

    def __init__(self):
        super().__init__()
        self.most = 2048
        self.cache = EmbeddingCache(self.most)
        self.model = OrderedDict()
        self.evictions = self.hits = self.misses = 0

    def held(self):
        return sum(row.nbytes + OVERHEAD for row in self.model.values())

    @rule(key=keys, size=sizes, value=st.integers(0, 100))
    def store(self, key, size, value):
        row = np.full(size, value, np.float32)
        self.cache.store(key, row)
        if row.nbytes + OVERHEAD > self.most:
            return
        self.model.pop(key, None)
        self.model[key] = row
        while self.held() > self.most:
            self.model.popitem(last=False)
            self.evictions += 1

    @rule(asked=st.lists(keys, max_size=4))
    def lookup(self, asked):
        found = self.cache.lookup(asked)
        for key, row in zip(asked, found, strict=True):
            assert (row is None) == (key not in self.model)
            if row is None:
                self.misses += 1
            else:
                assert np.array_equal(row, self.model[key])
                self.model.move_to_end(key)
                self.hits += 1

    @rule(model=st.sampled_from(["a", "b", "never"]))
    def drop(self, model):
        self.cache.drop_model(model)
        for key in [one for one in self.model if one.model == model]:
            del self.model[key]

    @invariant()
    def statistics_agree(self):
        expected = CacheStatistics(self.hits, self.misses, self.evictions, len(self.model), self.held())
        assert self.cache.statistics() == expected
        assert expected.bytes <= self.most


TestAgainstADict = pytest.mark.slow(AgainstADict.TestCase)


def test_a_row_is_a_copy_that_nobody_can_change():
    cache = EmbeddingCache(10_000)
    key, row = keys_of(cache)(ids(1)), ROW.copy()
    cache.store(key, row)
    row[:] = 9
    (found,) = cache.lookup([key])
    assert np.array_equal(found, ROW)
    with pytest.raises(ValueError, match="read-only"):
        found[0] = 1


def test_a_row_of_a_batch_does_not_keep_the_batch():
    cache = EmbeddingCache(10_000)
    batch = np.zeros((1000, 4), np.float32)
    cache.store(keys_of(cache)(ids(1)), batch[5])
    (found,) = cache.lookup([keys_of(cache)(ids(1))])
    assert found.base is None


def test_two_tenants_with_the_same_tokens_never_hit_each_other():
    cache = EmbeddingCache(10_000)
    cache.store(keys_of(cache, tenant="one")(ids(1, 2)), ROW)
    assert cache.lookup([keys_of(cache, tenant="two")(ids(1, 2))]) == [None]
    assert cache.lookup([keys_of(cache, tenant="")(ids(1, 2))]) == [None]
    assert cache.lookup([keys_of(cache, tenant="one")(ids(1, 2))])[0] is not None


PARTS = st.lists(
    st.one_of(st.binary(max_size=4), st.lists(st.integers(0, 3), max_size=3).map(lambda one: ids(*one))), max_size=3
)
NAMES = st.text("ab\0", max_size=3)


def plain(parts):
    return [one if isinstance(one, bytes) else one.tolist() for one in parts]


@pytest.mark.slow
@given(one=st.tuples(NAMES, NAMES, NAMES, PARTS), other=st.tuples(NAMES, NAMES, NAMES, PARTS))
def test_keys_are_equal_only_for_equal_things(one, other):
    cache = EmbeddingCache(1000)
    made = [keys_of(cache, tenant=t, model=m, variant=v)(*parts) for t, m, v, parts in (one, other)]
    same = one[:3] == other[:3] and plain(one[3]) == plain(other[3])
    assert (made[0] == made[1]) == same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((ids(1, 2), ids(0, 0)), (ids(1, 2, 0, 0),)),
        ((ids(1, 2), ids(0, 0)), (ids(1, 2), ids(0, 1))),
        ((ids(1),), (np.array([1], np.int32),)),
        ((np.zeros((2, 3)),), (np.zeros((3, 2)),)),
        ((b"ab", b"c"), (b"a", b"bc")),
        ((ids(1),), (ids(1).tobytes(),)),
    ],
)
def test_what_looks_alike_has_another_key(one, other):
    keys = keys_of(EmbeddingCache(1000))
    assert keys(*one) != keys(*other)
    assert keys(*one) == keys(*one)


def test_digests_mean_nothing_in_another_process():
    one, other = (keys_of(EmbeddingCache(1000))(ids(1)) for _ in range(2))
    assert one != other


def test_the_least_recently_used_gives_way():
    cache = EmbeddingCache(2 * (ROW.nbytes + OVERHEAD))
    a, b, c = (keys_of(cache)(ids(one)) for one in range(3))
    cache.store(a, ROW)
    cache.store(b, ROW)
    cache.lookup([a])
    cache.store(c, ROW)
    assert [row is not None for row in cache.lookup([a, b, c])] == [True, False, True]


def test_a_dropped_model_leaves_nothing():
    cache = EmbeddingCache(1 << 24)
    for one in range(5000):  # more than one slice
        cache.store(keys_of(cache, model="old")(ids(one)), ROW)
    kept = keys_of(cache, model="new")(ids(1))
    cache.store(kept, ROW)
    cache.drop_model("old")
    assert cache.statistics().entries == 1
    assert cache.statistics().bytes == ROW.nbytes + OVERHEAD
    assert cache.lookup([kept])[0] is not None


def test_plan_of_misses_runs_each_key_once():
    cache = EmbeddingCache(10_000)
    made = [keys_of(cache)(ids(one)) for one in (1, 2, 1, 3, 2)]
    cache.store(made[3], ROW)
    plan = plan_misses(made, cache.lookup(made))
    assert plan.compute == (0, 1)
    assert plan.source == (0, 1, 0, -1, 1)


@pytest.mark.slow
@given(st.lists(st.integers(0, 5)), st.sets(st.integers(0, 5)))
def test_a_call_put_together_from_its_plan_is_the_call(wanted, cached):
    cache = EmbeddingCache(1 << 20)
    keys = keys_of(cache)
    for one in cached:
        cache.store(keys(ids(one)), np.float32([one]))
    made = [keys(ids(one)) for one in wanted]
    found = cache.lookup(made)
    plan = plan_misses(made, found)
    computed = [np.float32([wanted[index]]) for index in plan.compute]
    rows = [row if place < 0 else computed[place] for row, place in zip(found, plan.source, strict=True)]
    assert [int(row[0]) for row in rows] == wanted
    assert len(computed) == len(set(wanted) - cached)


def test_many_threads_at_once():
    cache = EmbeddingCache(50 * (8 + OVERHEAD))
    start, wrong = threading.Barrier(8), []

    def work(seed):
        rng = np.random.default_rng(seed)
        start.wait()
        for _ in range(400):
            one = int(rng.integers(100))
            keys = keys_of(cache, model="ab"[one % 2])
            (row,) = cache.lookup([keys(ids(one))])
            if row is not None and row[0] != one:
                wrong.append(one)
            cache.store(keys(ids(one)), np.array([one], np.int64))
            if one == 0:
                cache.drop_model("a")

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    shown = cache.statistics()
    assert not wrong
    assert shown.hits + shown.misses == 3200
    assert shown.bytes == shown.entries * (8 + OVERHEAD) <= cache.max_bytes


@pytest.mark.slow
def test_an_entry_takes_no_more_memory_than_is_counted():
    cache = EmbeddingCache(1 << 30)
    keys, row, count = keys_of(cache, model="f" * 64), np.ones(384, np.float32), 20_000
    cache.store(keys(ids(-1)), row)
    gc.collect()
    tracemalloc.start()
    for one in range(count):
        cache.store(keys(ids(one)), row)
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    print(f"{used / count:.0f} bytes an entry, counted as {row.nbytes + OVERHEAD}")
    assert used <= count * (row.nbytes + OVERHEAD)


@pytest.mark.slow
def test_cost_of_a_lookup():
    cache = EmbeddingCache(1 << 30)
    keys, row, count = keys_of(cache), np.ones(384, np.float32), 20_000
    tokens = [np.arange(one, one + 30) for one in range(count)]
    times = {}
    started = time.perf_counter()
    made = [keys(one) for one in tokens]
    times["key"] = time.perf_counter() - started
    started = time.perf_counter()
    for key in made:
        cache.store(key, row)
    times["store"] = time.perf_counter() - started
    started = time.perf_counter()
    for first in range(0, count, 32):
        cache.lookup(made[first : first + 32])
    times["lookup"] = time.perf_counter() - started
    print({name: f"{seconds / count * 1e6:.2f} µs" for name, seconds in times.items()})
    assert sum(times.values()) / count < 200e-6  # a short text takes a thousand


def test_metrics_follow():
    metrics = Metrics(["Embed"], version="1", effective_threads=1)
    cache = EmbeddingCache(2 * (ROW.nbytes + OVERHEAD), metrics.cache)
    made = [keys_of(cache)(ids(one)) for one in range(3)]
    cache.lookup(made)
    for key in made:
        cache.store(key, ROW)
    cache.lookup(made)
    shown = generate_latest(metrics.registry).decode().splitlines()
    assert "nearfield_cache_hits_total 2.0" in shown
    assert "nearfield_cache_misses_total 4.0" in shown
    assert "nearfield_cache_evictions_total 1.0" in shown
    assert "nearfield_cache_entries 2.0" in shown
    assert f"nearfield_cache_bytes {float(cache.statistics().bytes)}" in shown
    cache.drop_model("sha")
    assert "nearfield_cache_entries 0.0" in generate_latest(metrics.registry).decode().splitlines()
