"""What embeds in the workers of a job over shards: a server, or an encoder of their own. Opened there, hence pickled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nearfield_server.cli.failures import server_said
from nearfield_server.cli.files.job import is_fault_of_a_row
from nearfield_server.executors.base import JobFailure
from nearfield_server.executors.encoding import Fault, Vector

if TYPE_CHECKING:
    import nearfield

__all__ = ["Server", "ServerEmbedder"]

_IN_FLIGHT = 512
"""Texts that a worker has sent and not yet got back."""


@dataclass(frozen=True, slots=True)
class Server:
    """Opens a client of the server at `target`, which every machine must reach by that name."""

    target: str
    options: dict[str, Any]

    def __call__(self) -> ServerEmbedder:
        """Connect."""
        import nearfield  # noqa: PLC0415  loads grpc

        return ServerEmbedder(nearfield.Client(self.target), self.options)


class ServerEmbedder:
    """Implements `Embedder` with a server."""

    def __init__(self, client: nearfield.Client, options: dict[str, Any]) -> None:
        """Use a client, which is closed at the end."""
        self._client = client
        self._options = {"window": _IN_FLIGHT, **options, "ordered": True}

    def embed(self, texts: Sequence[str]) -> Iterator[Vector | Fault]:
        """Send the texts in a stream, a bounded number of them at a time."""
        import nearfield  # noqa: PLC0415  loads grpc

        try:
            for result in self._client.embed_stream(texts, **self._options):
                if result.error is None:
                    assert result.embedding is not None  # noqa: S101  no error
                    yield result.embedding
                elif is_fault_of_a_row(result.error):
                    yield Fault(result.error.code.name, result.error.message)
                else:
                    raise result.error
        except nearfield.NearfieldError as error:
            # Errors of that tree can't be pickled, and so wouldn't come back from a worker.
            raise JobFailure(server_said(error)) from None

    def close(self) -> None:
        """Close the connection."""
        self._client.close()
