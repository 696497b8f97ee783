"""Files of `nearfield embed`: rows in, vectors out, and what an interrupted run leaves behind.

The journey of a row: `sources` opens the input, `text` or `parquet` reads it as `Row`s, `partial` keeps the vectors in a
spool beside a journal, `writers` turns the finished spool into the output.
"""

from __future__ import annotations

__all__: list[str] = []
