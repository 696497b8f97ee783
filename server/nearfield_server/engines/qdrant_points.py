"""Points as Qdrant holds them, and back.

A point's id there is the uuid5 of tenant, kind of id and id. Beside what was sent, its payload holds `fields`: for each
path the values that filters ask for, by kind, so that Qdrant's conditions mean what ours do:

    k  strings                        n  numbers                    g  places, as {lat, lon}
    c  integers and truth values,     t  instants, as strings       w  words, as {t: […]} for each text
       as strings that tell the kind  d  fractions, as strings

and `present`, the paths that hold something.
"""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from nearfield_server.filters import MAX_PATH, instant_of, path_of, place_of, select_payload, split_path, words_of
from nearfield_server.types import Json, PayloadKind, PointId, Record, Selection

__all__ = [
    "BARE",
    "decoded_scalar",
    "field_key",
    "number_token",
    "payload_of",
    "point_uuid",
    "record_of",
    "truth_token",
]

BARE = ("id", "order", "version", "expires_at")
"""What is read of every point."""

_NAMESPACE = uuid.UUID("7d1c0b52-4a58-5b0e-9c36-3f0d2a9e6a11")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBER, _TRUTH = "\x01n", "\x01b"  # the least printable order: counted values stay sorted by their text


def point_uuid(tenant: str, id_: PointId) -> str:
    """Give the id there."""
    kind = "number" if isinstance(id_, int) else "text"
    return str(uuid.uuid5(_NAMESPACE, json.dumps([tenant, kind, id_])))


def field_key(path: str, kind: str) -> str:
    """Give the path there of the values of a field."""
    return f'fields."{_encoded(path_of(split_path(path)))}".{kind}'


def number_token(value: float) -> str:
    """Give the string that equal numbers share."""
    whole = isinstance(value, int) or value.is_integer()
    return f"{int(value) if whole else value!r}{_NUMBER}"


def truth_token(value: bool) -> str:
    """Give the string of a truth value."""
    return f"{value}{_TRUTH}"


def decoded_scalar(token: str) -> int | bool:
    """Give the value of a string in `c`."""
    return token[:-2] == "True" if token.endswith(_TRUTH) else int(token[:-2])


def _encoded(path: str) -> str:
    return path.replace("%", "%25").replace('"', "%22")


def payload_of(record: Record, tenant: str, order: int, version: int) -> dict[str, Any]:
    """Give what is stored there of a point, but for its vectors."""
    fields: dict[str, dict[str, list[Any]]] = {}
    present: dict[str, None] = {}
    for keys, value in _leaves(record.payload, ()):
        path = path_of(keys)
        if len(path) > MAX_PATH or not _named(path, keys):
            continue
        name = _encoded(path)
        present[name] = None
        for kind, shown in _shown(value):
            held = fields.setdefault(name, {}).setdefault(kind, [])
            if kind in {"w", "g"} or shown not in held:
                held.append(shown)
    return {
        "tenant": tenant,
        "id": record.id,
        "order": order,
        "version": version,
        "expires_at": record.expires_at,
        "text": record.text,
        "payload": dict(record.payload),
        "kinds": {key: kind.value for key, kind in record.kinds.items()},
        "words": list(dict.fromkeys(words_of(record.text))),
        "fields": fields,
        "present": list(present),
    }


def _named(path: str, keys: tuple[str, ...]) -> bool:
    """Tell whether a path leads to these keys: some can't be named."""
    try:
        return split_path(path) == keys
    except ValueError:
        return False


def _leaves(value: Json, keys: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Json]]:
    """Give all that stands at a path, objects on the way too, but no nulls."""
    if isinstance(value, list):
        for one in value:
            yield from _leaves(one, keys)
    elif value is not None:
        if keys:
            yield keys, value
        if isinstance(value, Mapping):
            for key, inner in value.items():
                yield from _leaves(inner, (*keys, key))


def _shown(value: Json) -> Iterator[tuple[str, Any]]:
    if isinstance(value, bool):
        yield "c", truth_token(value)
    elif isinstance(value, (int, float)):
        yield "n", float(value)
        yield "c" if isinstance(value, int) else "d", number_token(value)
    elif isinstance(value, str):
        yield "k", value
        yield "w", {"t": list(dict.fromkeys(words_of(value)))}
        instant = instant_of(value)
        if instant is not None and (shown := _instant(instant)):
            yield "t", shown
    elif (place := place_of(value)) is not None:
        yield "g", {"lat": place.latitude, "lon": place.longitude}


def _instant(microseconds: int) -> str:
    try:
        moment = _EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:  # beyond the years that either side knows
        return ""
    return f"{moment.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def record_of(stored: Mapping[str, Any], vector: Any, select: Selection) -> Record:
    """Give a point as it was sent."""
    payload = select_payload(stored.get("payload") or {}, select)
    kinds = stored.get("kinds") or {}
    expires_at = stored.get("expires_at")
    return Record(
        id=stored["id"],
        text=stored.get("text") or "",
        vector=None if vector is None else np.asarray(vector, np.float32),
        payload=payload,
        kinds={key: PayloadKind(kind) for key, kind in kinds.items() if key in payload},
        expires_at=None if expires_at is None or math.isnan(expires_at) else float(expires_at),
        version=int(stored["version"]),
    )
