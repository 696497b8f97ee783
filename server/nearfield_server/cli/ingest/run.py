"""Files and rows to the writer, and what vanished out of the collection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nearfield_server.cli.files.rows import InputError
from nearfield_server.cli.files.sources import open_source
from nearfield_server.cli.ingest.chunks import cut
from nearfield_server.cli.ingest.documents import DOCUMENTS, read_document
from nearfield_server.cli.ingest.reading import Reading
from nearfield_server.cli.ingest.writer import Writer

if TYPE_CHECKING:
    from nearfield import Client, Collection

__all__ = ["Plan", "Task", "files_of", "index_files"]

_ROWS = (".jsonl", ".ndjson", ".csv", ".tsv", ".parquet", ".pq")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the command was asked for."""

    text_field: str
    id_field: str
    vector_field: str
    payload: Sequence[str]
    chunk_tokens: int
    chunk_overlap: int
    model: str = ""


@dataclass(frozen=True, slots=True)
class Task:
    """Where to: a collection, and the client that counts tokens; and how much has been read."""

    client: Client
    collection: Collection
    writer: Writer
    reading: Reading


def files_of(path: Path, pattern: str, *, recursive: bool) -> list[Path]:
    """Give the files to index, in order. Raises InputError for none."""
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if not path.is_dir():
        return [path]
    found = path.rglob(pattern) if recursive else path.glob(pattern)
    known = sorted(one for one in found if one.is_file() and one.suffix.lower() in (*DOCUMENTS, *_ROWS))
    if not known:
        suffixes = ", ".join((*DOCUMENTS, *_ROWS))
        raise InputError(f"{path} holds no file that can be indexed ({suffixes}); look into folders with --recursive")
    return known


def index_files(task: Task, files: Sequence[Path | None], root: Path | None, plan: Plan) -> None:
    """Index files, None being rows from stdin; under `root`, if given, forget files that are no longer there."""
    sources = set()
    for path in files:
        if path is not None and path.suffix.lower() in DOCUMENTS:
            sources.add(path.as_posix())
            with task.reading.of(path):
                _index_document(task, path, plan)
        else:
            _index_rows(task, path, plan)
    task.writer.flush()
    if root is not None:
        _forget(task, root, sources)


def _index_document(task: Task, path: Path, plan: Plan) -> None:
    try:
        document = read_document(path)
    except (InputError, OSError) as error:
        task.writer.fail(str(error))
        return

    def starts(texts: Sequence[str]) -> list[tuple[int, ...]]:
        counted = task.client.tokenize(texts, model=plan.model, add_special_tokens=False)
        return [one.starts for one in counted]

    source, chunks = path.as_posix(), cut(document, plan.chunk_tokens, plan.chunk_overlap, starts)
    for number, chunk in enumerate(chunks):
        payload = {
            "source": source,
            "parent_id": source,
            "chunk": number,
            "start": chunk.start,
            "end": chunk.end,
            "heading": chunk.heading,
            "title": document.title or path.stem,
        }
        text = document.text[chunk.start : chunk.end]
        task.writer.add(f"{source}: chunk {number}", f"{source}#{number}", text, payload)
    task.writer.flush()
    task.writer.counts.deleted += _delete(task, source, len(chunks))


def _index_rows(task: Task, path: Path | None, plan: Plan) -> None:
    source = open_source(path, plan.text_field or None, "jsonl" if path is None else None)
    columns = list(dict.fromkeys(one for one in (plan.id_field, plan.vector_field, *plan.payload) if one))
    with task.reading.of(path, source), closing(source.rows(fields=columns)) as rows:
        for row in rows:
            place = f"{source.name}: {row.place or f'row {row.number}'}"
            if row.text is None:
                task.writer.fail(f"{source.name}: {row.problem}")
                continue
            id_ = row.fields.get(plan.id_field) if plan.id_field else f"{source.name}#{row.number}"
            if not isinstance(id_, (str, int)) or isinstance(id_, bool):
                task.writer.fail(f"{place}: field {plan.id_field!r} is no id: a string or an integer")
                continue
            payload = {name: row.fields[name] for name in plan.payload if row.fields.get(name) is not None}
            vector = row.fields.get(plan.vector_field) if plan.vector_field else None
            task.writer.add(
                place, id_, row.text if plan.text_field else None, {"source": source.name, **payload}, vector
            )


def _delete(task: Task, source: str, chunks: int) -> int:
    """Delete what an earlier, longer version of a document left behind."""
    return task.collection.delete(filter=f"source = {_quoted(source)} and chunk >= {chunks}", wait=False)


def _forget(task: Task, root: Path, sources: set[str]) -> None:
    """Delete documents under `root` that vanished."""
    vanished = [one for one in _stored(task, root) if one not in sources and not Path(one).exists()]
    for source in vanished:
        task.writer.counts.deleted += _delete(task, source, 0)


def _stored(task: Task, root: Path) -> Iterator[str]:
    """Give the documents under `root` that the collection holds: each has a first chunk."""
    prefix = root.as_posix().rstrip("/") + "/"
    for point in task.collection.scroll(filter="chunk = 0", fields=["source"], with_text=False):
        source = point.payload.get("source")
        if isinstance(source, str) and (source.startswith(prefix) or (prefix == "./" and not source.startswith("/"))):
            yield source


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
