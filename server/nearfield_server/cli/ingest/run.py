"""Files and rows to the writer, and what vanished out of the collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfield_server.cli.files.rows import InputError, Row
from nearfield_server.cli.files.sources import open_source
from nearfield_server.cli.ingest.chunks import cut
from nearfield_server.cli.ingest.documents import DOCUMENTS, SUFFIXES, Document, read_document
from nearfield_server.cli.ingest.pruning import Pruning
from nearfield_server.cli.ingest.reading import Reading
from nearfield_server.cli.ingest.writer import Writer

if TYPE_CHECKING:
    from nearfield import Client, Collection

__all__ = ["Plan", "Task", "files_of", "index_files"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the command was asked for."""

    text_field: str
    id_field: str
    vector_field: str
    payload: Sequence[str]
    chunk_tokens: int
    chunk_overlap: int
    chunk_rows: bool = False
    model: str = ""


@dataclass(frozen=True, slots=True)
class Task:
    """Where to: a collection, and the client that counts tokens; and how much has been read."""

    client: Client
    collection: Collection
    writer: Writer
    reading: Reading
    pruning: Pruning | None = None

    def add(self, place: str, id_: str | int, text: str | None, payload: Mapping[str, Any], vector: Any = None) -> None:
        """Take a point."""
        if self.pruning is not None:
            self.pruning.saw(id_)
        self.writer.add(place, id_, text, payload, vector)

    def fail(self, problem: str, source: str) -> None:
        """Note what can't be a point, and that `source` wasn't read as a whole."""
        if self.pruning is not None:
            self.pruning.spare(source)
        self.writer.fail(problem)


def files_of(path: Path, pattern: str, *, recursive: bool) -> list[Path]:
    """Give the files to index, in order. Raises InputError for none."""
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if not path.is_dir():
        return [path]
    found = path.rglob(pattern) if recursive else path.glob(pattern)
    known = sorted(one for one in found if one.is_file() and one.suffix.lower() in SUFFIXES)
    if not known:
        suffixes = ", ".join(SUFFIXES)
        raise InputError(f"{path} holds no file that can be indexed ({suffixes}); look into folders with --recursive")
    return known


def index_files(task: Task, files: Sequence[Path | None], plan: Plan) -> None:
    """Index files, None being rows from stdin; delete what vanished if `task.pruning` is there."""
    for path in files:
        if path is not None and path.suffix.lower() in DOCUMENTS:
            with task.reading.of(path):
                _index_document(task, path, plan)
        else:
            _index_rows(task, path, plan)
    task.writer.flush()
    if task.pruning is not None:
        task.writer.counts.deleted += task.pruning.delete_vanished(task.collection)


def _index_document(task: Task, path: Path, plan: Plan) -> None:
    source = path.as_posix()
    try:
        document = read_document(path)
    except (InputError, OSError) as error:
        task.fail(str(error), source)
        return
    payload = {"source": source, "title": document.title or path.stem}
    _add_chunks(task, document, (source, source, f"{source}: "), payload, plan)
    if task.pruning is not None:
        task.pruning.read(source)


def _index_rows(task: Task, path: Path | None, plan: Plan) -> None:
    columns = list(dict.fromkeys(one for one in (plan.id_field, plan.vector_field, *plan.payload) if one))
    try:
        source = open_source(path, plan.text_field or None, "jsonl" if path is None else None, plan.vector_field)
        with task.reading.of(path, source), closing(source.rows(fields=columns)) as rows:
            for row in rows:
                _index_row(task, source.name, row, plan)
    except InputError as error:
        raise InputError(_hinted(str(error), plan)) from error
    if task.pruning is not None:
        task.pruning.read(source.name)


def _index_row(task: Task, source: str, row: Row, plan: Plan) -> None:
    place = f"{source}: {row.place or f'row {row.number}'}"
    if row.text is None:
        task.fail(_hinted(f"{source}: {row.problem}", plan), source)
        return
    id_ = row.fields.get(plan.id_field) if plan.id_field else f"{source}#{row.number}"
    if not isinstance(id_, (str, int)) or isinstance(id_, bool):
        task.fail(f"{place}: field {plan.id_field!r} is no id: a string or an integer", source)
        return
    carried = {name: row.fields[name] for name in plan.payload if row.fields.get(name) is not None}
    payload = {"source": source, **carried}
    if plan.chunk_rows:
        _add_chunks(task, Document(row.text), (str(id_), id_, f"{place}, "), payload, plan)
        return
    vector = row.fields.get(plan.vector_field) if plan.vector_field else None
    task.add(place, id_, row.text if plan.text_field else None, payload, vector)


def _add_chunks(
    task: Task, document: Document, whose: tuple[str, str | int, str], payload: Mapping[str, Any], plan: Plan
) -> None:
    """Add the chunks of a document; `whose`: what their ids begin with, what they are parts of, its place."""

    def starts(texts: Sequence[str]) -> list[tuple[int, ...]]:
        counted = task.client.tokenize(texts, model=plan.model, add_special_tokens=False)
        return [one.starts for one in counted]

    prefix, parent, place = whose
    chunks = cut(document, plan.chunk_tokens, plan.chunk_overlap, starts)
    for number, chunk in enumerate(chunks):
        facts = {"parent_id": parent, "chunk": number, "start": chunk.start, "end": chunk.end, "heading": chunk.heading}
        text = document.text[chunk.start : chunk.end]
        task.add(f"{place}chunk {number}", f"{prefix}#{number}", text, {**payload, **facts})
    task.writer.end(prefix, len(chunks))


def _hinted(problem: str, plan: Plan) -> str:
    """Add what helps where rows bring vectors and no text."""
    lacks = any(f"has no {kind} {plan.text_field!r}" in problem for kind in ("column", "field"))
    return f'{problem}; if rows are only vectors, give --text-field ""' if plan.vector_field and lacks else problem
