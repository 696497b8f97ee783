"""Logs for people (one line) or machines (JSON, one object a line). Never texts, vectors or credentials.

Fields go in `extra=`. Control characters are escaped, so a caller's value can't forge a line or move the cursor.
"""

from __future__ import annotations

import json
import logging
import math
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TextIO

from nearfield_server.errors import NearfieldError

__all__ = ["bound_request_id", "configure", "request_id"]

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Id of the call that the running task serves."""

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# Defence in depth: nothing logs these, and if somebody does by mistake, they don't get out.
_SECRET = frozenset({
    "text", "texts", "input", "inputs", "query", "queries", "document", "documents", "prompt", "tokens", "token_ids",
    "ids", "vector", "vectors", "embedding", "embeddings", "payload", "body", "request", "metadata", "headers",
    "authorization", "cookie", "credentials", "api_key", "apikey", "key", "private_key", "token", "secret", "password",
})  # fmt: skip
_REDACTED = "[not logged]"
_LIBRARIES = ("uvicorn", "grpc", "asyncio")
_HANDLER_NAME = "nearfield"
_MAX_VALUE_CHARACTERS = 2000
_COLOURS = {"debug": "2", "info": "32", "warning": "33", "error": "31", "critical": "1;31"}


def configure(log_format: str, level: str, stream: TextIO | None = None) -> None:
    """Set up the logger tree "nearfield", and let the libraries' warnings out the same way and nothing below them.

    Calling it again replaces the set-up. The root logger and all others are left alone.

    Args:
        log_format: "human" (colours on a terminal only) or "json".
        level: "debug", "info", "warning" or "error".
        stream: where to; standard error if not given.
    """
    out = stream or sys.stderr
    handler = logging.StreamHandler(out)
    handler.name = _HANDLER_NAME
    handler.setFormatter(_Json() if log_format == "json" else _Human(colour=out.isatty()))
    for name in ("nearfield", *_LIBRARIES):
        logger = logging.getLogger(name)
        for old in [one for one in logger.handlers if one.name == _HANDLER_NAME]:
            logger.removeHandler(old)
        logger.addHandler(handler)
        logger.setLevel(level.upper() if name == "nearfield" else logging.WARNING)
        logger.propagate = False


@contextmanager
def bound_request_id(value: str) -> Iterator[None]:
    """Let every line logged inside carry `value`."""
    token = request_id.set(value)
    try:
        yield
    finally:
        request_id.reset(token)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    # Names that begin so are what libraries put on records for themselves, such as Ray.
    extra = {key: value for key, value in vars(record).items() if key not in _STANDARD and not key.startswith("_")}
    return {key: _safe(key, value) for key, value in extra.items()}


def _safe(key: str, value: Any) -> Any:
    """Give what may be logged of a field."""
    if key.lower() in _SECRET and not isinstance(value, (int, float)):
        return _REDACTED  # numbers are counts
    if isinstance(value, Mapping):
        return {str(inner): _safe(str(inner), one) for inner, one in value.items()}
    if value is None or isinstance(value, (bool, int)) or (isinstance(value, float) and math.isfinite(value)):
        return value  # JSON has no NaN
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= _MAX_VALUE_CHARACTERS else f"{text[:_MAX_VALUE_CHARACTERS]}…"


def _exception(record: logging.LogRecord) -> list[str]:
    """Give each exception of the chain and the places that it came through.

    Values of variables and messages of foreign exceptions are left out: they may hold input text.
    """
    lines: list[str] = []
    current = record.exc_info[1] if record.exc_info else None
    seen: set[int] = set()
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        lines.append(f"{'caused by ' if lines else ''}{_named(current)}")
        frames = traceback.extract_tb(current.__traceback__)
        lines += [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return lines


def _named(error: BaseException) -> str:
    name = type(error).__qualname__
    if isinstance(error, NearfieldError):  # by its rules, without input text
        return f"{name}: {error.message}"
    return f"{name}: {error.strerror}" if isinstance(error, OSError) and error.strerror else name


class _Json(logging.Formatter):
    """One JSON object a line; non-ASCII and control characters escaped."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        entry: dict[str, Any] = {
            "ts": moment,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if current := request_id.get():
            entry["request_id"] = current
        if fields := _fields(record):
            entry["fields"] = fields
        if lines := _exception(record):
            entry["exception"] = lines
        return json.dumps(entry, default=str)


class _Human(logging.Formatter):
    """One line: time, level, logger, message, key=value; an exception on lines of its own, indented."""

    def __init__(self, *, colour: bool) -> None:
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created).astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        level = record.levelname.lower()
        shown = f"\x1b[{_COLOURS.get(level, '0')}m{level:7}\x1b[0m" if self._colour else f"{level:7}"
        fields = _fields(record)
        if current := request_id.get():
            fields["request_id"] = current
        pairs = "".join(f" {_escaped(key)}={_plain(value)}" for key, value in fields.items())
        line = f"{moment} {shown} {record.name}: {_escaped(record.getMessage())}{pairs}"
        return "\n    ".join([line, *map(_escaped, _exception(record))])


def _plain(value: Any) -> str:
    """Write a value so that its end is seen."""
    text = _escaped(str(value))
    return json.dumps(text, ensure_ascii=False) if not text or any(one in text for one in ' "=') else text


def _escaped(text: str) -> str:
    return text if text.isprintable() else "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)
