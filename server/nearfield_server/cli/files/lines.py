"""Lines of bytes from a file, a gzipped file or stdin, each with its number and a bound on its length."""

from __future__ import annotations

import gzip
import io
import os
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from nearfield_server.cli.files.rows import InputError

__all__ = ["MAX_LINE_BYTES", "Lines", "decoded"]

MAX_LINE_BYTES = 16 * 1024 * 1024
"""A longer line is refused: it would be held in memory, and no server takes such a text."""

_UTF8_BOM = b"\xef\xbb\xbf"


class Lines:
    """The lines of `path`, or of stdin for `None`; without their ends, unless these may belong to a text."""

    def __init__(self, path: Path | None, *, keep_ends: bool = False) -> None:
        """Name the input; it is opened when it is iterated over."""
        self._keep_ends = keep_ends
        self.name = "stdin" if path is None else str(path)
        self._path = path
        self._raw: IO[bytes] | None = None

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Yield line numbers from 1, and the lines.

        Raises:
            InputError: the file can't be read, isn't gzip though it is named so, or has an endless line.
        """
        number = 0
        try:
            with self._open() as stream:
                while line := stream.readline(MAX_LINE_BYTES + 1):
                    number += 1
                    if len(line) > MAX_LINE_BYTES:
                        msg = f"{self.name}: line {number} is longer than {MAX_LINE_BYTES:,} bytes"
                        raise InputError(msg)
                    if number == 1:
                        line = line.removeprefix(_UTF8_BOM)
                    yield number, line if self._keep_ends else line.removesuffix(b"\n").removesuffix(b"\r")
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            msg = f"{self.name}: damaged or cut gzip data after line {number} ({error})"
            raise InputError(msg) from error
        except IsADirectoryError as error:
            raise InputError(f"{self.name} is a folder, not a file") from error
        except OSError as error:
            msg = f"{self.name}: {error.strerror or error}"
            raise InputError(msg) from error

    def fraction(self) -> float | None:
        """Bytes read by bytes there are; of the compressed ones for gzip."""
        if self._raw is None:
            return None
        try:
            size = os.fstat(self._raw.fileno()).st_size
            return min(1.0, self._raw.tell() / size) if size else None
        except (OSError, ValueError):  # closed by the thread that reads it, or a pipe
            return None

    def _open(self) -> IO[bytes]:
        if self._path is None:
            if sys.stdin is None:
                raise InputError("stdin is closed; name a file")
            return io.BufferedReader(io.FileIO(sys.stdin.fileno(), closefd=False), 1 << 20)
        self._raw = self._path.open("rb")
        if self._path.suffix == ".gz":
            return cast("IO[bytes]", _ClosingGzip(self._raw))
        return self._raw


class _ClosingGzip(gzip.GzipFile):
    """A GzipFile that closes the file under it, so that `fraction` can ask that file."""

    def __init__(self, raw: IO[bytes]) -> None:
        super().__init__(fileobj=raw, mode="rb")
        self._under = raw

    def close(self) -> None:
        """Close both."""
        super().close()
        self._under.close()


def decoded(number: int, line: bytes) -> tuple[str | None, str]:
    """Give the text of a line, or `None` and what is wrong with it."""
    try:
        return line.decode("utf-8"), ""
    except UnicodeDecodeError as error:
        hint = "; it looks like UTF-16" if line[:2] in {b"\xff\xfe", b"\xfe\xff"} else ""
        return None, f"line {number} is not UTF-8 (byte 0x{line[error.start]:02x} at position {error.start}{hint})"
