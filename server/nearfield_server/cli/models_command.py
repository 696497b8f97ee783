"""`nearfield models` and what is done to them: a group whose own name shows them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from nearfield_server.cli.connect import DEFAULT_TARGET, TargetOption, connected
from nearfield_server.cli.failures import CliError, Exit, reporting
from nearfield_server.cli.models import models as show

if TYPE_CHECKING:
    from nearfield import Client

__all__ = ["models_app"]

NameArgument = Annotated[str, typer.Argument(metavar="NAME[@VERSION]", help="A model of the server's repository.")]


class _ShowByDefault(TyperGroup):
    """`nearfield models [NAME]` is `nearfield models show [NAME]`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the command's name before arguments that don't begin with one."""
        if not args or (args[0] not in self.commands and args[0] not in {"--help", "-h"}):
            args = ["show", *args]
        return super().parse_args(ctx, args)


models_app = typer.Typer(
    name="models",
    cls=_ShowByDefault,
    help="Show the models that a server has, or load, unload and name them. `nearfield models [NAME]` shows.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
models_app.command("show")(show)


@models_app.command()
def load(
    name: NameArgument,
    keep_previous: Annotated[
        bool, typer.Option("--keep-previous", help="Keep the version that was there, to be called as NAME@VERSION.")
    ] = False,
    unload_first: Annotated[
        bool, typer.Option("--unload-first", help="Unload the old version first: less memory, and a gap.")
    ] = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Load a model, or a new version of it; calls go to it when it is ready. Without VERSION the latest."""
    with reporting(), _client(target) as client:
        model, _, version = name.partition("@")
        made = client.load_model(model, version, keep_previous=keep_previous, unload_first=unload_first)
        typer.echo(f"{made.name}@{made.repository_version} is {made.state} after {made.load_seconds:.2f} s")


@models_app.command()
def unload(name: NameArgument, target: TargetOption = DEFAULT_TARGET) -> None:
    """Unload a model, all its versions or one, and give its memory back."""
    with reporting(), _client(target) as client:
        model, _, version = name.partition("@")
        made = client.unload_model(model, version)
        typer.echo(f"{name} is {made.state}")


@models_app.command()
def alias(
    name: Annotated[str, typer.Argument(metavar="ALIAS", help="Such as default, or query@canary.")],
    model: Annotated[str, typer.Argument(metavar="NAME[@VERSION]", help="The model that it stands for.")] = "",
    delete: Annotated[bool, typer.Option("--delete", help="Delete the alias.")] = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Let a name stand for a model; `default` is what calls without a model name mean."""
    with reporting(), _client(target) as client:
        if bool(model) == delete:
            raise CliError("name the model that the alias stands for, or give --delete", Exit.WRONG)
        aliases = client.delete_alias(name) if delete else client.set_alias(name, model)
        for one, stands_for in aliases.items():
            typer.echo(f"{one} -> {stands_for}")


@contextmanager
def _client(target: str) -> Iterator[Client]:
    with connected(target, local=False) as connection:
        yield connection.client
