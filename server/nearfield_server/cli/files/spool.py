"""The spool: vectors appended to a file that is a .npy file from its first byte on.

A header of fixed size stands before the rows and is written again at the end with the number of rows, so a finished
spool *is* the .npy output, and nothing is held in memory but one write buffer.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["HEADER_BYTES", "Spool", "npy_header", "read_rows"]

HEADER_BYTES = 128
_BUFFER_BYTES = 1 << 20
_MAGIC = b"\x93NUMPY\x01\x00"


class Spool:
    """Rows of one dtype and one width, at the end of `path`."""

    def __init__(self, path: Path) -> None:
        """Open or create `path` and lock it; nothing is changed before `begin`.

        Raises:
            BlockingIOError: another process holds the lock.
        """
        self.rows = 0
        self.dtype = ""
        self.width = 0
        self._file = path.open("r+b" if path.exists() else "w+b", buffering=_BUFFER_BYTES)
        try:
            fcntl.flock(self._file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise

    def begin(self, *, rows: int = 0, dtype: str = "", width: int = 0) -> bool:
        """Go on after `rows` rows of `width` elements of `dtype`; what lies behind them is cut off.

        Gives false, and changes nothing, if there are fewer rows than that.
        """
        end = _end(rows, dtype, width)
        if rows and os.fstat(self._file.fileno()).st_size < end:
            return False
        self.rows, self.dtype, self.width = rows, dtype, width
        self._file.truncate(end)
        self._file.seek(end)
        return True

    def __repr__(self) -> str:
        """Show what it holds."""
        return f"Spool(rows={self.rows}, dtype={self.dtype!r}, width={self.width})"

    def append(self, vectors: npt.NDArray[Any]) -> None:
        """Write one row, [width], or several, [rows, width], behind the others.

        Raises:
            ValueError: they are not as wide, or not of the type, of the rows before them.
        """
        stored = vectors.astype(vectors.dtype.newbyteorder("<"), copy=False)
        width = stored.shape[-1]
        if not self.dtype:
            self.dtype, self.width = stored.dtype.str, width
        elif stored.dtype.str != self.dtype or width != self.width:
            shape = f"{width} of {stored.dtype.str} after {self.width} of {self.dtype}"
            raise ValueError(f"vectors changed: {shape}")
        self._file.write(stored.tobytes())
        self.rows += len(stored) if stored.ndim > 1 else 1

    def flush(self) -> None:
        """Return when all rows are on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def finish(self) -> None:
        """Write the header; the file is a whole .npy file from now on. May be called again."""
        self._file.flush()
        self._file.truncate(_end(self.rows, self.dtype, self.width))
        self._file.seek(0)
        self._file.write(npy_header(self.dtype or "<f4", self.rows, self.width))
        self.flush()
        self._file.seek(0, os.SEEK_END)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _end(rows: int, dtype: str, width: int) -> int:
    return HEADER_BYTES + (rows * width * np.dtype(dtype).itemsize if dtype else 0)


def npy_header(dtype: str, rows: int, width: int | None) -> bytes:
    """Give the 128 bytes before the rows of a .npy file of shape [rows, width], or [rows] for `None`."""
    shape = f"({rows}, {width})" if width is not None else f"({rows},)"
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"
    room = HEADER_BYTES - len(_MAGIC) - 2
    return _MAGIC + room.to_bytes(2, "little") + text.ljust(room - 1).encode("ascii") + b"\n"


def read_rows(path: Path, *, rows: int, dtype: str, width: int, chunk_rows: int) -> Iterator[npt.NDArray[Any]]:
    """Yield the rows of a spool in arrays of up to `chunk_rows` rows."""
    with path.open("rb") as file:
        file.seek(HEADER_BYTES)
        for start in range(0, rows, chunk_rows):
            count = min(chunk_rows, rows - start)
            chunk = np.fromfile(file, dtype=dtype, count=count * width)
            yield chunk.reshape(count, width)
