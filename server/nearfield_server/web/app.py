"""What the HTTP port answers: /metrics, /healthz, /livez, and an index of them. It only ever reads."""

from __future__ import annotations

import gzip
import html
from collections.abc import Callable, Mapping
from typing import TypeAlias

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

__all__ = ["Readiness", "make_app"]

Readiness: TypeAlias = Callable[[], tuple[bool, Mapping[str, str | bool]]]
"""Gives whether the server takes calls, and the state of each service and model: a word, or whether it is serving."""

_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_ENDPOINTS = {
    "/metrics": "metrics in the formats of Prometheus and OpenMetrics",
    "/healthz": "200 when the server takes calls, 503 when not, with the state of each service and model",
    "/livez": "200 as long as the process answers",
}
_WORDS = {True: "SERVING", False: "NOT_SERVING"}
_GZIP_LEVEL = 5


def make_app(registry: CollectorRegistry, readiness: Readiness, version: str) -> Starlette:
    """Put the endpoints together.

    Args:
        registry: the metrics to show; collected on a thread of its own, not on the event loop.
        readiness: asked at each request, on the event loop.
        version: Nearfield's, for the index.
    """

    def metrics(request: Request) -> Response:  # not async: Starlette runs it on a thread
        return _metrics(registry, request)

    async def healthz(_: Request) -> Response:
        ready, services = readiness()
        words = {name: _WORDS[state] if isinstance(state, bool) else state for name, state in services.items()}
        content = {"status": "ok" if ready else "unavailable", "services": words}
        return JSONResponse(content, 200 if ready else 503, _HEADERS)

    async def livez(_: Request) -> Response:
        return JSONResponse({"status": "ok"}, headers=_HEADERS)

    page = _index(version)

    async def index(_: Request) -> Response:
        return HTMLResponse(page, headers=_HEADERS | {"Content-Security-Policy": "default-src 'none'"})

    endpoints = {"/": index, "/metrics": metrics, "/healthz": healthz, "/livez": livez}
    app = Starlette(
        routes=[Route(path, endpoint, methods=["GET"]) for path, endpoint in endpoints.items()],
        exception_handlers={HTTPException: _refused, Exception: _failed},
    )
    app.router.redirect_slashes = False  # it would send clients to whatever host they named
    return app


def _metrics(registry: CollectorRegistry, request: Request) -> Response:
    try:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
    except (TypeError, ValueError):  # a version in quotes, or none at all: the library compares text with numbers
        encode, content_type = choose_encoder("")
    body = encode(registry)
    headers = _HEADERS | {"Vary": "Accept, Accept-Encoding"}
    if _takes_gzip(request.headers.get("accept-encoding", "")):
        body = gzip.compress(body, _GZIP_LEVEL, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return Response(body, headers=headers | {"Content-Type": content_type})


def _takes_gzip(accepted: str) -> bool:
    takes: dict[str, bool] = {}
    for one in accepted.lower().split(","):
        name, *parameters = (part.strip() for part in one.split(";"))
        takes[name] = not any(_is_zero(parameter) for parameter in parameters)
    return takes.get("gzip", takes.get("*", False))


def _is_zero(parameter: str) -> bool:
    name, _, value = parameter.replace(" ", "").partition("=")
    return name == "q" and not value.strip("0.")


def _index(version: str) -> str:
    items = "".join(f'<li><a href="{path}">{path}</a>: {html.escape(text)}</li>' for path, text in _ENDPOINTS.items())
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Nearfield</title></head>'
        f"<body><h1>Nearfield {html.escape(version)}</h1><ul>{items}</ul></body></html>\n"
    )


async def _refused(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        msg = "this handler was registered for HTTPException; this is a bug"
        raise TypeError(msg)
    content = {"error": error.detail, "endpoints": list(_ENDPOINTS)}
    return JSONResponse(content, error.status_code, {**_HEADERS, **(error.headers or {})})


async def _failed(_: Request, __: Exception) -> Response:
    return JSONResponse({"error": "internal error; the cause is in the log"}, 500, _HEADERS)
