"""`nearfield embed`: the arguments, and the order in which things are checked: everything cheap before the server."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nearfield_server.cli.connect import DEFAULT_TARGET, LocalOption, TargetOption
from nearfield_server.cli.failures import CliError, reporting

if TYPE_CHECKING:
    from nearfield import StreamOptions

__all__ = [
    "ChunkPooling",
    "DType",
    "Encoding",
    "EngineName",
    "EngineOption",
    "Format",
    "InputType",
    "OnError",
    "RayAddressOption",
    "Truncate",
    "embed",
]

Format = StrEnum("Format", ["txt", "jsonl", "csv", "tsv", "parquet"])
InputType = StrEnum("InputType", ["query", "document", "classification", "clustering"])
Truncate = StrEnum("Truncate", ["end", "start", "none"])
DType = StrEnum("DType", ["float32", "float16", "int8", "uint8", "binary", "ubinary"])
Encoding = StrEnum("Encoding", ["floats", "base64"])
OnError = StrEnum("OnError", ["fail", "skip"])
ChunkPooling = StrEnum("ChunkPooling", ["none", "mean"])
EngineName = StrEnum("EngineName", ["local", "ray"])

_INPUT, _VECTORS, _OUTPUT, _RUN = "Input", "Vectors", "Output", "Run"


EngineOption = Annotated[
    EngineName | None,
    typer.Option(
        "--engine", help=".parquet files to a folder of parts: on this machine, or by Ray.", rich_help_panel=_RUN
    ),
]
RayAddressOption = Annotated[
    str,
    typer.Option(
        "--ray-address",
        metavar="HOST:PORT",
        help="Ray cluster, auto for this machine's; unset, one is started.",
        rich_help_panel=_RUN,
    ),
]


def embed(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE]...",
            help="Texts: one .txt, .jsonl, .csv, .tsv (also .gz) or .parquet; - is stdin. With --images: files, folders.",
        ),
    ] = None,
    out: Annotated[
        str,
        typer.Option("--out", "-o", help="Vectors: .npy, .parquet or .jsonl; - is JSON lines to stdout."),
    ] = ...,  # type: ignore[assignment]  # typer's word for "required"
    model: Annotated[str, typer.Option(help="Model; with --local also NAME=PATH.", rich_help_panel=_VECTORS)] = "",
    input_type: Annotated[
        InputType | None,
        typer.Option(help="What the texts are for: chooses the model's prompt.", rich_help_panel=_VECTORS),
    ] = None,
    prompt_name: Annotated[
        str, typer.Option(help="One of the model's prompts by name.", rich_help_panel=_VECTORS)
    ] = "",
    truncate: Annotated[
        Truncate,
        typer.Option(help="Where texts over the model's length are cut; none refuses them.", rich_help_panel=_VECTORS),
    ] = Truncate("end"),
    dimensions: Annotated[
        int | None, typer.Option(min=1, help="Keep the first DIMENSIONS components.", rich_help_panel=_VECTORS)
    ] = None,
    normalize: Annotated[
        bool | None,
        typer.Option(
            "--normalize/--no-normalize", help="Unit length; unset, as the model does.", rich_help_panel=_VECTORS
        ),
    ] = None,
    output_dtype: Annotated[DType, typer.Option(help="Element type of the vectors.", rich_help_panel=_VECTORS)] = DType(
        "float32"
    ),
    special_tokens_as_text: Annotated[
        bool,
        typer.Option("--special-tokens-as-text", help="Take a typed [SEP] as plain text.", rich_help_panel=_VECTORS),
    ] = False,
    sparse: Annotated[
        bool, typer.Option("--sparse", help="A weight per vocabulary id, such as SPLADE's.", rich_help_panel=_VECTORS)
    ] = False,
    terms: Annotated[
        bool, typer.Option("--terms", help="With --sparse: the terms as text too.", rich_help_panel=_VECTORS)
    ] = False,
    multi: Annotated[
        bool, typer.Option("--multi", help="A vector per token, such as ColBERT's.", rich_help_panel=_VECTORS)
    ] = False,
    chunk: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="TOKENS",
            help="Divide texts into chunks of at most TOKENS instead of cutting them; 0: as the model takes.",
            rich_help_panel=_VECTORS,
        ),
    ] = None,
    overlap: Annotated[
        int,
        typer.Option(
            min=0, metavar="TOKENS", help="Begin a chunk with the last TOKENS again.", rich_help_panel=_VECTORS
        ),
    ] = 0,
    chunk_pooling: Annotated[
        ChunkPooling,
        typer.Option(help="A row per chunk (none), or the mean of a text's chunks.", rich_help_panel=_VECTORS),
    ] = ChunkPooling("none"),
    images: Annotated[
        bool,
        typer.Option(
            "--images", help="FILE are images (JPEG, PNG, WebP), and folders of them.", rich_help_panel=_INPUT
        ),
    ] = False,
    text_field: Annotated[
        str, typer.Option(help="Field or column that holds the text.", rich_help_panel=_INPUT)
    ] = "text",
    format_: Annotated[
        Format | None,
        typer.Option("--format", help="Format of the input, where the suffix doesn't say.", rich_help_panel=_INPUT),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Stop after LIMIT rows of the input.", rich_help_panel=_INPUT)
    ] = None,
    on_error: Annotated[
        OnError,
        typer.Option(
            help="A bad row ends the run, or is left out and listed in OUT.errors.jsonl.", rich_help_panel=_INPUT
        ),
    ] = OnError("fail"),
    id_field: Annotated[str, typer.Option(help="Carry this field over, as `id`.", rich_help_panel=_OUTPUT)] = "",
    keep: Annotated[
        list[str] | None,
        typer.Option(metavar="COL,...", help="Carry these fields over; * is all columns.", rich_help_panel=_OUTPUT),
    ] = None,
    encoding: Annotated[Encoding, typer.Option(help="How .jsonl holds vectors.", rich_help_panel=_OUTPUT)] = Encoding(
        "floats"
    ),
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Replace OUT, and an unfinished run of something else.", rich_help_panel=_OUTPUT
        ),
    ] = False,
    resume: Annotated[
        bool,
        typer.Option("--resume/--no-resume", help="Go on with an unfinished run, or drop it.", rich_help_panel=_RUN),
    ] = True,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Texts in one message to the server.", rich_help_panel=_RUN)
    ] = None,
    target: TargetOption = DEFAULT_TARGET,
    local: LocalOption = False,
    engine: EngineOption = None,
    ray_address: RayAddressOption = "",
) -> None:
    """Embed every text of FILE, or every image, into OUT, in constant memory; an interrupted run goes on where it was.

    OUT appears when it is whole. Until then OUT.partial holds what is done: run the same command again to go on
    (stdin can't be resumed). Progress and the summary go to stderr.
    """
    with reporting():
        from nearfield_server.cli.embed_request import Division, Request  # noqa: PLC0415  loads numpy
        from nearfield_server.cli.embedding import embed_file  # noqa: PLC0415  loads numpy

        options: StreamOptions = {
            "prompt_name": prompt_name,
            "input_type": input_type.value if input_type else None,  # type: ignore[typeddict-item]
            "truncate": truncate.value,  # type: ignore[typeddict-item]
            "dimensions": dimensions,
            "normalize": normalize,
            "output_dtype": output_dtype.value,  # type: ignore[typeddict-item]
            "special_tokens_as_text": special_tokens_as_text,
        }
        request = Request(
            files=tuple(Path(file) for file in files or ("-",)),
            out=None if out == "-" else Path(out),
            options=options,
            model=model,
            text_field=text_field,
            format=format_.value if format_ else None,
            limit=limit,
            skip_bad_rows=on_error.value == "skip",
            id_field=id_field,
            keep=tuple(name.strip() for names in keep or () for name in names.split(",") if name.strip()),
            encoding=encoding.value,
            images=images,
            sparse=sparse,
            terms=terms,
            multi=multi,
            division=None if chunk is None else Division(chunk, overlap, chunk_pooling.value),
            overlap=overlap,
            overwrite=overwrite,
            resume=resume,
            batch_size=batch_size,
            target=target,
            local=local,
        )
        if engine is None:
            embed_file(request)
            return
        if ray_address and engine.value != "ray":
            raise CliError("--ray-address goes with --engine ray")
        from nearfield_server.cli.embed_engine import embed_by_engine  # noqa: PLC0415  loads pyarrow
        from nearfield_server.cli.engines import Engine  # noqa: PLC0415

        embed_by_engine(request, Engine(name=engine.value, ray_address=ray_address))
