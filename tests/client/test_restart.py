"""A watch outlives a restart of the real server."""

import contextlib
import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import nearfield

NEARFIELD = Path(sys.executable).with_name("nearfield")
PATIENT = nearfield.RetryPolicy(max_attempts=600, initial_backoff_seconds=0.05, max_backoff_seconds=0.1)


@pytest.mark.slow
def test_a_watch_outlives_a_restart(tmp_path):
    target = f"unix:{tmp_path}/socket"

    def serve():
        listen = ["--listen", target, "--http", "", "--data-dir", tmp_path / "data", "--drain-seconds", "10"]
        return subprocess.Popen([NEARFIELD, "serve", *listen], stderr=subprocess.DEVNULL)

    first = serve()
    seen = queue.SimpleQueue()
    with nearfield.Client(target, retry=PATIENT) as client:
        client.wait_ready(30)

        def follow():
            with contextlib.suppress(nearfield.Cancelled):
                for model in client.watch_models():
                    seen.put(model.state)

        watcher = threading.Thread(target=follow)
        watcher.start()
        assert seen.get(timeout=30) == "ready"
        first.send_signal(signal.SIGTERM)
        first.wait(30)
        second = serve()
        try:
            # On the way: unloading, and loading where the watch is quick enough to see it.
            states = [state := seen.get(timeout=30)]
            while state != "ready":
                states.append(state := seen.get(timeout=30))
        finally:
            client.close()
            watcher.join(30)
            second.send_signal(signal.SIGTERM)
            second.wait(30)
    assert [one for one in states if one != "loading"] == ["unloading", "ready"]
