"""What only AsyncClient has: tasks that are cancelled, and iterables of both kinds."""

import asyncio
import contextlib
import itertools
import threading

import grpc
import pytest
from fake_server import make_status, retry_info

import nearfield


def our_tasks():
    """Feeders and senders; gRPC has tasks of its own that end some turns later."""
    return [one for one in asyncio.all_tasks() if "AsyncStream" in one.get_coro().__qualname__]


@pytest.fixture
async def aclient(target):
    async with nearfield.AsyncClient(target, timeout=10.0) as client:
        yield client


async def test_a_sync_iterable(aclient):
    results = [one async for one in aclient.embed_stream(["a", "bb"], ordered=True)]
    assert [one.embedding[0] for one in results] == [1, 2]


async def test_an_async_iterable(aclient):
    async def texts():
        yield "a"
        await asyncio.sleep(0)
        yield "bb"

    results = [one async for one in aclient.embed_stream(texts(), ordered=True)]
    assert [one.embedding[0] for one in results] == [1, 2]


async def test_cancelling_the_task_cancels_the_call(aclient, fake):
    fake.hold = threading.Event()
    task = asyncio.create_task(aclient.embed("a"))
    await asyncio.to_thread(fake.unary_started.acquire, timeout=5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(fake.unary_cancelled.wait, 5)
    fake.hold.set()


async def test_cancelling_cancels_every_part(aclient, fake):
    fake.hold = threading.Event()
    task = asyncio.create_task(aclient.embed(["a"] * 80))
    for _ in range(4):
        await asyncio.to_thread(fake.unary_started.acquire, timeout=5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    fake.hold.set()
    assert fake.calls["Embed"] == 4


async def test_cancelling_the_consumer_ends_the_stream(aclient, fake):
    began = asyncio.Event()

    async def never():
        yield "a"
        await asyncio.Event().wait()

    async def consume():
        async with contextlib.aclosing(aclient.embed_stream(never())) as results:
            async for _ in results:
                began.set()

    task = asyncio.create_task(consume())
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(fake.streams_ended.acquire, timeout=5)
    assert our_tasks() == []


async def test_closing_leaves_no_task(aclient, fake):
    async with contextlib.aclosing(aclient.embed_stream(itertools.repeat("x"))) as results:
        async for _ in results:
            assert len(our_tasks()) == 2
            break
    assert await asyncio.to_thread(fake.streams_ended.acquire, timeout=5)
    assert our_tasks() == []


async def test_many_calls_at_once(aclient):
    vectors = await asyncio.gather(*[aclient.embed("x" * (n + 1)) for n in range(50)])
    assert [int(one[0]) for one in vectors] == list(range(1, 51))


async def test_a_failed_part_raises_a_plain_error(aclient, fake):
    fake.fail("Embed", make_status(grpc.StatusCode.INTERNAL, "error id 1"))
    with pytest.raises(nearfield.InternalError, match="error id 1"):
        await aclient.embed(["x"] * 80)


async def test_a_closed_client_says_so(target):
    client = nearfield.AsyncClient(target)
    await client.close()
    await client.close()
    with pytest.raises(ValueError, match="closed"):
        await client.models()


async def test_a_cancel_of_the_callers_own_stays_one(aclient, fake):
    fake.hold = threading.Event()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await aclient.embed("a")
    fake.hold.set()


async def test_made_outside_a_loop(target):
    client = await asyncio.to_thread(nearfield.AsyncClient, target)
    assert len(await client.models()) == 1
    await client.close()


@pytest.mark.parametrize(
    ("rpc", "call"),
    [
        ("Rerank", lambda client: client.rerank("q", ["d"] * 40)),
        ("Classify", lambda client: client.classify(["d"] * 40, labels=["a"])),
        ("Similarity", lambda client: client.similarity(["d"] * 40)),
        ("EmbedSparse", lambda client: client.embed_sparse(["d"] * 40)),
        ("EmbedMulti", lambda client: client.embed_multi(["d"] * 40)),
        ("LoadModel", lambda client: client.load_model("toy")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_cancelling_reaches_the_server_whatever_the_call(aclient, fake, rpc, call):
    started, ended = threading.Semaphore(0), threading.Semaphore(0)

    def hold(request, context):
        context.add_callback(ended.release)
        started.release()
        ended.acquire(timeout=10)
        ended.release()

    fake.fail(rpc, *[hold] * 4)
    task = asyncio.create_task(call(aclient))
    at_once = 1 if rpc == "LoadModel" else 4
    for _ in range(at_once):
        assert await asyncio.to_thread(started.acquire, timeout=5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for _ in range(at_once):
        assert await asyncio.to_thread(ended.acquire, timeout=5)
    assert fake.calls[rpc] == at_once


async def test_closing_ends_a_watch_that_waits_to_connect_again(aclient, fake):
    fake.watch_script.append(make_status(grpc.StatusCode.UNAVAILABLE, "away", retry_info(60)))
    watch = aclient.watch_models()
    assert (await anext(watch)).state == "ready"
    waiting = asyncio.create_task(anext(watch))
    await asyncio.to_thread(fake.streams_ended.acquire, timeout=5)
    await aclient.close()
    with pytest.raises(nearfield.Cancelled, match="closed"):
        await waiting
