"""What can go wrong in a command, the exit code of each, and the one line that tells it.

    0    done
    1    the server refused, or reading or writing failed
    2    wrong arguments, settings or input
    3    done, but some rows were skipped (`--on-error skip`)
    130  interrupted by Ctrl-C
    141  the reader of stdout went away

No traceback is ever shown unless `--debug` is given.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from nearfield import NearfieldError as ClientError

__all__ = ["CliError", "Exit", "Settings", "describe", "fail", "reporting", "server_said", "settings"]


class Exit(IntEnum):
    """Exit codes, as in the module's docstring."""

    DONE = 0
    FAILED = 1
    WRONG = 2
    SKIPPED = 3
    INTERRUPTED = 130
    PIPE = 141


class CliError(Exception):
    """A failure with a message for the user, which says what to do."""

    def __init__(self, message: str, exit_code: Exit = Exit.WRONG) -> None:
        """Keep the message and the exit code that goes with it."""
        super().__init__(message)
        self.exit_code = exit_code


class Settings:
    """What holds for the whole process: whether tracebacks are wanted."""

    debug: bool = False


settings = Settings()


def fail(message: str) -> None:
    """Print one red line (and what follows it) on stderr."""
    from rich.console import Console  # noqa: PLC0415  quick start
    from rich.text import Text  # noqa: PLC0415

    first, _, rest = message.partition("\n")
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    console.print(Text.assemble(("error: ", "bold red"), (first, "red")))
    if rest:
        console.print(Text(rest))


@contextmanager
def reporting() -> Iterator[None]:
    """Turn every exception of a command into a message and an exit code."""
    try:
        yield
    except (typer.Exit, typer.Abort, SystemExit):
        raise
    except KeyboardInterrupt:
        fail("interrupted")
        raise typer.Exit(Exit.INTERRUPTED) from None
    except BrokenPipeError:
        # Python flushes stdout at exit and would complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(Exit.PIPE) from None
    except Exception as error:
        message, code = describe(error)
        fail(message)
        if settings.debug:
            raise
        raise typer.Exit(code) from None


def describe(error: Exception) -> tuple[str, Exit]:
    """Give the message for the user and the exit code.

    The two error trees are looked up among the modules that are loaded: an error whose module isn't can't be of them.
    """
    if isinstance(error, CliError):
        return str(error), error.exit_code
    client = sys.modules.get("nearfield")
    if client is not None and isinstance(error, client.NearfieldError):
        return server_said(error), Exit.FAILED
    server = sys.modules.get("nearfield_server.errors")
    if server is not None and isinstance(error, server.NearfieldError):
        return error.message, Exit.WRONG if isinstance(
            error, (server.ConfigError, server.ModelLoadFailure)
        ) else Exit.FAILED
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}", Exit.FAILED
    return f"internal error: {type(error).__name__}: {error} (--debug shows the traceback)", Exit.FAILED


def server_said(error: ClientError) -> str:
    """Write an error of the server: its code and message, each wrong field, and when to try again."""
    lines = [f"{error.code.name}: {error}"]
    # A single violation is the message already.
    if len(error.field_violations) > 1 or not all(text in error.message for _, text in error.field_violations):
        lines += [f"  {field}: {text}" for field, text in error.field_violations]
    if error.retry_delay is not None:
        lines.append(f"  the server asks to try again in {error.retry_delay:.1f} s")
    return "\n".join(lines)
