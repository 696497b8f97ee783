"""`nearfield models`: what is served, and within which bounds."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from nearfield_server.cli.connect import DEFAULT_TARGET, LocalOption, TargetOption, connected
from nearfield_server.cli.failures import reporting

if TYPE_CHECKING:
    from nearfield import Model

__all__ = ["models"]


def models(
    name: Annotated[str, typer.Argument(help="One model, in full; without it, all in a table.")] = "",
    target: TargetOption = DEFAULT_TARGET,
    local: LocalOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: a list, or with NAME one object.")] = False,
) -> None:
    """Show the models that a server has, or one of them with its limits and prompts."""
    with reporting(), connected(target, local=local) as connection:
        served = connection.models
        chosen = connection.model(name) if name else None
        if as_json:
            content = dataclasses.asdict(chosen) if chosen else [dataclasses.asdict(one) for one in served]
            json.dump(content, sys.stdout, indent=2, ensure_ascii=False, default=dict)
            sys.stdout.write("\n")
        elif chosen is not None:
            _show(chosen)
        else:
            _table(served)


def _table(served: tuple[Model, ...]) -> None:
    from rich.table import Table  # noqa: PLC0415  quick start

    from nearfield_server.cli.tables import print_table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading, justify in (
        ("NAME", "left"), ("STATE", "left"), ("DIMS", "right"), ("MAX TOKENS", "right"), ("PRECISION", "left"),
        ("PROVIDER", "left"), ("WORKERS", "right"), ("VERSION", "left"), ("ALIASES", "left"),
    ):  # fmt: skip
        table.add_column(heading, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    for one in served:
        provider = one.execution_provider.removesuffix("ExecutionProvider")
        numbers = (str(value) if value else "-" for value in (one.dimensions, one.max_tokens))
        name = f"{one.name}@{one.repository_version}" if one.repository_version else one.name
        table.add_row(
            f"{name} (default)" if one.is_default else name,
            one.state,
            *numbers,
            one.precision or "-",
            provider or "-",
            str(one.workers),
            one.version or "-",
            ", ".join(one.aliases) or "-",
        )
    if not served:
        typer.echo("no models")
        return
    print_table(table)
    for one in served:
        if one.state_message:
            typer.echo(f"{one.name}: {one.state_message}")


def _show(model: Model) -> None:
    width = max(len(label) for label, _ in _details(model))
    for label, value in _details(model):
        typer.echo(f"{label:<{width}}  {value}")


def _details(model: Model) -> Iterator[tuple[str, str]]:
    yield "name", model.name + (" (default)" if model.is_default else "")
    yield "state", model.state + (f": {model.state_message}" if model.state_message else "")
    yield "version", model.version + (f" ({model.repository_version})" if model.repository_version else "")
    yield "gives", ", ".join(model.outputs) + (", also of images" if model.accepts_images else "")
    if model.labels:
        shown = ", ".join(model.labels[:10])
        yield "labels", shown + (f" and {len(model.labels) - 10} more" if len(model.labels) > 10 else "")  # noqa: PLR2004
    yield "aliases", ", ".join(model.aliases) or "none"
    yield "sha256", model.sha256
    yield "source", model.source or "unknown"
    yield "license", model.license or "unknown"
    yield "dimensions", f"{model.dimensions}"
    yield "max tokens", f"{model.max_tokens}"
    yield "vocabulary", f"{model.vocab_size:,} ids"
    yield "pooling", model.pooling
    yield "normalize", _yes(model.normalize)
    yield "raw vectors", _yes(model.raw_vectors_available) + " (--no-normalize)"
    yield "similarity", model.similarity or "unknown"
    yield "int8 range", f"{model.quantization_range:g}"
    yield "precision", model.precision
    yield "provider", model.execution_provider + (f" on {model.device}" if model.device else "")
    if model.choice:
        yield "chosen", model.choice
    yield "workers", f"{model.workers}"
    yield "batch budget", f"{model.batch_token_budget:,} padded tokens"
    yield "loaded in", f"{model.load_seconds:.2f} s"
    limits = model.limits
    yield "limits", f"{limits.max_inputs:,} inputs a call"
    for bound in (
        f"{limits.max_text_bytes:,} bytes a text",
        f"{limits.max_request_bytes:,} bytes a request",
        f"{limits.max_response_bytes:,} bytes a reply",
        f"{limits.max_request_tokens:,} tokens a call",
        f"{limits.stream_window_inputs:,} unanswered inputs a stream",
    ):
        yield "", bound
    heading = "prompts"
    for name, prompt in model.prompts.items():
        default = " (default)" if name == model.default_prompt_name else ""
        yield heading, f"{name}{default}: {prompt!r}"
        heading = ""
    if not model.prompts:
        yield heading, "none"


def _yes(value: bool) -> str:
    return "yes" if value else "no"
