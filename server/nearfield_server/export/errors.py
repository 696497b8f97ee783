"""Errors of the exporter.

    ExportError            anything that stops an export
    ├── SourceError        the source folder is not what it should be (missing file, wrong digest, missing tensor)
    └── ParityError        the exported graph strays further from its reference than the recipe allows

They stand apart from `nearfield_server.errors`: an export never runs inside a server.
"""

__all__ = ["ExportError", "ParityError", "SourceError"]


class ExportError(Exception):
    """An export cannot go on; the message is meant for the person who started it."""


class SourceError(ExportError):
    """The source folder lacks something, or holds something else than the recipe expects."""


class ParityError(ExportError):
    """The exported graph does not reproduce its reference closely enough; `report` holds the figures, if any."""

    def __init__(self, message: str, report: object = None) -> None:
        """Keeps the message and the figures."""
        super().__init__(message)
        self.report = report
