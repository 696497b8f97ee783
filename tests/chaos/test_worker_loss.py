"""A model that raises, kills its worker or hangs costs its own caller only."""

import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from nearfield import Client, InternalError


def die():
    raise SystemExit


def fail():
    raise RuntimeError("secret banana")


def embed_all(client, texts):
    """Embed each text by a call of its own, all at once; give a vector or an error for each."""

    def embed(text):
        try:
            return client.embed(text, timeout=20)
        except Exception as error:  # noqa: BLE001 - the outcome is what is looked at
            return error

    with ThreadPoolExecutor(len(texts)) as pool:
        return list(pool.map(embed, texts))


TEXTS = [f"fine text number {number}" for number in range(20)]


@pytest.mark.slow
@pytest.mark.parametrize("action", [die, fail])
def test_only_the_culprits_call_fails(start_server, fake_model, metric, action):
    load_model, _ = fake_model({"banana": action})
    server = start_server(load_model, batching={"restart_seconds": 0.05})
    with Client(server.target) as client:
        outcomes = embed_all(client, [*TEXTS[:10], "a banana", *TEXTS[10:]])
        culprit = outcomes.pop(10)
        assert isinstance(culprit, InternalError)
        assert "banana" not in str(culprit)
        assert culprit.reason == "BACKEND_FAILURE"
        assert all(not isinstance(one, Exception) for one in outcomes)
        client.wait_ready(10)
        assert not isinstance(embed_all(client, ["still fine"])[0], Exception)
    died = metric(server, "nearfield_worker_restarts_total", reason="died")
    assert died == (2 if action is die else 0)
    assert (metric(server, "nearfield_batch_failures_total") > 0) == (action is fail)
    assert metric(server, "nearfield_stale_items_run_total") == 0
    assert metric(server, "nearfield_workers_alive") == metric(server, "nearfield_workers_configured")


@pytest.mark.slow
def test_health_flips_and_comes_back_when_a_worker_dies(start_server, fake_model):
    load_model, _ = fake_model({"banana": die})
    server = start_server(load_model, batching={"restart_seconds": 0.3})
    states, seen = [], threading.Condition()

    def watch(channel):
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            for reply in stub.Watch(health_pb2.HealthCheckRequest(service="")):
                with seen:
                    states.append(health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status))
                    seen.notify_all()
        except grpc.RpcError:
            pass

    with Client(server.target) as client, grpc.insecure_channel(server.target) as channel:
        watcher = threading.Thread(target=watch, args=(channel,))
        watcher.start()
        with seen:
            assert seen.wait_for(lambda: states == ["SERVING"], 10)
        with pytest.raises(InternalError):
            client.embed("a banana")
        with seen:
            assert seen.wait_for(lambda: states[-1] == "SERVING" and "NOT_SERVING" in states, 10)
        assert client.model().state == "ready"
        channel.close()
        watcher.join()


@pytest.mark.slow
def test_a_worker_that_hangs_is_replaced_and_its_batch_mates_are_served(start_server, fake_model, metric):
    release = threading.Event()
    load_model, _ = fake_model({"banana": lambda: release.wait(30) and None})
    server = start_server(load_model, batching={"restart_seconds": 0.05, "hang_seconds": 0.4})
    try:
        with Client(server.target) as client:
            outcomes = embed_all(client, [*TEXTS, "a banana"])
            assert isinstance(outcomes.pop(), InternalError)
            assert all(not isinstance(one, Exception) for one in outcomes)
        assert metric(server, "nearfield_worker_restarts_total", reason="stuck") == 2
    finally:
        release.set()
