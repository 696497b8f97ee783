"""Payload indexes there, for what `qdrant_points` stores of a field."""

from __future__ import annotations

from typing import Any

from qdrant_client import models

from nearfield_server.engines.qdrant_points import field_key
from nearfield_server.engines.qdrant_session import Session
from nearfield_server.types import FieldType

__all__ = ["drop_index", "facet_keys", "make_index", "make_own_indexes"]

_KEYWORD = models.PayloadSchemaType.KEYWORD
_KINDS: dict[FieldType, dict[str, models.PayloadSchemaType]] = {
    FieldType.KEYWORD: {"k": _KEYWORD, "c": _KEYWORD},
    FieldType.INTEGER: {"n": models.PayloadSchemaType.FLOAT, "c": _KEYWORD, "d": _KEYWORD},
    FieldType.FLOAT: {"n": models.PayloadSchemaType.FLOAT, "c": _KEYWORD, "d": _KEYWORD},
    FieldType.BOOL: {"c": _KEYWORD},
    FieldType.DATETIME: {"t": models.PayloadSchemaType.DATETIME, "k": _KEYWORD},
    FieldType.GEO: {"g": models.PayloadSchemaType.GEO},
    FieldType.TEXT: {"w[].t": _KEYWORD},
}
_OWN: dict[str, Any] = {
    "tenant": models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True),
    "order": models.PayloadSchemaType.INTEGER,
    "version": models.PayloadSchemaType.INTEGER,
    "expires_at": models.PayloadSchemaType.FLOAT,
    "present": _KEYWORD,
}


def facet_keys(path: str) -> tuple[str, str]:
    """Give where strings are counted, and where integers and truth values are."""
    return field_key(path, "k"), field_key(path, "c")


def _keys(path: str, kind: FieldType) -> dict[str, models.PayloadSchemaType]:
    if not path:
        return {"words": _KEYWORD}
    return {field_key(path, name): schema for name, schema in _KINDS[kind].items()}


async def make_index(session: Session, name: str, path: str, kind: FieldType) -> None:
    """Index a field; what is indexed already stays so."""
    for key, schema in _keys(path, kind).items():
        await session.index(name, key, schema)


async def make_own_indexes(session: Session, name: str) -> None:
    """Index what every call asks for."""
    for key, schema in _OWN.items():
        await session.index(name, key, schema)


async def drop_index(session: Session, name: str, path: str, kind: FieldType) -> None:
    """Drop the index of a field."""
    for key in _keys(path, kind):
        await session.drop_index(name, key)
