import asyncio
import io
import json
import shutil
import socket
from concurrent import futures

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from prometheus_client import CollectorRegistry
from rich.console import Console

from nearfield_server.cli import doctor, doctor_checks
from nearfield_server.cli.doctor import collect, run_doctor
from nearfield_server.cli.doctor_checks import Cores
from nearfield_server.config.loader import load
from nearfield_server.config.settings import Config
from nearfield_server.encoder.builtin import builtin_folder
from nearfield_server.web.app import make_app
from nearfield_server.web.server import HttpServer

GIB = 1 << 30


@pytest.fixture
def settings(tmp_path):
    def loaded(**flags):
        return load({"listen": "127.0.0.1:0", "http": "", "data_dir": tmp_path / "data", **flags}, {}, None)

    return loaded


@pytest.fixture
def port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        yield sock.getsockname()[1]


@pytest.fixture
def grpc_server():
    def start(*services):
        server = grpc.server(futures.ThreadPoolExecutor(1))
        servicer = health.HealthServicer()
        for service in services:
            servicer.set(service, health_pb2.HealthCheckResponse.NOT_SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
        started.append(server)
        address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        return address

    started = []
    yield start
    for one in started:
        one.stop(None).wait()


@pytest.fixture
def no_patience(monkeypatch):
    monkeypatch.setattr(doctor, "_PROBE_SECONDS", 0.05)


def printed(loaded, *, as_json=False):
    console = Console(width=200, file=io.StringIO())
    code = run_doctor(loaded, console, as_json=as_json)
    return code, console.file.getvalue()


def found(loaded, name):
    (check,) = (one for one in collect(loaded) if one.name.startswith(name))
    return check


def test_a_healthy_installation(settings):
    code, text = printed(settings())
    assert code == 0
    assert "CHECK" in text
    assert "model all-MiniLM-L6-v2" in text
    assert "(verified)" in text
    assert " fail " not in text


def test_json(settings):
    code, text = printed(settings(), as_json=True)
    content = json.loads(text)
    assert code == 0
    assert content["ok"] is True
    assert content["checks"][0].keys() == {"name", "status", "found", "advice"}
    names = [one["name"] for one in content["checks"]]
    assert len(set(names)) == len(names)
    assert {"python", "packages", "onnxruntime", "providers", "cpu", "cores", "memory", "container"} <= set(names)


def test_faults_come_with_numbered_advice(settings, tmp_path):
    code, text = printed(settings(models=["gone=/no/such/[bold]folder", "here=builtin"], device="cuda"))
    assert code == 1
    assert "/no/such/[bold]folder" in text
    advice = [line for line in text.splitlines() if line[:2] in {"1.", "2."}]
    assert len(advice) == 2
    assert any("gone: /no/such/[bold]folder: no such folder" in line for line in advice)


def test_nothing_is_left_in_the_data_folder(settings, tmp_path):
    assert found(settings(), "data folder").status == "ok"
    assert not (tmp_path / "data").exists()
    (tmp_path / "data").mkdir()
    assert "writable" in found(settings(), "data folder").found
    assert list((tmp_path / "data").iterdir()) == []


def test_a_data_folder_that_can_not_be_made(settings, tmp_path):
    (tmp_path / "file").write_text("")
    check = found(settings(data_dir=tmp_path / "file" / "data"), "data folder")
    assert check.status == "fail"
    assert "--data-dir" in check.advice


def test_a_damaged_model(settings, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(builtin_folder(), folder)
    (folder / "tokenizer.json").write_text("{}")
    check = found(settings(models={"m": str(folder)}), "model m")
    assert check.status == "fail"
    assert "tokenizer.json" in check.advice


def test_a_taken_port(settings, port, no_patience):
    check = found(settings(http=f"127.0.0.1:{port}"), "http")
    # Nothing reads from the listening socket, so the probe must give up by itself.
    assert check.status == "fail"
    assert "--http" in check.advice


def test_a_port_served_by_nearfield(settings, grpc_server):
    address = grpc_server("nearfield.v1.EmbedService")
    check = found(settings(listen=address), "listen")
    assert (check.status, check.found) == ("warn", "served by Nearfield")


def test_a_port_served_by_another_grpc_server(settings, grpc_server):
    assert found(settings(listen=grpc_server("other")), "listen").status == "fail"


@pytest.mark.slow
def test_unix_sockets(settings, tmp_path, monkeypatch, no_patience):
    monkeypatch.chdir(tmp_path)
    assert found(settings(listen="unix:a.sock"), "listen").found == "free"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind("a.sock")
    assert found(settings(listen="unix:a.sock"), "listen").found == "free"
    (tmp_path / "b.sock").write_text("")
    assert found(settings(listen="unix:b.sock"), "listen").status == "fail"
    assert found(settings(listen="unix:/no/such/folder/a.sock"), "listen").status == "fail"


def test_a_socket_with_a_full_backlog(settings, tmp_path, monkeypatch, no_patience):
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind("a.sock")
        busy.listen(0)
        waiting.connect("a.sock")
        assert found(settings(http="unix:a.sock"), "http").found == "taken by another program"


async def test_a_socket_served_by_nearfield(settings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    server = HttpServer(make_app(CollectorRegistry(), lambda: (True, {}), "1"), "unix:a.sock")
    await server.start()
    check = await asyncio.to_thread(found, settings(http="unix:a.sock"), "http")
    await server.stop()
    assert (check.status, check.found) == ("warn", "served by Nearfield")


def test_addresses_of_nobody(settings):
    assert found(settings(listen="192.0.2.1:1"), "listen").found == "not an address of this machine"


@pytest.mark.parametrize(("version", "status"), [((3, 10, 9), "fail"), ((3, 11, 0), "ok"), ((4, 0, 0), "ok")])
def test_python(version, status):
    assert doctor_checks.check_python(version).status == status


@pytest.mark.parametrize(
    ("versions", "status"),
    [
        ({"grpcio": "1", "uvloop": "2"}, "ok"),
        ({"grpcio": "1", "uvloop": None}, "warn"),
        ({"grpcio": None, "uvloop": None}, "fail"),
    ],
)
def test_packages(versions, status):
    assert doctor_checks.check_packages(versions).status == status


@pytest.mark.parametrize(
    ("cpu", "gpu", "status"), [("1", None, "ok"), (None, "1", "ok"), ("1", "1", "fail"), (None, None, "fail")]
)
def test_one_runtime(cpu, gpu, status):
    check = doctor_checks.check_runtime({"onnxruntime": cpu, "onnxruntime-gpu": gpu})
    assert check.status == status
    assert bool(check.advice) is (status == "fail")


@pytest.mark.parametrize(
    ("available", "device", "nvidia", "status"),
    [
        (["CPUExecutionProvider"], "cpu", False, "ok"),
        (["CPUExecutionProvider"], "cpu", True, "ok"),
        (["CPUExecutionProvider"], "auto", False, "ok"),
        (["CPUExecutionProvider"], "auto", True, "warn"),
        (["CPUExecutionProvider"], "cuda:1", True, "fail"),
        (["CUDAExecutionProvider", "CPUExecutionProvider"], "cuda", True, "ok"),
        (["CUDAExecutionProvider", "CPUExecutionProvider"], "cuda", False, "warn"),
        (["CUDAExecutionProvider", "CPUExecutionProvider"], "auto", False, "ok"),
        (["CPUExecutionProvider"], "openvino", False, "fail"),
        (["OpenVINOExecutionProvider", "CPUExecutionProvider"], "openvino", False, "ok"),
        (["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"], "tensorrt", False, "warn"),
        ([], "cpu", False, "fail"),
    ],
)
def test_providers(available, device, nvidia, status):
    assert doctor_checks.check_providers(available, device, nvidia=nvidia).status == status


def test_a_model_of_a_hub_is_not_asked_for(settings, tmp_path):
    models = ["m=org/small@v1"]
    where = tmp_path / "hub"
    assert "will be downloaded" in found(settings(models=models, **{"hub.cache_dir": where}), "model m").found
    assert found(settings(models=models, **{"hub.offline": True, "hub.cache_dir": where}), "model m").status == "fail"
    (where / "models--org--small/refs").mkdir(parents=True)
    (where / "models--org--small/refs/v1").write_text("0" * 40)
    assert found(settings(models=models, **{"hub.offline": True, "hub.cache_dir": where}), "model m").status == "ok"


def test_a_runtime_that_can_not_be_imported(settings, monkeypatch):
    def broken():
        raise ImportError("libcudnn.so.9: cannot open shared object file")

    monkeypatch.setattr("nearfield_server.backends.onnx.available_providers", broken)
    check = found(settings(), "providers")
    assert check.status == "fail"
    assert "libcudnn" in check.advice


@pytest.mark.parametrize(
    ("flags", "status"),
    [({"avx2"}, "warn"), (set(), "warn"), ({"avx2", "avx512_vnni"}, "ok"), ({"asimddp"}, "ok"), ({"amx_int8"}, "ok")],
)
def test_cpu(flags, status):
    assert doctor_checks.check_cpu(frozenset(flags), "x").status == status


@pytest.mark.parametrize(
    ("cores", "workers", "status"),
    [
        (Cores(64, 64, None, 64), 0, "ok"),
        (Cores(64, 64, 4.0, 4), 4, "ok"),
        (Cores(64, 64, 4.0, 4), 5, "warn"),
        (Cores(64, 64, 1.5, 1), 0, "warn"),
        (Cores(64, 64, 0.5, 1), 0, "warn"),
        (Cores(2, 2, 3.5, 2), 0, "ok"),
    ],
)
def test_cores(cores, workers, status):
    assert doctor_checks.check_cores(cores, workers).status == status


@pytest.mark.parametrize(
    ("limit", "host", "status"),
    [(None, 8 * GIB, "ok"), (GIB, 8 * GIB, "ok"), (GIB // 4, 8 * GIB, "warn"), (None, GIB // 4, "warn")],
)
def test_memory(limit, host, status):
    assert doctor_checks.check_memory(limit, host).status == status


@pytest.mark.parametrize(("limit", "status"), [(1024, "warn"), (65536, "ok"), (-1, "ok")])
def test_open_files(limit, status):
    assert doctor_checks.check_files(limit, Config()).status == status


@pytest.mark.parametrize(
    ("listen", "container", "quota", "status"),
    [
        ("127.0.0.1:1", False, None, "ok"),
        ("127.0.0.1:1", True, 2.0, "warn"),
        ("0.0.0.0:1", True, 2.0, "ok"),
        ("unix:/x", True, 2.0, "ok"),
        ("0.0.0.0:1", True, None, "warn"),
    ],
)
def test_containers(listen, container, quota, status):
    config = Config(listen=listen)
    check = doctor_checks.check_container(config, container=container, kubernetes=False, quota=quota)
    assert check.status == status
