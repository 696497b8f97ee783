"""`nearfield embed --engine`: Parquet files to a folder of parts, by this machine's processes or a Ray cluster."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import typer

from nearfield_server.cli.connect import connected, local_models
from nearfield_server.cli.embed_request import Request
from nearfield_server.cli.embedders import Server
from nearfield_server.cli.engines import EmbedRequest, Engine, run_embed
from nearfield_server.cli.failures import CliError, Exit
from nearfield_server.cli.progress import Progress, counted, duration
from nearfield_server.config.settings import BUILTIN_NAME
from nearfield_server.encoder.builtin import builtin_folder
from nearfield_server.encoder.folder import open_folder
from nearfield_server.executors.embedding import Done
from nearfield_server.executors.encoding import EncoderHere
from nearfield_server.types import DType, EmbedOptions, InputType, Truncate

__all__ = ["embed_by_engine"]

_OWN = ("row", "embedding")


def embed_by_engine(request: Request, engine: Engine) -> None:
    """Embed all shards.

    Raises:
        CliError: a wrong argument, a bad input, no server or no cluster.
        nearfield.NearfieldError: the server refused.
    """
    _check(request)
    out = request.out
    assert out is not None  # noqa: S101  checked
    opener, about = _encoder_here(request) if request.local else _server(request)
    started = time.monotonic()
    progress = Progress(fraction=lambda: None)
    try:
        done = run_embed(
            EmbedRequest(
                files=request.files,
                out=out,
                engine=engine,
                overwrite=request.overwrite or not request.resume,
                id_column=request.id_field,
                open_embedder=opener,
                about=about,
                text_column=request.text_field,
                keep=_kept(request),
                skip_bad_rows=request.skip_bad_rows,
                told=lambda done: progress.update(done.vectors + done.failed),
            )
        )
    finally:
        progress.close()
    _finished(out, done, time.monotonic() - started)


def _check(request: Request) -> None:
    if request.out is None or request.out.suffix or request.out.is_file():
        raise CliError(f"--engine writes a folder of parts: give --out the name of a folder, not {request.out or '-'}")
    if request.is_stdin or any(not file.is_dir() and file.suffix != ".parquet" for file in request.files):
        raise CliError("--engine reads .parquet files, and folders of them")
    other = {
        "--images": request.images,
        "--sparse": request.sparse,
        "--multi": request.multi,
        "--terms": request.terms,
        "--chunk": request.division is not None,
        "--overlap": request.overlap,
        "--limit": request.limit is not None,
        "--format": request.format not in {None, "parquet"},
        "--encoding": request.encoding != "floats",
    }
    if given := [name for name, there in other.items() if there]:
        raise CliError(f"{given[0]} doesn't go with --engine, which makes a dense vector of each text")


def _kept(request: Request) -> tuple[str, ...]:
    """Give the columns to carry over; `*` is all of the first file."""
    kept = [*request.keep]
    if "*" in kept:
        file = request.files[0]
        first = next(iter(sorted(file.glob("*.parquet"))), file) if file.is_dir() else file
        kept = [name for name in pq.read_schema(first).names if name not in _OWN]
    own = (*_OWN, "id") if request.id_field else _OWN
    if doubled := [name for name in kept if name in own]:
        raise CliError(f"the output would have two columns {doubled[0]!r}; name the ones to --keep, without that one")
    return tuple(dict.fromkeys(kept))


def _server(request: Request) -> tuple[Server, dict[str, Any]]:
    """Ask the server what it will be, so that parts of another model aren't taken for its own."""
    name, _ = local_models(request.model, local=False)
    with connected(request.target, local=False) as connection:
        model = connection.model(name)
        about = {"model": model.name if model else name, "model_version": model.version if model else ""}
    return Server(request.target, dict(request.stream_options(name))), {**about, **request.facts()}


def _encoder_here(request: Request) -> tuple[EncoderHere, dict[str, Any]]:
    name, served = local_models(request.model, local=True)
    place = served.get(name, "builtin")
    if not served and name not in {"", BUILTIN_NAME, "builtin"}:
        raise CliError(f"--model {name}: with --engine and --local it is NAME=PATH, a folder that every machine has")
    folder = builtin_folder() if place == "builtin" else Path(place).absolute()
    chosen = name or BUILTIN_NAME
    options: dict[str, Any] = dict(request.options)
    input_type = options["input_type"]
    embed_options = EmbedOptions(
        input_type=InputType(input_type) if input_type else None,
        prompt_name=options["prompt_name"],
        truncate=Truncate(options["truncate"]),
        dimensions=options["dimensions"],
        normalize=options["normalize"],
        dtype=DType(options["output_dtype"]),
        special_tokens_as_text=options["special_tokens_as_text"],
    )
    version = open_folder(folder, device="cpu").verify()
    return EncoderHere(chosen, folder, embed_options), {"model": chosen, "files": version, **request.facts()}


def _finished(out: Path, done: Done, seconds: float) -> None:
    rows = done.vectors + done.failed
    facts = [f"{done.failed:,} skipped ({out}/part-*.errors.jsonl)"] if done.failed else []
    if done.before:
        facts.append(f"{counted(done.before)} from before")
    facts += [duration(seconds), f"{rows / max(seconds, 1e-9):,.0f} texts/s"]
    typer.echo(f"{counted(rows + done.before)}: {', '.join(facts)} -> {out}", err=True)
    if done.failed:
        raise typer.Exit(Exit.SKIPPED)
