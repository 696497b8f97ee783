"""Snapshots as files: Parquet with all that points are, and a manifest with their checksums. docs/adr/0008.

    <root>/<name>/part-00000.parquet …   columns as in `_schema`
    <root>/<name>/manifest.json          written last: a snapshot is there when this is

`root` is a folder or a URL that fsspec knows, such as `s3://bucket/prefix`. Calls block: they belong in threads.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from nearfield_server.engines.base import Owned
from nearfield_server.engines.embedded.codec import (
    pack_kinds,
    pack_payload,
    pack_spec,
    unpack_kinds,
    unpack_payload,
    unpack_spec,
)
from nearfield_server.errors import ConfigError, DataDamaged, NearfieldError, SnapshotNotFound, StorageFull, Unavailable
from nearfield_server.filters import split_path
from nearfield_server.types import CollectionSpec, Record

__all__ = ["Part", "SnapshotFiles", "SnapshotInfo"]

FORMAT = 1
MANIFEST = "manifest.json"
_MAX_MANIFEST_BYTES = 16 * 2**20
_PART_NAME = re.compile(r"part-\d{5,8}\.parquet")
_RETRY_SECONDS = 5.0
_MOST = 2**40
_MOST_DIMENSIONS = 65_536
_NO_SPACE = {28, 122}  # ENOSPC, EDQUOT


@dataclass(frozen=True, slots=True)
class Part:
    """A file of a snapshot."""

    name: str
    points: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotInfo:
    """A snapshot that is whole; `engine` is the one that the collection was in."""

    name: str
    spec: CollectionSpec
    engine: str
    created_at: datetime
    parts: tuple[Part, ...]

    @property
    def points(self) -> int:
        """Points in it."""
        return sum(one.points for one in self.parts)

    @property
    def bytes(self) -> int:
        """Bytes of its parts."""
        return sum(one.bytes for one in self.parts)


class SnapshotFiles:
    """All snapshots under one root."""

    def __init__(self, root: str) -> None:
        """Open the place.

        Raises:
            ConfigError: nothing knows such a URL, or a package for it isn't installed.
        """
        import fsspec  # noqa: PLC0415  quick start

        try:
            self._files, self._root = fsspec.core.url_to_fs(root)
        except ImportError as error:
            package = "nearfield[s3]" if root.startswith("s3") else "the package that the message before names"
            raise ConfigError(f"search.snapshots: {error}; pip install '{package}'") from error
        except (ValueError, TypeError) as error:
            raise ConfigError(f"search.snapshots: {error}") from error
        self._local = root.startswith("file:") or "://" not in root

    def all(self) -> list[SnapshotInfo]:
        """Give all that are whole and can be read, newest first."""
        with _explained():
            self._files.invalidate_cache()
            if not self._files.exists(self._root):
                return []
            names = [path.rstrip("/").rpartition("/")[2] for path in self._files.ls(self._root, detail=False)]
        found = []
        for name in names:
            try:
                found.append(self.find(name))
            except (SnapshotNotFound, DataDamaged):
                continue
        return sorted(found, key=lambda one: (one.created_at, one.name), reverse=True)

    def find(self, name: str) -> SnapshotInfo:
        """Give one by name.

        Raises:
            SnapshotNotFound: there is none.
            DataDamaged: its manifest can't be read.
        """
        path = self._path(name, MANIFEST)
        try:
            with _explained():
                self._files.invalidate_cache()
                if self._files.size(path) > _MAX_MANIFEST_BYTES:
                    raise DataDamaged(f"snapshot {name}: {MANIFEST} is too large to be one")
                content = self._files.cat_file(path)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise SnapshotNotFound(name) from error
        try:
            return _read_manifest(name, json.loads(content, parse_constant=_no_number))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise DataDamaged(f"snapshot {name}: {MANIFEST} is damaged") from error

    def write_part(self, name: str, number: int, points: Sequence[Owned], dimensions: int) -> Part:
        """Write some points."""
        import pyarrow.parquet as pq  # noqa: PLC0415  quick start

        stream = io.BytesIO()
        pq.write_table(_table(points, dimensions), stream, compression="zstd")
        content = stream.getvalue()
        part = Part(f"part-{number:05}.parquet", len(points), len(content), hashlib.sha256(content).hexdigest())
        self._write(name, part.name, content)
        return part

    def finish(self, info: SnapshotInfo) -> None:
        """Write the manifest: from now on the snapshot is there."""
        plain = {
            "format": FORMAT,
            "name": info.name,
            "collection": json.loads(pack_spec(info.spec)),
            "engine": info.engine,
            "created_at": info.created_at.isoformat(),
            "parts": [asdict(one) for one in info.parts],
        }
        self._write(info.name, MANIFEST, json.dumps(plain, ensure_ascii=False, indent=1).encode())

    def check(self, info: SnapshotInfo, part: Part) -> bytes:
        """Give the bytes of a part. Raises `DataDamaged` where they aren't what was written."""
        try:
            with _explained():
                content: bytes = self._files.cat_file(self._path(info.name, part.name))
        except FileNotFoundError as error:
            raise DataDamaged(f"snapshot {info.name}: {part.name} is missing") from error
        if len(content) != part.bytes or hashlib.sha256(content).hexdigest() != part.sha256:
            raise DataDamaged(f"snapshot {info.name}: {part.name} is damaged: its checksum isn't that of the manifest")
        return content

    def read_part(self, info: SnapshotInfo, part: Part) -> list[Owned]:
        """Give the points of a part, once more checked. Raises `DataDamaged`."""
        import pyarrow.parquet as pq  # noqa: PLC0415  quick start

        content = self.check(info, part)
        try:
            return _points(pq.read_table(io.BytesIO(content)), info.spec.dimensions)
        except (ValueError, KeyError, TypeError) as error:  # what a manifest of another's making may vouch for
            raise DataDamaged(f"snapshot {info.name}: {part.name} doesn't hold points") from error

    def remove(self, name: str) -> None:
        """Remove a snapshot, or what there is of one; the manifest first."""
        with _explained():
            self._files.invalidate_cache()
            for path in (self._path(name, MANIFEST), self._path(name)):
                if self._files.exists(path):
                    self._files.rm(path, recursive=True)

    def remove_unfinished(self, name: str) -> None:
        """Remove what a server that was killed left of a snapshot of this name."""
        with _explained():
            self._files.invalidate_cache()
            whole = self._files.exists(self._path(name, MANIFEST))
        if not whole:
            self.remove(name)

    def _path(self, *parts: str) -> str:
        return "/".join((self._root, *parts))

    def _write(self, name: str, file: str, content: bytes) -> None:
        with _explained():
            self._files.makedirs(self._path(name), exist_ok=True)
            if not self._local:
                self._files.pipe_file(self._path(name, file), content)
                return
            temporary = self._path(name, f".{file}.new")
            with open(temporary, "wb") as stream:  # noqa: PTH123 - a path of fsspec's
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(temporary, self._path(name, file))  # noqa: PTH105
            for folder in (self._path(name), self._root):
                descriptor = os.open(folder, os.O_RDONLY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)


@contextmanager
def _explained() -> Iterator[None]:
    """Give failures of the place as ours; that a file isn't there goes through."""
    try:
        yield
    except (NearfieldError, FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _NO_SPACE:
            text = "the place of snapshots is full: free space, then try again"
            raise StorageFull(text, retry_after_seconds=_RETRY_SECONDS) from error
        text = f"the place of snapshots (search.snapshots) can't be used now: {type(error).__name__}"
        raise Unavailable(text, retry_after_seconds=_RETRY_SECONDS) from error


def _read_manifest(name: str, plain: Any) -> SnapshotInfo:
    newest = _whole(plain["format"])
    if newest > FORMAT:
        raise DataDamaged(f"snapshot {name} has format {newest}, this server reads up to {FORMAT}; use a newer server")
    json.dumps(plain, ensure_ascii=False).encode()  # halves of surrogates
    parts = tuple(
        Part(_text(one["name"]), _whole(one["points"]), _whole(one["bytes"]), _text(one["sha256"]))
        for one in plain["parts"]
    )
    if not all(_PART_NAME.fullmatch(one.name) for one in parts):
        raise ValueError("a part of another name")
    _check_spec(plain["collection"])
    spec = unpack_spec(json.dumps(plain["collection"]))
    created_at = datetime.fromisoformat(plain["created_at"])
    if created_at.tzinfo is None or spec.created_at.tzinfo is None:
        raise ValueError("an instant without a zone")
    spec.created_at.astimezone(UTC)
    return SnapshotInfo(
        name=name, spec=spec, engine=_text(plain["engine"]), created_at=created_at.astimezone(UTC), parts=parts
    )


def _check_spec(plain: Mapping[str, Any]) -> None:
    """Raise `ValueError` for options that no server has; `unpack_spec` trusts what it is given."""
    for key in ("name", "model", "model_version"):
        _text(plain[key])
    numbers: list[float] = [_whole(value) for value in plain["hnsw"].values()]
    if plain["keyword"] is not None:
        _text(plain["keyword"]["language"])
        numbers += [_number(value) for key, value in plain["keyword"].items() if key != "language"]
    if plain["ttl_seconds"] is not None:
        numbers.append(_number(plain["ttl_seconds"]))
    if min(numbers) < 0 or not 1 <= _whole(plain["dimensions"]) <= _MOST_DIMENSIONS:
        raise ValueError("an option outside its bounds")
    for path in plain["payload_indexes"]:
        split_path(path)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError("no number")
    return value


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _MOST:
        raise ValueError("no number that counts")
    return value


def _no_number(_: str) -> float:
    raise ValueError("NaN and infinities aren't JSON")


def _schema(dimensions: int) -> Any:
    import pyarrow as pa  # noqa: PLC0415  quick start

    return pa.schema(
        [
            pa.field("tenant", pa.string(), nullable=False),
            pa.field("id_text", pa.string()),
            pa.field("id_number", pa.int64()),
            pa.field("text", pa.string(), nullable=False),
            pa.field("vector", pa.list_(pa.float32(), dimensions), nullable=False),
            pa.field("payload", pa.string(), nullable=False),
            pa.field("kinds", pa.string(), nullable=False),
            pa.field("expires_at", pa.float64()),
        ]
    )


def _table(points: Sequence[Owned], dimensions: int) -> Any:
    import pyarrow as pa  # noqa: PLC0415  quick start

    records = [one.record for one in points]
    flat = np.concatenate([np.asarray(one.vector, np.float32) for one in records])
    columns = [
        [one.tenant for one in points],
        [one.id if isinstance(one.id, str) else None for one in records],
        [one.id if isinstance(one.id, int) else None for one in records],
        [one.text for one in records],
        pa.FixedSizeListArray.from_arrays(pa.array(flat), dimensions),
        [pack_payload(one.payload) for one in records],
        [pack_kinds(one.kinds) for one in records],
        [one.expires_at for one in records],
    ]
    schema = _schema(dimensions)
    arrays = [
        pa.array(one, field.type) if isinstance(one, list) else one for one, field in zip(columns, schema, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _points(table: Any, dimensions: int) -> list[Owned]:
    if not table.schema.equals(_schema(dimensions)):
        raise ValueError("other columns")
    vectors = table.column("vector").combine_chunks()
    rows = np.asarray(vectors.flatten(), np.float32).reshape(len(table), dimensions)
    if not np.isfinite(rows).all():
        raise ValueError("vectors that aren't finite")
    plain = {name: table.column(name).to_pylist() for name in table.column_names if name != "vector"}
    found = []
    for index in range(len(table)):
        text, number = plain["id_text"][index], plain["id_number"][index]
        if (text is None) == (number is None):
            raise ValueError("a point without an id")
        record = Record(
            id=number if text is None else text,
            text=plain["text"][index],
            vector=rows[index],
            payload=unpack_payload(plain["payload"][index]),
            kinds=unpack_kinds(plain["kinds"][index]),
            expires_at=plain["expires_at"][index],
        )
        found.append(Owned(plain["tenant"][index], record))
    return found
