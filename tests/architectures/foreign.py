"""Others' libraries: they warn of what isn't ours to change, and write progress bars."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["unwarned"]

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@contextmanager
def unwarned() -> Iterator[None]:
    """Let torch, transformers and optimum warn without failing the test."""
    for name in ("optimum", "transformers", "sentence_transformers"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
