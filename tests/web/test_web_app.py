import gzip
import json

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from nearfield_server.telemetry.metrics import Metrics
from nearfield_server.web.app import make_app


class Asked:
    """Calls an ASGI app as a server would."""

    def __init__(self):
        self.ready = True
        self.states = {"": "SERVING", "models/m": True}
        metrics = Metrics(["Embed"], version="1", effective_threads=1)
        metrics.for_model("m")
        self.registry = metrics.registry
        self.app = make_app(metrics.registry, lambda: (self.ready, self.states), "1.2<3")

    async def __call__(self, path, method="GET", **headers):
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "path": path,
            "raw_path": path.encode(), "query_string": b"", "root_path": "", "scheme": "http",
            "headers": [(key.replace("_", "-").encode(), value.encode()) for key, value in headers.items()],
            "server": ("127.0.0.1", 1), "client": ("127.0.0.1", 2),
        }  # fmt: skip
        sent = []

        async def receive():
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message):
            sent.append(message)

        await self.app(scope, receive, send)
        answered = {key.decode(): value.decode() for key, value in sent[0]["headers"]}
        return sent[0]["status"], answered, b"".join(one.get("body", b"") for one in sent[1:])


@pytest.fixture
def ask():
    return Asked()


async def test_metrics_in_the_text_format(ask):
    status, headers, body = await ask("/metrics")
    assert status == 200
    assert headers["content-type"].startswith("text/plain; version=")
    names = {family.name for family in read_text(body.decode())}
    assert {"nearfield_requests", "nearfield_queue_items"} <= names


async def test_metrics_as_openmetrics(ask):
    _, headers, body = await ask("/metrics", accept="application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    assert headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert body.endswith(b"# EOF\n")
    assert "nearfield_requests" in {family.name for family in read_openmetrics(body.decode())}


@pytest.mark.parametrize("version", ['"1.0.0"', "x", "1.x", "", "."])
async def test_a_version_that_is_none_gets_the_text_format(ask, version):
    status, headers, body = await ask("/metrics", accept=f"application/openmetrics-text;version={version}")
    assert status == 200
    if version:
        assert headers["content-type"].startswith("text/plain; version=")
        assert {family.name for family in read_text(body.decode())}


@pytest.mark.parametrize(
    ("accepted", "zipped"),
    [
        ("gzip", True), ("deflate, gzip;q=0.8", True), ("*", True), ("GZIP", True),
        ("", False), ("br", False), ("gzip;q=0", False), ("gzip; q=0.0", False), ("xgzip", False),
        ("*;q=0, gzip", True), ("*, gzip;q=0", False), ("gzip;q=0, *", False), ("br, *;q=0", False),
    ],
)  # fmt: skip
async def test_compression_when_it_is_taken(ask, accepted, zipped):
    _, headers, body = await ask("/metrics", accept_encoding=accepted)
    assert ("content-encoding" in headers) is zipped
    text = gzip.decompress(body) if zipped else body
    assert text.startswith(b"# HELP")
    assert int(headers["content-length"]) == len(body)


async def test_health(ask):
    status, headers, body = await ask("/healthz")
    assert status == 200
    assert headers["cache-control"] == "no-store"
    assert json.loads(body) == {"status": "ok", "services": {"": "SERVING", "models/m": "SERVING"}}
    ask.ready, ask.states = False, {"": False}
    status, _, body = await ask("/healthz")
    assert status == 503
    assert json.loads(body) == {"status": "unavailable", "services": {"": "NOT_SERVING"}}


async def test_liveness_does_not_ask_for_readiness(ask):
    ask.ready = False
    status, _, body = await ask("/livez")
    assert (status, json.loads(body)) == (200, {"status": "ok"})


async def test_index(ask):
    status, headers, body = await ask("/")
    assert status == 200
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert b"Nearfield 1.2&lt;3" in body
    for path in (b"/metrics", b"/healthz", b"/livez"):
        assert b'href="%s"' % path in body


@pytest.mark.parametrize("path", ["/nope", "/metrics/", "/../etc/passwd", "//", "/%00"])
async def test_anything_else_is_not_found(ask, path):
    status, headers, body = await ask(path, host="elsewhere.example")
    assert status == 404
    assert "location" not in headers
    assert headers["content-type"] == "application/json"
    assert json.loads(body)["error"] == "Not Found"


@pytest.mark.parametrize("path", ["/", "/metrics", "/healthz", "/livez"])
async def test_only_reading(ask, path):
    assert (await ask(path, "HEAD"))[0] == 200
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        status, headers, body = await ask(path, method)
        assert status == 405
        assert set(headers["allow"].split(", ")) == {"GET", "HEAD"}
        assert json.loads(body)["error"] == "Method Not Allowed"


async def test_a_failure_tells_nothing(ask):
    class Broken:
        def collect(self):
            raise ValueError("private")

    ask.registry.register(type("Described", (Broken,), {"describe": lambda _: []})())
    answers = []
    app, ask.app = ask.app, None

    async def kept(scope, receive, send):
        async def keep(message):
            answers.append(message)
            await send(message)

        try:
            await app(scope, receive, keep)
        except ValueError:  # raised again, for the server's log
            return

    ask.app = kept
    status, _, body = await ask("/metrics")
    assert status == 500
    assert b"private" not in body
