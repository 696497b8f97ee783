"""A server that is killed in the middle of an upsert: nothing acknowledged is lost, nothing is doubled."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

import nearfield

NEARFIELD = Path(sys.executable).with_name("nearfield")
PATIENT = nearfield.RetryPolicy(max_attempts=600, initial_backoff_seconds=0.05, max_backoff_seconds=0.1)
ROWS = 4_000


@pytest.mark.slow
def test_an_upsert_outlives_a_killed_server(tmp_path):
    target = f"unix:{tmp_path}/socket"

    def serve():
        listen = ["--listen", target, "--http", "", "--data-dir", tmp_path / "data"]
        return subprocess.Popen([NEARFIELD, "serve", *listen], stderr=subprocess.DEVNULL)

    servers = [serve()]
    try:
        with nearfield.Client(target, retry=PATIENT) as client:
            client.wait_ready(30)
            collection = client.create_collection("docs", dimensions=3)

            def rows():
                for number in range(ROWS):
                    if number in {1_000, 2_500}:
                        servers[-1].send_signal(signal.SIGKILL)
                        servers[-1].wait(30)
                        servers.append(serve())
                    yield {"id": number, "v": [1.0, number, 0.5], "n": number}

            assert collection.upsert(rows(), vector="v", batch_size=100).stored == ROWS
            assert [one.payload["n"] for one in collection.scroll()] == list(range(ROWS))
    finally:
        servers[-1].send_signal(signal.SIGTERM)
        servers[-1].wait(30)
