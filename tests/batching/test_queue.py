import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from nearfield_server.batching.policy import BatchLimits
from nearfield_server.batching.queue import Job, Queue, QueueLimits
from nearfield_server.errors import BackendFailure, Cancelled, DeadlineExceeded, Overloaded, TooLarge
from nearfield_server.types import Priority

WEIGHTS = {Priority.INTERACTIVE: 4, Priority.BULK: 1}
BATCH = BatchLimits(token_budget=32, max_padding_ratio=0.25)


def make_queue(max_items=100, max_tokens=1000):
    return Queue(QueueLimits(max_items=max_items, max_tokens=max_tokens, weights=WEIGHTS))


def make_job(*lengths, priority=Priority.INTERACTIVE, deadline=None):
    return Job([np.arange(length, dtype=np.int64) for length in lengths], priority, deadline)


def rows_of(items):
    """A row tells whose it is."""
    return np.array([[item.length, item.index] for item in items], np.float32)


def test_rows_return_to_their_places_across_batches():
    queue, job = make_queue(), make_job(30, 3, 30, 4)
    queue.admit(job, 0.0, 0.0)
    ended = []
    while batch := queue.take(1.0, BATCH):
        ended += queue.settle(batch.items, rows_of(batch.items), 2.0)
    assert ended == [job]
    assert [list(row) for row in job.rows] == [[30, 0], [3, 1], [30, 2], [4, 3]]
    assert (job.admitted_at, job.started_at, job.ended_at) == (0.0, 1.0, 2.0)
    assert queue.empty


def test_a_dropped_job_is_never_taken_and_ends_once():
    queue, job, other = make_queue(), make_job(5, 6), make_job(5)
    queue.admit(job, 0.0, 0.0)
    queue.admit(other, 0.0, 0.0)
    assert queue.drop(job, Cancelled("gone"), 1.0) == [job]
    assert queue.drop(job, Cancelled("gone"), 1.0) == []
    assert job.never_run == 2
    assert [item.job for item in queue.take(1.0, BATCH).items] == [other]
    assert queue.take(1.0, BATCH) is None


def test_expired_jobs_leave_before_the_next_batch():
    queue, late, fine = make_queue(), make_job(5, deadline=1.0), make_job(5, deadline=9.0)
    queue.admit(late, 0.0, 0.0)
    queue.admit(fine, 0.0, 0.0)
    assert queue.expire(1.0) == [late]
    assert isinstance(late.error, DeadlineExceeded)
    assert [item.job for item in queue.take(1.0, BATCH).items] == [fine]


def test_ended_jobs_dont_pile_up_until_their_deadline():
    queue = make_queue()
    for _ in range(10_000):
        job = make_job(1, deadline=1e9)
        queue.admit(job, 0.0, 0.0)
        queue.settle(items := queue.take(0.0, BATCH).items, rows_of(items), 0.0)
    assert len(queue._deadlines) < 200


def test_a_full_queue_refuses_by_items_and_by_tokens_and_says_when_to_come_back():
    queue = make_queue(max_items=2, max_tokens=100)
    queue.admit(make_job(60), 0.0, 0.0)
    with pytest.raises(Overloaded) as refused:
        queue.admit(make_job(60), 0.0, 30.0)
    assert refused.value.metadata["limited_by"] == "queue_tokens"
    assert refused.value.retry_after_seconds == pytest.approx(2.0)
    with pytest.raises(Overloaded) as refused:
        queue.admit(make_job(1, 1), 0.0, 30.0)
    assert refused.value.metadata["limited_by"] == "queue_items"
    with pytest.raises(TooLarge):
        queue.admit(make_job(1, 1, 1), 0.0, 0.0)
    with pytest.raises(TooLarge):
        queue.admit(make_job(101), 0.0, 0.0)


def test_what_cant_be_done_in_time_is_refused_while_there_is_a_backlog_and_tried_when_idle():
    queue = make_queue()
    queue.admit(make_job(100, deadline=1.0), 0.0, 10.0)  # idle: the estimate may be wrong
    with pytest.raises(DeadlineExceeded):
        queue.admit(make_job(100, deadline=1.0), 0.0, 10.0)
    with pytest.raises(Overloaded) as refused:
        queue.admit(make_job(5, deadline=1.0), 0.0, 10.0)
    assert refused.value.metadata["limited_by"] == "deadline"
    with pytest.raises(DeadlineExceeded):
        queue.admit(make_job(5, deadline=1.0), 1.0, 0.0)
    queue.admit(make_job(5, deadline=20.0), 0.0, 10.0)


def test_classes_share_by_weight_and_neither_starves():
    queue = make_queue(max_items=1000, max_tokens=100_000)
    for _ in range(100):
        queue.admit(make_job(32), 0.0, 0.0)
        queue.admit(make_job(32, priority=Priority.BULK), 0.0, 0.0)
    first = [queue.take(0.0, BATCH).items[0].job.priority for _ in range(50)]
    assert first.count(Priority.INTERACTIVE) == 40


def test_a_class_that_was_idle_doesnt_save_up():
    queue = make_queue(max_items=1000, max_tokens=100_000)
    queue.admit(make_job(*[32] * 100), 0.0, 0.0)
    for _ in range(50):
        queue.take(0.0, BATCH)
    queue.admit(make_job(*[32] * 100, priority=Priority.BULK), 0.0, 0.0)
    following = [queue.take(0.0, BATCH).items[0].job.priority for _ in range(10)]
    assert following.count(Priority.BULK) <= 3


def test_suspects_run_alone_and_the_culprit_fails_at_its_second_worker():
    queue, good, bad = make_queue(), make_job(5), make_job(6)
    queue.admit(good, 0.0, 0.0)
    queue.admit(bad, 0.0, 0.0)
    batch = queue.take(0.0, BATCH)
    assert len(batch.items) == 2
    assert queue.worker_lost(batch.items, 1.0) == []
    again = [queue.take(2.0, BATCH), queue.take(2.0, BATCH)]
    assert [[item.job for item in one.items] for one in again] == [[good], [bad]]
    assert queue.settle(again[0].items, rows_of(again[0].items), 3.0) == [good]
    assert queue.worker_lost(again[1].items, 3.0) == [bad]
    assert isinstance(bad.error, BackendFailure)
    assert queue.empty


def test_a_suspect_whose_job_is_dropped_is_forgotten():
    queue, job = make_queue(), make_job(5)
    queue.admit(job, 0.0, 0.0)
    queue.worker_lost(queue.take(0.0, BATCH).items, 0.0)
    queue.drop(job, Cancelled("gone"), 0.0)
    assert queue.take(0.0, BATCH) is None
    assert queue.empty


def test_statistics_and_repr_show_what_waits():
    queue = make_queue()
    queue.admit(make_job(5, 7), 1.0, 0.0)
    queue.admit(make_job(3, priority=Priority.BULK), 2.0, 0.0)
    seen = queue.statistics(4.0)
    assert seen.items == {Priority.INTERACTIVE: 2, Priority.BULK: 1}
    assert seen.tokens == {Priority.INTERACTIVE: 12, Priority.BULK: 3}
    assert seen.oldest_age_seconds == 3.0
    assert "'interactive': 2" in repr(queue)


class QueueMachine(RuleBasedStateMachine):
    """Every job ends exactly once, nothing dead is taken, counts stay true; small limits, so that each one binds."""

    def __init__(self):
        super().__init__()
        self.now = 0.0
        self.queue = make_queue(max_items=12, max_tokens=60)
        self.running, self.live, self.ended = [], [], []
        self.overtakes = {}

    def finish(self, jobs):
        for job in jobs:
            assert job in self.live
            self.live.remove(job)
            assert (job.error is None) == bool(job.rows)
            self.ended.append(job)

    @rule(
        lengths=st.lists(st.integers(1, 20), min_size=1, max_size=5),
        priority=st.sampled_from(Priority),
        left=st.none() | st.floats(-0.5, 5.0),
        speed=st.sampled_from([0.0, 5.0, 50.0]),
    )
    def admit(self, lengths, priority, left, speed):
        job = make_job(*lengths, priority=priority, deadline=None if left is None else self.now + left)
        try:
            self.queue.admit(job, self.now, speed)
        except (Overloaded, DeadlineExceeded):
            assert not job.items
        except TooLarge:
            assert sum(lengths) > 60
        else:
            self.live.append(job)

    @rule(step=st.floats(0.0, 2.0))
    def take(self, step):
        self.now += step
        self.finish(self.queue.expire(self.now))
        waiting = [item for job in self.live for item in job.items if item.state.name == "WAITING"]
        batch = self.queue.take(self.now, BATCH)
        assert (batch is None) == (not waiting)
        if batch is None:
            return
        assert all(not item.job.ended for item in batch.items)
        assert all(item.job.deadline is None or item.job.deadline > self.now for item in batch.items)
        assert len({item.job.priority for item in batch.items}) == 1
        mine = [item for item in waiting if item.job.priority is batch.items[0].job.priority and not item.lost_workers]
        if not batch.items[0].lost_workers:
            assert min(mine, key=lambda item: (item.job.admitted_at, self.live.index(item.job))) in batch.items
        self.running.append(batch.items)

    @rule(data=st.data())
    def settle(self, data):
        if self.running:
            items = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
            self.finish(self.queue.settle(items, rows_of(items), self.now))

    @rule(data=st.data())
    def fail_one(self, data):
        if self.running:
            items = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
            self.finish(self.queue.fail(items[0], BackendFailure("no"), self.now))
            self.finish(self.queue.settle(items[1:], rows_of(items[1:]), self.now) if items[1:] else [])

    @rule(data=st.data())
    def lose_a_worker(self, data):
        if self.running:
            items = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
            self.finish(self.queue.worker_lost(items, self.now))

    @rule(data=st.data())
    def drop(self, data):
        if self.live:
            self.finish(self.queue.drop(data.draw(st.sampled_from(self.live)), Cancelled("gone"), self.now))

    @invariant()
    def counts_are_true(self):
        seen = self.queue.statistics(self.now)
        waiting = [item for job in self.live for item in job.items if item.state.name == "WAITING"]
        ordinary = [item for item in waiting if not item.lost_workers]
        for priority in Priority:
            lengths = [item.length for item in ordinary if item.job.priority is priority]
            assert (seen.items[priority], seen.tokens[priority]) == (len(lengths), sum(lengths))
        assert seen.running_items == sum(map(len, self.running))
        assert self.queue.empty == (not waiting and not self.running)

    @invariant()
    def whole_results_are_right(self):
        for job in self.ended:
            if job.error is None:
                assert [list(row) for row in job.rows] == [[len(ids), index] for index, ids in enumerate(job.units)]


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
