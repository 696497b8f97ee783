"""Deduplicate against EmbedStream of the same texts, through one server, one after the other in the same run.

    python benchmarks/dedup_stream.py [--items 100000] [--lexical-check] [--json OUT]

Texts are of the words of the built-in unrelated sentences, 8 to 16 each; every tenth repeats an earlier one with a word
changed. The ratio is items a second of one Deduplicate call to those of one EmbedStream call; 1: as fast as embedding.
Each tenth of the stream is timed on its own, so that what grows with the items shows. Figures depend on what else the
machine does: quote them from an idle one.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import nearfield
from nearfield_server.cli.local import local_server
from nearfield_server.core.dedup.levels import unrelated_texts

PARTS = 10
REPEATED = 0.1


def texts(count: int) -> list[str]:
    """Give texts, the same each time."""
    draw = random.Random(0)  # noqa: S311 - nothing secret
    words = sorted({word.strip(".,?") for text in unrelated_texts() if text.isascii() for word in text.lower().split()})
    made: list[str] = []
    for _ in range(count):
        if made and draw.random() < REPEATED:
            repeated = draw.choice(made).split()
            repeated[draw.randrange(len(repeated))] = draw.choice(words)
            made.append(" ".join(repeated))
        else:
            made.append(" ".join(draw.choices(words, k=draw.randint(8, 16))))
    return made


def timed(results: Iterable[object], count: int) -> Iterator[float]:
    """Give the seconds of each tenth."""
    start, size = time.perf_counter(), max(1, count // PARTS)
    for done, _ in enumerate(results, 1):
        if done % size == 0:
            yield (now := time.perf_counter()) - start
            start = now


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--lexical-check", action="store_true")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    items = texts(given.items)
    with local_server({}) as target, nearfield.Client(target) as client:
        client.embed(items[:64])
        list(client.deduplicate(items[:64]))
        embedded = list(timed(client.embed_stream(items, input_type="clustering", normalize=True), len(items)))
        kinds: Counter[str | None] = Counter()
        verdicts = client.deduplicate(items, lexical_check=given.lexical_check)
        compared = list(timed((kinds.update([one.kind]) for one in verdicts), len(items)))
    ratio = sum(embedded) / sum(compared)
    figures = {"items": len(items), "embed_seconds": embedded, "dedup_seconds": compared, "ratio": ratio}
    for name, seconds in (("embed", embedded), ("dedup", compared)):
        print(
            f"{name}: {len(items) / sum(seconds):,.0f} items/s; tenths: {' '.join(f'{one:.2f}' for one in seconds)} s"
        )
    print(f"ratio {ratio:.3f}; {dict(kinds)}")
    if given.json:
        given.json.write_text(json.dumps(figures | {"kinds": dict(kinds)}, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
