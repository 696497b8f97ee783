"""What every executor does."""

import operator
from functools import partial

import pytest
import works

from nearfield_server.executors.base import JobFailure


class Conformance:
    """Has `executor` as a fixture."""

    def test_each_shard_has_its_result_at_its_place(self, executor):
        found = dict(executor.map(works.squared, [1, 2, 3, 4, 5]))
        assert found == {0: 1, 1: 4, 2: 9, 3: 16, 4: 25}

    def test_no_shards_no_results(self, executor):
        assert list(executor.map(works.squared, [])) == []

    def test_what_work_raises_is_raised_here_and_the_next_call_works(self, executor):
        with pytest.raises(ValueError, match="three"):
            dict(executor.map(works.refuses, [1, 2, 3, 4]))
        assert dict(executor.map(works.refuses, [7])) == {0: 7}

    def test_work_of_a_killed_worker_is_done_again(self, executor, tmp_path):
        found = dict(executor.map(partial(works.dies_once, str(tmp_path)), [1, 2, 3]))
        assert (tmp_path / "died").exists()
        assert found == {0: 10, 1: 20, 2: 30}

    def test_work_that_kills_its_worker_each_time_ends_the_call(self, executor):
        with pytest.raises(JobFailure, match="lost its worker 3 times"):
            dict(executor.map(works.dies_always, [2]))

    def test_who_stops_listening_leaves_nothing_behind(self, executor):
        results = executor.map(works.squared, range(20))
        next(results)
        results.close()
        assert dict(executor.map(works.squared, [3])) == {0: 9}

    def test_steps_reach_all_held_shards(self, executor):
        holding = executor.hold(works.opened, [1, 2, 3, 4])
        try:
            assert holding.reduce(works.scaled, 10, operator.add) == 100
            assert holding.reduce(works.scaled, 1, operator.add) == 10
        finally:
            holding.close()
