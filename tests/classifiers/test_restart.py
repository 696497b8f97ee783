"""A server that is killed, and the page that shows how classifiers are used."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import nearfield

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def test_kill_9_loses_no_classifier(tmp_path, examples):
    target = f"unix:{tmp_path}/grpc.sock"
    command = [sys.executable, "-c", "from nearfield_server.cli import main; raise SystemExit(main())", "serve"]
    command += ["--listen", target, "--http", "", "--data-dir", tmp_path / "data"]

    def serve():
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        with nearfield.Client(target) as client:
            client.wait_ready(60)
        return process

    process = serve()
    try:
        with nearfield.Client(target) as client:
            made = client.train_classifier("intents", examples)
            before = client.classify(["two puppies play"], classifier="intents")
            process.kill()
            process.wait()
        process = serve()
        with nearfield.Client(target) as client:
            assert client.classifiers() == [made]
            assert client.classify(["two puppies play"], classifier="intents") == before
            assert client.train_classifier("intents", examples).version == 2
    finally:
        process.terminate()
        process.wait()


def test_the_python_of_the_page_runs(server, tmp_path):
    page = (ROOT / "docs" / "classifiers.md").read_text("utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert blocks
    for code in blocks:
        command = [sys.executable, "-W", "error", "-c", code.replace("localhost:50051", server.target)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
        assert done.returncode == 0, done.stderr
