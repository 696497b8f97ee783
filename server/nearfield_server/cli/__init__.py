"""The command line: arguments to a server, or to a client's calls. `nearfield --help` is its table of contents."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line with `arguments` (the process's own by default); give the exit code."""
    try:
        import rich  # noqa: F401, PLC0415
        import typer  # noqa: F401, PLC0415
    except ModuleNotFoundError as error:
        print(  # noqa: T201
            f'error: the nearfield command needs {error.name}, which is not installed: pip install "nearfield[cpu]"'
            ' (or "nearfield[gpu]"). The client alone is `import nearfield`.',
            file=sys.stderr,
        )
        return 2
    try:
        from nearfield_server.cli.program import run  # noqa: PLC0415

        return run(sys.argv[1:] if arguments is None else list(arguments))
    except KeyboardInterrupt:  # before or after a command, which has its own words for it
        return 130
