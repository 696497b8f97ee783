"""The rules of a stream, without a server: packing, credit, resending, order."""

import dataclasses

import grpc
import pytest
from fake_server import FakeServer, make_status, reason, retry_info

import nearfield
from nearfield import _errors
from nearfield._convert import RowForm
from nearfield._convert_models import model_of
from nearfield._convert_vectors import EmbedForm
from nearfield._plan import StreamPlan
from nearfield._split import Budget
from nearfield._stream import StreamState
from nearfield.v1 import embed_pb2

FAKE = FakeServer()
UNAVAILABLE = make_status(grpc.StatusCode.UNAVAILABLE, "later", retry_info(2.0))
INTERNAL = make_status(grpc.StatusCode.INTERNAL, "error id 1")


def make_state(window=64, batch=4, *, ordered=False, attempts=3):
    retry = nearfield.RetryPolicy(max_attempts=attempts, jitter=0.0)
    budget = Budget(inputs=batch, size_bytes=16_384)
    return StreamState(budget, retry, window=window, ordered=ordered, form=EmbedForm(RowForm()))


def fed(count, **options):
    state = make_state(**options)
    for index in range(count):
        state.add("x" * (index + 1))
    return state


def sent(state, now=0.0):
    messages = []
    while (message := state.next_message(now)) is not None:
        messages.append(message)
    return messages


def good(message):
    options = embed_pb2.EmbedStreamOptions()
    return embed_pb2.EmbedStreamResponse(id=message.id, result=FAKE.embedded(message.inputs, options))


def bad(message, status=INTERNAL):
    return embed_pb2.EmbedStreamResponse(id=message.id, error=status)


def taken(state):
    results = []
    while (result := state.take()) is not None:
        results.append(result)
    return results


def test_a_lone_input_goes_at_once_and_what_follows_waits_for_company():
    state = fed(1)
    assert [len(one.inputs) for one in sent(state)] == [1]
    state.add("b")
    state.add("c")
    assert sent(state) == []


def test_full_messages_go_at_once():
    state = fed(10)
    assert [len(one.inputs) for one in sent(state)] == [4, 4]


def test_the_rest_goes_when_all_is_answered_or_no_input_will_follow():
    state = fed(6)
    (first,) = sent(state)
    state.on_reply(good(first), now=0.0, draw=0.0)
    assert [len(one.inputs) for one in sent(state)] == [2]
    state = fed(6)
    state.close()
    assert [len(one.inputs) for one in sent(state)] == [4, 2]


def test_long_inputs_fill_a_message_sooner():
    state = make_state(batch=32)
    for _ in range(6):
        state.add("y" * 8_000)
    assert [len(one.inputs) for one in sent(state)] == [2, 2]


def test_credit_comes_back_when_a_result_is_taken():
    state = fed(4, window=4)
    assert not state.wants_input
    (message,) = sent(state)
    state.on_reply(good(message), now=0.0, draw=0.0)
    assert not state.wants_input
    state.take()
    assert state.wants_input
    state.close()
    assert not state.wants_input


def test_credit_counts_bytes_too():
    state = make_state(window=10_000)
    added = 0
    while state.wants_input:
        state.add("y" * 2**20)
        added += 1
    assert added == 8


def test_a_failed_message_is_resent_input_by_input_before_anything_else():
    state = fed(8)
    first, second = sent(state)
    state.on_reply(bad(first), now=0.0, draw=0.0)
    singles = sent(state)
    assert [len(one.inputs) for one in singles] == [1, 1, 1, 1]
    state.on_reply(bad(singles[2]), now=0.0, draw=0.0)
    for one in (singles[0], singles[1], singles[3], second):
        state.on_reply(good(one), now=0.0, draw=0.0)
    results = {one.index: one.error for one in taken(state)}
    assert len(results) == 8
    assert [index for index, error in results.items() if error] == [2]


@pytest.mark.parametrize("code", ["DEADLINE_EXCEEDED", "CANCELLED", "PERMISSION_DENIED", "NOT_FOUND"])
def test_what_is_nobodys_fault_is_not_resent(code):
    state = fed(4)
    (message,) = sent(state)
    state.on_reply(bad(message, make_status(grpc.StatusCode[code], "no")), now=0.0, draw=0.0)
    assert sent(state) == []
    assert {one.error.code.name for one in taken(state)} == {code}


def test_what_may_succeed_later_waits_for_its_time():
    state = fed(4)
    (message,) = sent(state)
    state.on_reply(bad(message, UNAVAILABLE), now=10.0, draw=0.0)
    assert sent(state, now=11.9) == []
    assert state.wake_in(11.5) == 0.5
    assert [len(one.inputs) for one in sent(state, now=12.0)] == [4]
    assert state.wake_in(12.0) is None


def test_but_not_for_ever():
    state = fed(4)
    for attempt in range(3):
        (message,) = sent(state, now=100.0 * attempt)
        state.on_reply(bad(message, UNAVAILABLE), now=100.0 * attempt, draw=0.0)
    assert [type(one.error) for one in taken(state)] == [nearfield.Unavailable] * 4


def test_an_overload_is_not_answered_with_more_messages():
    full = make_status(grpc.StatusCode.RESOURCE_EXHAUSTED, "queue full", retry_info(1.0))
    state = fed(4)
    for attempt in range(3):
        (message,) = sent(state, now=100.0 * attempt)
        state.on_reply(bad(message, full), now=100.0 * attempt, draw=0.0)
    assert sent(state, now=1_000.0) == []
    assert [type(one.error) for one in taken(state)] == [nearfield.ResourceExhausted] * 4


def test_but_a_message_that_is_too_large_is_resent_input_by_input():
    state = fed(4)
    (message,) = sent(state)
    state.on_reply(bad(message, make_status(grpc.StatusCode.RESOURCE_EXHAUSTED, "too large")), now=0.0, draw=0.0)
    assert [len(one.inputs) for one in sent(state)] == [1, 1, 1, 1]


def test_ordered_results_wait_for_those_before():
    state = fed(8, ordered=True)
    first, second = sent(state)
    state.on_reply(good(second), now=0.0, draw=0.0)
    assert taken(state) == []
    state.on_reply(good(first), now=0.0, draw=0.0)
    assert [one.index for one in taken(state)] == list(range(8))


def test_only_the_unanswered_is_sent_again_and_in_order():
    state = fed(12)
    first, second, third = sent(state)
    state.on_reply(good(second), now=0.0, draw=0.0)
    assert state.on_disconnect(nearfield.Unavailable("gone"), seconds_left=None, draw=0.0) == 0.1
    assert [one.id for one in sent(state)] == [first.id, third.id]


def test_fruitless_connections_are_counted_and_a_reply_resets_the_count():
    state, error = fed(8), nearfield.Unavailable("gone")
    state.on_disconnect(error, seconds_left=None, draw=0.0)
    state.on_disconnect(error, seconds_left=None, draw=0.0)
    state.on_reply(good(sent(state)[0]), now=0.0, draw=0.0)
    state.on_disconnect(error, seconds_left=None, draw=0.0)
    state.on_disconnect(error, seconds_left=None, draw=0.0)
    with pytest.raises(nearfield.Unavailable):
        state.on_disconnect(error, seconds_left=None, draw=0.0)


def test_a_stream_that_the_server_closed_for_idleness_goes_on():
    idle = nearfield.DeadlineExceeded("no message for 60 s", _errors.ErrorFacts(reason="DEADLINE_EXCEEDED"))
    assert fed(1).on_disconnect(idle, seconds_left=None, draw=0.0) == 0.0
    with pytest.raises(nearfield.DeadlineExceeded):
        fed(1).on_disconnect(nearfield.DeadlineExceeded("ours"), seconds_left=0.0, draw=0.0)


def test_other_errors_end_the_stream():
    with pytest.raises(nearfield.InvalidArgument):
        fed(1).on_disconnect(nearfield.InvalidArgument("options"), seconds_left=None, draw=0.0)


def test_it_is_done_when_all_is_taken():
    state = fed(1)
    (message,) = sent(state)
    state.close()
    state.on_reply(good(message), now=0.0, draw=0.0)
    assert not state.is_done
    state.take()
    assert state.is_done
    assert repr(state) == "<StreamState added=1 taken=1 packing=0 sendable=0 delayed=0 sent=0 ready=0 closed>"


def test_replies_that_do_not_fit():
    state = fed(4)
    (message,) = sent(state)
    short = good(message)
    short.result.embeddings.rows = 3
    with pytest.raises(nearfield.InternalError, match="doesn't fit"):
        state.on_reply(short, now=0.0, draw=0.0)
    with pytest.raises(nearfield.InternalError, match="wasn't sent"):
        state.on_reply(good(message), now=0.0, draw=0.0)


def test_rows_of_another_type_than_was_asked_for():
    state = fed(4)
    (message,) = sent(state)
    other = good(message)
    other.result.embeddings.dtype = 2
    with pytest.raises(nearfield.InternalError, match="element type 2, but float32"):
        state.on_reply(other, now=0.0, draw=0.0)


def test_a_model_exchanged_within_a_stream_ends_it():
    state = fed(8)
    first, second = sent(state)
    state.on_reply(good(first), now=0.0, draw=0.0)
    other = good(second)
    other.result.model = "toy-2"
    with pytest.raises(nearfield.Aborted, match="exchanged"):
        state.on_reply(other, now=0.0, draw=0.0)


def test_reasons_come_along():
    state = fed(1)
    (message,) = sent(state)
    state.on_reply(bad(message, make_status(grpc.StatusCode.INTERNAL, "x", reason("BACKEND"))), now=0.0, draw=0.0)
    assert taken(state)[0].error.reason == "BACKEND"


@pytest.mark.parametrize(
    ("options", "published", "window"),
    [
        ({"batch_size": 8}, 64, 64),
        ({"batch_size": 8}, 10, 16),
        ({"window": 3}, 64, 3),
        ({"window": 200, "batch_size": 4}, 64, 200),
        ({}, 10**9, 4_096),
        ({}, 0, 256),
    ],
    ids=str,
)
def test_the_window(options, published, window):
    model = model_of(FAKE.model)
    model = dataclasses.replace(model, limits=dataclasses.replace(model.limits, stream_window_inputs=published))
    state = StreamPlan(options).start(model, nearfield.RetryPolicy())
    added = 0
    while state.wants_input:
        state.add("x")
        added += 1
    assert added == window
    assert all(len(one.inputs) <= window for one in sent(state))
