"""64 clients that cancel and time out at random: every call ends once, nothing dead is run, memory comes back."""

import asyncio
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

import nearfield

SECONDS = 60 if os.environ.get("NEARFIELD_TEST_LONG") else 12
CLIENTS = 64


async def one_call(client, randomness, texts, outcomes):
    chosen = randomness.choices(texts, k=randomness.choice([1, 1, 1, 4, 16, 64]))
    kind = randomness.random()
    timeout = randomness.uniform(0.001, 0.05) if kind < 0.4 else 30.0
    task = asyncio.ensure_future(client.embed(chosen, timeout=timeout))
    if kind > 0.7:
        asyncio.get_running_loop().call_later(randomness.uniform(0, 0.05), task.cancel)
    try:
        rows = await task
        outcomes["ok" if len(rows) == len(chosen) else "wrong"] += 1
    except asyncio.CancelledError:
        outcomes["cancelled"] += 1
    except nearfield.NearfieldError as error:
        outcomes[error.code.name] += 1


async def load(target, texts, seconds, seed):
    outcomes, started = Counter(), 0
    until = time.monotonic() + seconds
    policy = nearfield.RetryPolicy(max_attempts=1)
    clients = [nearfield.AsyncClient(target, retry=policy) for _ in range(8)]
    for client in clients:
        await client.model()

    async def live(number):
        nonlocal started
        randomness = random.Random(seed * 1000 + number)
        while time.monotonic() < until:
            started += 1
            await one_call(clients[number % len(clients)], randomness, texts, outcomes)

    await asyncio.gather(*map(live, range(CLIENTS)))
    for client in clients:
        await client.close()
    return started, outcomes


@pytest.mark.long
@pytest.mark.slow
def test_every_call_ends_once_and_nothing_dead_is_run(tmp_path, golden, metric):
    command = [Path(sys.executable).with_name("nearfield"), "serve", "--data-dir", tmp_path, "--log-level", "warning"]
    target = f"unix:{tmp_path}/grpc.sock"
    port = 40000 + os.getpid() % 10000
    process = subprocess.Popen([*command, "--listen", target, "--http", f"127.0.0.1:{port}"])
    server = type("Server", (), {"http": f"127.0.0.1:{port}"})
    try:
        with nearfield.Client(target) as client:
            client.wait_ready(30)
        asyncio.run(load(target, golden.texts, 4, seed=1))
        before = psutil.Process(process.pid).memory_info().rss
        started, outcomes = asyncio.run(load(target, golden.texts, SECONDS, seed=2))
        with nearfield.Client(target) as client:
            client.embed("the last one")
        after = psutil.Process(process.pid).memory_info().rss
        dropped = metric(server, "nearfield_dropped_items_total")
        print(f"\n{started} calls in {SECONDS} s: {dict(outcomes)}; {dropped:.0f} items never run;")
        print(f"RSS {before / 1e6:.0f} MB before, {after / 1e6:.0f} MB after")
        assert sum(outcomes.values()) == started
        assert set(outcomes) <= {"ok", "cancelled", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "CANCELLED"}
        assert min(outcomes["ok"], outcomes["cancelled"], outcomes["DEADLINE_EXCEEDED"]) > 0
        assert dropped > 0
        assert metric(server, "nearfield_stale_items_run_total") == 0
        assert metric(server, "nearfield_queue_items") == 0
        assert metric(server, "nearfield_queue_tokens") == 0
        assert metric(server, "nearfield_requests_in_progress") == 0
        assert after <= before * 1.1
    finally:
        process.terminate()
        assert process.wait(40) == 0
