"""What `nearfield embed` does, once its arguments are read."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from nearfield_server.cli.connect import connected, local_models
from nearfield_server.cli.embed_request import Request, check
from nearfield_server.cli.failures import CliError, Exit, describe, fail
from nearfield_server.cli.files.images import ImageSource, image_files
from nearfield_server.cli.files.job import BadRow, Embedder, Job, Sink, run
from nearfield_server.cli.files.journal import Counts, Identity, identity_of, identity_of_files
from nearfield_server.cli.files.partial import Partial, Paths
from nearfield_server.cli.files.ragged import reserved_names
from nearfield_server.cli.files.rows import InputError, Source
from nearfield_server.cli.files.sources import open_source
from nearfield_server.cli.files.stdout import StdoutSink
from nearfield_server.cli.files.terms import TermsEmbedder, Vocabulary
from nearfield_server.cli.files.text import require_columns
from nearfield_server.cli.files.writers import Column, Output, output_format, publish
from nearfield_server.cli.progress import Progress, counted, duration

if TYPE_CHECKING:
    from nearfield import Image, Model, StreamOptions

__all__ = ["embed_file"]


def embed_file(request: Request) -> None:
    """Embed the file.

    Raises:
        CliError: a wrong argument, a bad input, or no server.
        nearfield.NearfieldError: the server refused or went away.
    """
    name, served = local_models(request.model, local=request.local)
    check(request)
    source = _source(request)
    columns = _columns(request, source)
    with connected(request.target, local=request.local, models=served) as connection:
        chosen = connection.model(name)
        _check_model(request, chosen)
        options = request.stream_options(name)
        about = {
            "model": chosen.name if chosen else name,
            "model_version": chosen.version if chosen else "",
            **request.facts(),
        }
        if request.is_stdin and sys.stdin is not None and sys.stdin.isatty():
            _say("reading texts from the terminal, one a line; Ctrl-D ends them")
        vocabulary = _vocabulary(request)
        output = Output(
            columns=columns, encoding=request.encoding, kind=request.kind, note=about, vocabulary=vocabulary
        )
        client = connection.client
        embedder: Embedder = client if vocabulary is None else TermsEmbedder(client, vocabulary)
        if request.out is None:
            _to_stdout(request, source, output, embedder, options)
        else:
            _to_file(request, source, output, embedder, options)


def _source(request: Request) -> Source:
    if request.images:
        return ImageSource(image_files(request.files))
    return open_source(request.file, request.text_field, request.format)


def _vocabulary(request: Request) -> Vocabulary | None:
    if not request.terms:
        return None
    return Vocabulary(Paths(request.out).spooled_terms if request.out is not None else None)


def _identity(request: Request) -> Identity | None:
    """Give what tells the input from others; `None` for stdin."""
    if request.images:
        return identity_of_files(image_files(request.files))
    return identity_of(request.file) if request.file is not None else None


def _check_model(request: Request, model: Model | None) -> None:
    """Refuse what the model is known not to do."""
    if model is None or not model.is_ready:
        return
    if request.images and not model.accepts_images:
        raise CliError(f"model {model.name} embeds no images; `nearfield models` lists the others")
    wanted = request.kind if request.sparse or request.multi else "dense"
    if model.outputs and wanted not in model.outputs:
        gives = f"{', '.join(model.outputs)}, nothing {wanted}"
        raise CliError(f"model {model.name} gives {gives}; `nearfield models` lists the others")


def _columns(request: Request, source: Source) -> tuple[Column, ...]:
    """Work out what is carried over, and check it against the input's columns where these can be known."""
    if request.images and not (request.out is not None and output_format(request.out) == "npy"):
        return (Column("path", "path"),)
    if not (request.keep or request.id_field):
        return ()
    there = source.columns()
    kept = list(request.keep)
    if "*" in kept:
        if there is None:
            raise InputError("--keep '*' needs an input whose columns can be looked up: a file, not stdin")
        kept = [*there]
    columns = [Column(name, name) for name in dict.fromkeys(kept)]
    if request.id_field:
        columns.insert(0, Column(request.id_field, "id"))
    if there is not None:
        require_columns(source.name, [column.source for column in columns], there)
    names = [*reserved_names(request.kind), *(column.name for column in columns)]
    doubled = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if doubled:
        raise CliError(f"the output would have two columns {doubled[0]!r}; name the ones to --keep, without that one")
    return tuple(columns)


def _to_stdout(request: Request, source: Source, output: Output, embedder: Embedder, options: StreamOptions) -> None:
    sink = StdoutSink(sys.stdout, output)
    with _progress(request, source, 0) as progress:
        run(_job(request, source, sink, options, progress), embedder)
    if not sink.counts.rows:
        raise InputError(f"{source.name} holds no {request.unit}")
    _finished(request, sink.counts, 0, progress.seconds)


def _to_file(request: Request, source: Source, output: Output, embedder: Embedder, options: StreamOptions) -> None:
    assert request.out is not None  # noqa: S101  the caller looked
    identity = _identity(request)
    ragged = request.kind != "dense"
    vocabulary = output.vocabulary if isinstance(output.vocabulary, Vocabulary) else None
    partial = Partial(Paths(request.out), identity, _journalled(request, output), ragged=ragged, vocabulary=vocabulary)
    done = partial.open(resume=request.resume, overwrite=request.overwrite)
    if done:
        _say(f"going on after {counted(done)} of an unfinished run")
    try:
        with _telling_what_is_left(partial), _progress(request, source, done) as progress:
            run(_job(request, source, partial, options, progress), embedder)
            _check_outcome(request, partial)
            if output.columns and _identity(request) != identity:
                raise InputError(f"{source.name} was changed while it was read; run again with --overwrite")
            publish(partial.paths, partial.finish(), output, source)
    finally:
        partial.close()
    _finished(request, partial.counts, done, progress.seconds)


def _journalled(request: Request, output: Output) -> dict[str, Any]:
    """Give what makes a difference to the vectors, or to which row is which."""
    return {
        **(output.note or {}),
        "text_field": request.text_field,
        "format": request.format,
        "limit": request.limit,
    }


def _job(
    request: Request,
    source: Source,
    sink: Sink,
    options: StreamOptions,
    progress: Progress,
) -> Job:
    fields = [column.source for column in sink.columns] if isinstance(sink, StdoutSink) else []
    return Job(
        source=source,
        sink=sink,
        options=options,
        fields=fields,
        skip_bad_rows=request.skip_bad_rows,
        limit=request.limit,
        on_progress=progress.update,
        as_input=_image if request.images else str,
    )


def _image(path: str) -> Image:
    import nearfield  # noqa: PLC0415  loads grpc

    return nearfield.Image(path)


def _check_outcome(request: Request, partial: Partial) -> None:
    """Refuse an output without a vector."""
    if not partial.counts.rows:
        partial.paths.drop_partial()
        raise InputError(f"{request.file or 'stdin'} holds no {request.unit}")
    if not partial.counts.vectors:
        partial.finish()
        partial.paths.spooled_errors.replace(partial.paths.errors)
        partial.paths.drop_partial()
        raise CliError(
            f"none of the {partial.counts.rows:,} rows could be embedded; {partial.paths.errors} says why", Exit.FAILED
        )


@contextmanager
def _progress(request: Request, source: Source, done: int) -> Iterator[Progress]:
    total = source.total_rows
    if total is not None and request.limit is not None:
        total = min(total, request.limit)
    progress = Progress(fraction=source.fraction, total=total, done_before=done, unit=request.unit)
    try:
        yield progress
    finally:
        progress.close()


@contextmanager
def _telling_what_is_left(partial: Partial) -> Iterator[None]:
    """Add to what ends a run early how to go on with it."""
    try:
        yield
    except KeyboardInterrupt:
        fail(f"interrupted after {counted(partial.counts.rows)}{_way_on(partial)}")
        raise typer.Exit(Exit.INTERRUPTED) from None
    except Exception as error:
        message, code = describe(error)
        nameless = isinstance(error, OSError) and error.filename is None  # such as a full disk
        lines = [f"{partial.paths.spool}: {message}" if nameless else message]
        if isinstance(error, BadRow):
            lines.append("--on-error skip goes on without such rows, and lists them")
        if partial.safe.rows and partial.paths.spool.exists():
            way_on = "; with a mended input, add --overwrite" if code is Exit.WRONG else _way_on(partial)
            lines.append(f"done so far: {counted(partial.safe.rows)}{way_on}")
        raise CliError("\n".join(lines), code) from error


def _way_on(partial: Partial) -> str:
    if not partial.resumable:
        return "; stdin can't be read again, so nothing is kept"
    if not partial.safe.rows:
        return ""
    return f"; run the same command again to go on after them ({partial.paths.spool} holds them)"


def _finished(request: Request, counts: Counts, done: int, seconds: float) -> None:
    """Print the summary; leave with the exit code for skipped rows if there are any."""
    facts = [f"{counts.tokens:,} tokens", f"{counts.truncated:,} truncated"]
    if counts.failed:
        where = f" ({Paths(request.out).errors})" if request.out else ""
        facts.append(f"{counts.failed:,} skipped{where}")
    if done:
        facts.append(f"{counted(done)} from before")
    rate = (counts.rows - done) / max(seconds, 1e-9)
    facts += [duration(seconds), f"{rate:,.0f} {request.unit}/s"]
    _say(f"{counted(counts.rows)}: {', '.join(facts)} -> {request.out or 'stdout'}")
    if counts.failed:
        raise typer.Exit(Exit.SKIPPED)


def _say(line: str) -> None:
    typer.echo(line, err=True)
