"""A server that is given hub ids, from the flag to the vectors."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import small_model
from mirror import serving

from nearfield import Client

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
# As the hub's own repository of that model names them.
DECOYS = {f"onnx/model_{name}.onnx": b"no graph" for name in ("O4", "qint8_avx512_vnni", "quint8_avx2")}


@pytest.mark.slow
def test_minilm_from_a_hub_gives_the_reference_vectors(mirror, fp32_folder, start_server, golden):
    files = {
        path.relative_to(fp32_folder).as_posix(): path.read_bytes()
        for path in fp32_folder.rglob("*")
        if path.is_file() and path.name != "nearfield.yaml"
    }
    commit = mirror.add(MINILM, files | DECOYS | {"pytorch_model.bin": b"never"})
    server = start_server(models={"all-MiniLM-L6-v2": MINILM}, hub={"endpoint": mirror.url})
    with Client(server.target) as client:
        rows = client.embed(golden.texts)
    assert np.abs(rows - golden.rows).max() <= 1e-4
    (status,) = server.server.registry.statuses()
    assert (status.spec.precision, status.spec.source) == ("fp32", f"{MINILM}@{commit[:12]} ({mirror.url})")
    assert not any(path.endswith((".bin", "O4.onnx", "vnni.onnx")) for path in mirror.fetched)


@pytest.mark.slow
def test_a_model_that_cannot_be_had_leaves_the_others_served(mirror, start_server):
    mirror.add("org/small", small_model.files())
    models = {"small": "org/small", "gone": "org/gone@v1"}
    server = start_server(models=models, hub={"endpoint": mirror.url})
    with Client(server.target) as client:
        assert client.embed("w3 w4").shape == (small_model.WIDTH,)
    states = {one.name: one.message for one in server.server.registry.statuses()}
    assert states["small"] == ""
    assert states["gone"].startswith(f"org/gone@v1: {mirror.url} has no such model")


@pytest.mark.slow
@pytest.mark.parametrize("way", ["offline", "unreachable"])
def test_without_a_hub_the_command_ends_in_seconds_with_advice(tmp_path, way):
    with serving() as gone:
        pass
    settings = {"HF_HUB_OFFLINE": "1"} if way == "offline" else {"NEARFIELD_HUB__ENDPOINT": gone.url}
    command = [Path(sys.executable).with_name("nearfield"), "serve", "--model", "org/small@v1", "--http", ""]
    started = time.monotonic()
    done = subprocess.run(
        [*command, "--listen", "127.0.0.1:0", "--data-dir", tmp_path],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert time.monotonic() - started < 20
    assert done.returncode != 0
    assert "org/small@v1: can't be downloaded" in done.stderr
    assert "nearfield export org/small --out DIR" in done.stderr
    assert "Traceback" not in done.stderr
