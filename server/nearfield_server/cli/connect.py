"""How client commands find a server: `--target`, or `--local` for one of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from nearfield_server.cli.failures import CliError, Exit

if TYPE_CHECKING:
    from nearfield import Client, Model

__all__ = [
    "DEFAULT_TARGET",
    "Connection",
    "JsonOption",
    "LocalOption",
    "ModelOption",
    "TargetOption",
    "connected",
    "local_models",
]

DEFAULT_TARGET = "localhost:50051"

TargetOption = Annotated[
    str,
    typer.Option("--target", envvar="NEARFIELD_TARGET", metavar="HOST:PORT", help="Server to use; also unix:PATH."),
]
LocalOption = Annotated[
    bool,
    typer.Option("--local", help="Start a server inside this process and use that; --target is ignored."),
]
ModelOption = Annotated[str, typer.Option("--model", metavar="NAME", help="Model; with --local also NAME=PATH.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class Connection:
    """A client, and the models that its server had when it was asked."""

    def __init__(self, client: Client, models: tuple[Model, ...]) -> None:
        """Keep both."""
        self.client = client
        self.models = models

    def model(self, name: str) -> Model | None:
        """Give the model of that name, alias or `name@version`; for an empty name the default one, `None` if none is.

        Raises:
            CliError: there is none of that name.
        """
        found = next((one for one in self.models if (name in _names(one) if name else one.is_default)), None)
        if name and found is None:
            known = ", ".join(one.name for one in self.models) or "none"
            raise CliError(f"no model {name!r} here; there are: {known}", Exit.FAILED)
        return found


def _names(model: Model) -> tuple[str, ...]:
    """Give all that a call may name it by."""
    versions = (version for version in (model.version, model.repository_version) if version)
    return model.name, *model.aliases, *(f"{model.name}@{version}" for version in versions)


def local_models(model: str, *, local: bool) -> tuple[str, dict[str, str]]:
    """Split `--model`: the name to ask for, and what `--local` is to serve.

    Raises:
        CliError: NAME=PATH without `--local`.
    """
    name, separator, path = model.partition("=")
    if not separator:
        return model, {}
    if not local:
        raise CliError(f"--model {model}: NAME=PATH goes with --local only; a server has its models already")
    return name, {name: path}


@contextmanager
def connected(target: str, *, local: bool, models: dict[str, str] | None = None) -> Iterator[Connection]:
    """Connect to `target`, or to a server that lives as long as the block.

    Raises:
        CliError: there is no server.
    """
    import nearfield  # noqa: PLC0415  loads grpc

    with ExitStack() as stack:
        if local:
            from nearfield_server.cli.local import local_server  # noqa: PLC0415  loads the server

            target = stack.enter_context(local_server(models or {}))
        try:
            client = stack.enter_context(nearfield.Client(target))
        except ValueError as error:
            raise CliError(f"--target {target}: {error}") from error
        try:
            served = tuple(client.models())
        except nearfield.Unavailable as error:
            if error.reason:  # the server itself said so: it loads, or drains
                raise
            raise CliError(
                f"no server at {target}; start one with `nearfield serve` or add --local", Exit.FAILED
            ) from error
        yield Connection(client, served)
