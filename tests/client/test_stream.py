"""Streams: one result per input, whatever happens to the messages, the connection, the iterable or the consumer."""

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from fake_server import make_status, retry_info

import nearfield

UNAVAILABLE = make_status(grpc.StatusCode.UNAVAILABLE, "loading", retry_info(0.001))


def numbered(count):
    return ["x" * (index % 9 + 1) for index in range(count)]


def lengths(results):
    return {one.index: None if one.embedding is None else int(one.embedding[0]) for one in results}


@pytest.mark.parametrize("ordered", [False, True])
def test_every_input_gets_one_result(client, ordered):
    texts = numbered(500)
    results = list(client.embed_stream(iter(texts), ordered=ordered))
    assert lengths(results) == {index: len(text) for index, text in enumerate(texts)}
    assert len(results) == 500
    assert {one.token_count for one in results} == set(range(3, 12))


def test_an_empty_iterable_connects_to_nothing(client, fake):
    assert list(client.embed_stream([])) == []
    assert fake.calls["EmbedStream"] == 0


def test_a_finished_stream_is_not_a_cancelled_one(client, fake):
    assert len(list(client.embed_stream(["a", "b"]))) == 2
    assert fake.streams_completed.acquire(timeout=5)


def test_inputs_are_packed(client, fake):
    fake.model.limits.max_inputs = 64
    list(client.embed_stream(numbered(320)))
    sizes = [len(one.inputs) for one in fake.requests if one is not None and hasattr(one, "inputs")]
    # How full they are depends on how fast the threads are: test_stream_state.py has the rule.
    assert max(sizes) <= 32
    assert sum(sizes) == 320
    assert len(sizes) < 320


def test_long_inputs_are_packed_less(client, fake):
    fake.model.limits.max_inputs = 64
    list(client.embed_stream(["y" * 8_000] * 12))
    assert max(len(one.inputs) for one in fake.requests if hasattr(one, "inputs")) <= 2


def test_options_go_with_the_first_message(client, fake):
    list(client.embed_stream(["a"], dimensions=2, output_dtype="float16", ordered=True, priority="interactive"))
    hello = next(one for one in fake.requests if hasattr(one, "options"))
    assert not hello.inputs
    assert (hello.options.dimensions, hello.options.output_dtype) == (2, 2)
    assert (hello.options.ordered, hello.options.priority) == (True, 1)


@pytest.mark.parametrize("ordered", [False, True])
def test_only_the_culprit_fails(client, fake, ordered):
    texts = numbered(70)
    texts[41] = "bad"
    fake.bad_texts["bad"] = "not this one"
    results = list(client.embed_stream(texts, ordered=ordered))
    failed = [one for one in results if one.error]
    assert [one.index for one in failed] == [41]
    assert failed[0].embedding is None
    assert isinstance(failed[0].error, nearfield.InvalidArgument)
    assert failed[0].error.field_violations == (("inputs[41].text", "bad"),)
    assert len(results) == 70
    if ordered:
        assert [one.index for one in results] == list(range(70))


def test_what_no_server_could_take_fails_alone(client):
    results = sorted(client.embed_stream(["a", "\ud800", None, "b"]), key=lambda one: one.index)
    assert [one.error is None for one in results] == [True, False, False, True]
    assert {type(one.error) for one in results[1:3]} == {nearfield.InvalidArgument}
    assert results[1].error.field_violations[0][0] == "inputs[1]"


def test_nothing_but_local_failures(client, fake):
    assert [one.index for one in client.embed_stream(["\ud800"] * 3, ordered=True)] == [0, 1, 2]
    assert fake.calls["EmbedStream"] == 0


def test_a_message_that_may_succeed_later_is_sent_again(client, fake):
    fake.stream_script.extend([UNAVAILABLE, None, UNAVAILABLE])
    results = list(client.embed_stream(numbered(40), batch_size=4))
    assert not any(one.error for one in results)
    assert len(results) == 40


def test_a_message_is_not_sent_for_ever(client, fake):
    fake.stream_script.extend([UNAVAILABLE] * 5)
    (result,) = client.embed_stream(["a"])
    assert isinstance(result.error, nearfield.Unavailable)
    assert fake.calls["message"] == 5


@pytest.mark.parametrize("ordered", [False, True])
def test_after_a_lost_connection_only_the_unanswered_is_sent_again(client, fake, ordered):
    fake.stream_script.extend([None, None, "drop"])
    texts = numbered(200)
    results = list(client.embed_stream(texts, ordered=ordered, batch_size=8))
    assert lengths(results) == {index: len(text) for index, text in enumerate(texts)}
    assert len(results) == 200
    assert fake.calls["EmbedStream"] == 2


def test_connections_without_progress_are_bounded(client, fake):
    fake.stream_script.extend(["drop"] * 5)
    with pytest.raises(nearfield.Unavailable, match="draining"):
        list(client.embed_stream(["a"]))
    assert fake.calls["EmbedStream"] == 5


def test_progress_renews_the_patience(client, fake):
    fake.stream_script.extend(itertools.chain.from_iterable([["drop"] * 3, [None]] * 4))
    assert len(list(client.embed_stream(numbered(8), batch_size=1))) == 8


@pytest.mark.slow
def test_every_lost_connection_is_told_as_such(client, fake):
    # gRPC's asyncio side says INTERNAL when a message is written at the moment at which the status arrives.
    fake.stream_script.extend(["drop", None] * 100)
    assert not any(one.error for one in client.embed_stream(numbered(100), batch_size=1))


def test_an_error_of_the_stream_itself_is_raised(client, fake):
    fake.fail("EmbedStream", make_status(grpc.StatusCode.INVALID_ARGUMENT, "options.prompt_name: unknown"))
    with pytest.raises(nearfield.InvalidArgument, match="prompt_name"):
        list(client.embed_stream(["a"], prompt_name="nope"))


def test_what_the_iterable_raises_comes_after_its_results(client):
    def failing():
        yield "a"
        yield "bb"
        raise LookupError("row 3")

    seen = []
    with pytest.raises(LookupError, match="row 3"):
        seen.extend(one.index for one in _collect(client.embed_stream(failing()), seen))
    assert sorted(seen) == [0, 1]


def _collect(stream, seen):
    for one in stream:
        seen.append(one.index)
    return []


def test_a_lone_input_is_answered_before_the_next_one_is_there(client):
    answered = threading.Event()

    def slow():
        for text in ("a", "bb", "ccc"):
            yield text
            assert answered.wait(5)
            answered.clear()

    for one in client.embed_stream(slow()):
        assert one.error is None
        answered.set()


@pytest.mark.slow
def test_the_iterable_is_pulled_no_faster_than_results_are_taken(client, fake):
    fake.model.limits.stream_window_inputs = 64
    pulled = itertools.count()
    last = [0]

    def endless():
        while True:
            last[0] = next(pulled)
            yield "x"

    stream = client.embed_stream(endless())
    for taken in range(1, 2_000):
        next(stream)
        assert last[0] <= taken + 64
    stream.close()


def test_a_window_of_ones_own(client):
    pulled = itertools.count(1)
    last = [0]

    def endless():
        while True:
            last[0] = next(pulled)
            yield "x"

    stream = client.embed_stream(endless(), window=2)
    for taken in range(1, 50):
        next(stream)
        assert last[0] <= taken + 2
    stream.close()


def test_closing_cancels_the_call_and_stops_the_feeder(client, fake):
    stream = client.embed_stream(itertools.repeat("x"))
    next(stream)
    feeders = [one for one in threading.enumerate() if one.name == "nearfield-feeder"]
    stream.close()
    assert fake.streams_ended.acquire(timeout=5)
    for feeder in feeders:
        feeder.join(5)
        assert not feeder.is_alive()


@pytest.mark.parametrize(
    ("rpc", "start"),
    [("EmbedStream", lambda client: client.embed_stream(["a"])), ("WatchModels", lambda client: client.watch_models())],
    ids=["embed_stream", "watch_models"],
)
def test_closing_the_client_ends_what_streams(target, fake, open_client, rpc, start):
    began, held = threading.Event(), threading.Event()

    def hold(request, context):
        began.set()
        held.wait(10)

    fake.fail(rpc, hold)
    with ThreadPoolExecutor(1) as pool, open_client(target) as client:
        first = pool.submit(next, start(client))
        assert began.wait(5)
        client.close()
        # On asyncio this isn't CancelledError: nobody cancelled the task that waits.
        with pytest.raises(nearfield.Cancelled, match="closed"):
            first.result(5)
        held.set()


def test_a_deadline_holds_for_the_whole_stream(client):
    never = threading.Event()

    def stuck():
        yield "a"
        never.wait(5)

    stream = client.embed_stream(stuck(), timeout=0.1)
    assert next(stream).index == 0
    with pytest.raises(nearfield.DeadlineExceeded):
        next(stream)
    never.set()


def test_arguments_are_checked_at_once(client):
    with pytest.raises(TypeError, match="put it into a list"):
        client.embed_stream("text")
    for option in ("batch_size", "window"):
        with pytest.raises(ValueError, match=option):
            client.embed_stream([], **{option: 0})
    with pytest.raises(TypeError, match="unknown option 'order'"):
        client.embed_stream([], order=True)


def test_an_answer_to_nothing_is_an_internal_error(client, fake):
    def twice(server, request, options):
        yield server.answer(request, options)
        yield server.answer(request, options)

    fake.stream_script.append(twice)
    with pytest.raises(nearfield.InternalError, match="answered"):
        list(client.embed_stream(numbered(9), batch_size=1))


@pytest.mark.slow
def test_a_long_stream(client):
    assert sum(1 for _ in client.embed_stream(itertools.repeat("x", 20_000))) == 20_000


def test_a_version_exchanged_before_a_reconnect_ends_the_stream(client, fake):
    def other(*_):
        fake.model.version = "fedcba987654"

    fake.stream_script.extend([None, "drop"])
    fake.fail("GetModel", None, other)
    results = client.embed_stream(["a"] * 6, batch_size=1, window=1)
    assert next(results).index == 0
    with pytest.raises(nearfield.Aborted, match="exchanged"):
        list(results)


@pytest.mark.parametrize("state", [1, 2])
def test_a_reconnect_to_the_same_version_goes_on(client, fake, state):
    """State 1: the model still loads, and its version isn't known yet."""

    def restarted(*_):
        fake.model.state = state
        fake.model.version = "" if state == 1 else "0123456789ab"

    fake.stream_script.extend([None, "drop"])
    fake.fail("GetModel", None, restarted)
    assert len(list(client.embed_stream(["a"] * 6, batch_size=1, window=1))) == 6
    assert fake.calls["EmbedStream"] == 2
