"""How a server is reached: targets, TLS, metadata, options."""

import json
import shutil
import subprocess
from pathlib import Path

import fake_server
import grpc
import pytest
from blocking import FAST

import nearfield
from nearfield._channel import make_settings


def options_of(**options):
    return dict(make_settings("localhost:1", options).channel_options)


def test_a_unix_socket(fake, tmp_path):
    server, target = fake_server.start(fake, f"unix:{tmp_path}/s")
    with nearfield.Client(target, retry=FAST) as client:
        assert client.embed("ab")[0] == 2
    server.stop(0).wait()


def test_a_dns_target(target):
    with nearfield.Client(f"dns:///{target}", retry=FAST) as client:
        assert client.embed("ab")[0] == 2


@pytest.mark.parametrize("wrong", ["", "http://localhost:50051", "grpcs://x:1"])
def test_targets_that_can_not_be(wrong):
    with pytest.raises(ValueError, match="target"):
        nearfield.Client(wrong)


def test_metadata_goes_with_every_call_and_stays_out_of_repr(target, fake):
    with nearfield.Client(target, metadata=[("Authorization", "Bearer secret")]) as client:
        client.embed("a")
        list(client.embed_stream(["a"]))
        assert "secret" not in repr(client)
    assert [one["authorization"] for one in fake.metadata] == ["Bearer secret"] * 4
    assert fake.metadata[0]["user-agent"].startswith("nearfield-python")
    assert "secret" not in repr(make_settings("x", {"metadata": [("authorization", "secret")]}))


@pytest.mark.parametrize("compression", ["gzip", "deflate"])
def test_compression(target, compression):
    with nearfield.Client(target, compression=compression) as client:
        assert client.embed("a" * 2_000)[0] == 2_000


def test_every_call_has_a_deadline(target, fake):
    with nearfield.Client(target, timeout=7.0) as client:
        client.embed("a")
        client.embed("a", timeout=3.0)
    assert 6 < fake.deadlines[0] < 7.5
    assert fake.deadlines[-1] < 3.5


def test_no_deadline_where_none_is_wanted(target, fake):
    with nearfield.Client(target, timeout=None) as client:
        client.models()
    assert fake.deadlines[0] is None or fake.deadlines[0] > 10**6


def test_round_robin_and_one_retry_mechanism():
    options = options_of()
    assert json.loads(options["grpc.service_config"]) == {"loadBalancingConfig": [{"round_robin": {}}]}
    assert options["grpc.enable_retries"] == 0


def test_keepalive_and_the_callers_own_options():
    assert "grpc.keepalive_time_ms" not in options_of()
    assert options_of(keepalive_seconds=1.5)["grpc.keepalive_time_ms"] == 1_500
    assert options_of(channel_options=[("grpc.enable_retries", 1)])["grpc.enable_retries"] == 1


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("timeout", 0),
        ("timeout", 1e300),
        ("keepalive_seconds", -1),
        ("keepalive_seconds", float("inf")),
        ("keepalive_seconds", 1e-6),
        ("compression", "zip"),
        ("user_agent", "a\nb"),
    ],
    ids=str,
)
def test_impossible_values(option, value):
    with pytest.raises(ValueError, match=option):
        nearfield.Client(**{option: value})


def test_the_longest_timeout(target):
    with nearfield.Client(target, timeout=1e9) as client:
        assert client.embed("ab")[0] == 2
        assert [one.index for one in client.embed_stream(["a"], timeout=1e9)] == [0]


def test_a_name_in_the_user_agent(target, fake):
    with nearfield.Client(target, user_agent="shop/1.2") as client:
        client.models()
    assert fake.metadata[0]["user-agent"].startswith("shop/1.2 nearfield-python ")


def test_unknown_options():
    with pytest.raises(TypeError, match="unknown option 'time_out'"):
        nearfield.Client(time_out=3)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("the openssl command isn't there to make certificates")
    folder = tmp_path_factory.mktemp("tls")
    subject = ["-subj", "/CN=nearfield.test", "-addext", "subjectAltName=DNS:nearfield.test"]
    kind = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    files = ["-keyout", folder / "key.pem", "-out", folder / "cert.pem"]
    subprocess.run(["openssl", *kind, *subject, *files], check=True, capture_output=True)
    return (folder / "key.pem").read_bytes(), (folder / "cert.pem").read_bytes()


@pytest.mark.parametrize("mutual", [False, True], ids=["tls", "mutual tls"])
def test_tls(fake, certificate, mutual):
    key, cert = certificate
    credentials = grpc.ssl_server_credentials([certificate], cert if mutual else None, mutual)
    server, target = fake_server.start(fake, credentials=credentials)
    own = {"private_key": key, "certificate_chain": cert} if mutual else {}
    tls = nearfield.Tls(root_certificates=cert, server_name="nearfield.test", **own)
    with nearfield.Client(target, tls=tls, retry=FAST) as client:
        assert client.embed("ab")[0] == 2
    assert key.decode() not in repr(tls)
    server.stop(0).wait()


@pytest.mark.parametrize("kind", [str, Path])
def test_credentials_from_files(fake, certificate, kind, tmp_path):
    key, cert = certificate
    (tmp_path / "key.pem").write_bytes(key)
    (tmp_path / "cert.pem").write_bytes(cert)
    server, target = fake_server.start(fake, credentials=grpc.ssl_server_credentials([certificate], cert, True))
    paths = {"private_key": kind(tmp_path / "key.pem"), "certificate_chain": kind(tmp_path / "cert.pem")}
    tls = nearfield.Tls(root_certificates=kind(tmp_path / "cert.pem"), server_name="nearfield.test", **paths)
    with nearfield.Client(target, tls=tls, retry=FAST) as client:
        assert client.embed("ab")[0] == 2
    server.stop(0).wait()


def test_credentials_that_can_not_be(tmp_path):
    with pytest.raises(FileNotFoundError):
        nearfield.Client(tls=nearfield.Tls(root_certificates=tmp_path / "none.pem"))
    with pytest.raises(ValueError, match="belong together"):
        nearfield.Client(tls=nearfield.Tls(private_key=b"-----BEGIN"))
    with pytest.raises(ValueError, match="not in PEM"):
        nearfield.Client(tls=nearfield.Tls(root_certificates=b"der"))
    with pytest.raises(ValueError, match="are bytes"):
        nearfield.Client(tls=nearfield.Tls(root_certificates="-----BEGIN CERTIFICATE-----"))


def test_tls_refuses_a_certificate_that_it_does_not_know(fake, certificate):
    server, target = fake_server.start(fake, credentials=grpc.ssl_server_credentials([certificate]))
    with nearfield.Client(target, tls=True, retry=FAST) as client, pytest.raises(nearfield.Unavailable):
        client.models()
    server.stop(0).wait()
