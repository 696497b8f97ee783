"""Twenty swaps under steady traffic: no failed call, and the memory of the old models is given back."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

import nearfield

from .conftest import put

SWAPS = 20


@pytest.fixture
def process(tmp_path, repository):
    """A server process of its own, whose memory can be measured: `.target`, `.pid`."""
    for version in ("1", "2"):
        put(repository, "mine", version)
    target = f"unix:{tmp_path}/grpc.sock"
    command = [
        Path(sys.executable).with_name("nearfield"),
        "serve",
        "--listen",
        target,
        "--http",
        "",
        "--log-level",
        "warning",
    ]
    command += ["--data-dir", str(tmp_path / "data"), "--model-repository", str(repository)]
    with subprocess.Popen(command) as child:
        with nearfield.Client(target) as client:
            client.wait_ready(60)
        yield target, child.pid
        child.terminate()
        assert child.wait(30) == 0


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_call_fails_and_memory_is_given_back(process, golden):
    target, pid = process
    stop, failures, calls = threading.Event(), [], []
    with nearfield.Client(target) as client:
        due = client.embed(golden.texts[:16])

        def traffic():
            with nearfield.Client(target, retry=nearfield.RetryPolicy(max_attempts=1)) as own:
                while not stop.is_set():
                    try:
                        rows = own.embed(golden.texts[:16], model="mine", timeout=30)
                        calls.append(float(np.abs(rows - due).max()))
                    except nearfield.NearfieldError as error:
                        failures.append(error)

        threads = [threading.Thread(target=traffic) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(2)
        client.load_model("mine", "1")
        before = psutil.Process(pid).memory_info().rss
        for swap in range(SWAPS):
            made = client.load_model("mine", "2" if swap % 2 == 0 else "1")
            assert made.repository_version == ("2" if swap % 2 == 0 else "1")
        stop.set()
        for thread in threads:
            thread.join(60)
        time.sleep(1)
        after = psutil.Process(pid).memory_info().rss
    print(f"{SWAPS} swaps, {len(calls)} calls, {len(failures)} failed, RSS {before / 1e6:.0f} to {after / 1e6:.0f} MB")
    assert not failures
    assert len(calls) > SWAPS
    assert max(calls) < 1e-5
    assert after <= before * 1.05
