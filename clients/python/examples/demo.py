"""Start a server with the built-in encoder, embed real sentences through it, and show which of them are alike.

Each row has a sentence, a paraphrase of it, and a sentence on another matter that shares words with it. The paraphrase
must be nearer. Run by `make demo`; exits 1 if the model sees it otherwise.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nearfield

SENTENCES = Path(__file__).parents[3] / "tests" / "golden" / "paraphrases.jsonl"
SHOWN = 10


def main() -> int:
    """Run the demo; give the exit code."""
    rows = [json.loads(line) for line in SENTENCES.read_text("utf-8").splitlines()]
    with tempfile.TemporaryDirectory() as folder:
        target = f"unix:{folder}/nearfield.sock"
        command = [Path(sys.executable).with_name("nearfield"), "serve", "--listen", target, "--http", ""]
        started = time.perf_counter()
        server = subprocess.Popen([*command, "--data-dir", f"{folder}/data", "--log-level", "warning"])  # noqa: S603
        try:
            with nearfield.Client(target) as client:
                client.wait_ready(timeout=60)
                print(f"server ready after {time.perf_counter() - started:.1f} s, model {client.model().name}\n")
                return show(client, rows)
        finally:
            server.terminate()
            server.wait(timeout=60)


def show(client: nearfield.Client, rows: list[dict[str, str]]) -> int:
    """Embed all sentences, print a table, and give 0 if every paraphrase wins."""
    texts = [row[key] for row in rows for key in ("a", "b", "c")]
    started = time.perf_counter()
    vectors = client.embed(texts).reshape(len(rows), 3, -1)
    seconds = time.perf_counter() - started
    near = (vectors[:, 0] * vectors[:, 1]).sum(axis=1)
    far = (vectors[:, 0] * vectors[:, 2]).sum(axis=1)
    print(f"{'paraphrase':>10} {'other':>6}   sentence / paraphrase / other")
    for row, a, b in list(zip(rows, near, far, strict=True))[:SHOWN]:
        print(f"{a:>10.2f} {b:>6.2f}   {row['a']}\n{'':>20}{row['b']}\n{'':>20}{row['c']}")
    wins = int((near > far).sum())
    print(f"\n{wins} of {len(rows)} paraphrases win (mean {near.mean():.2f} against {far.mean():.2f})")
    print(f"{len(texts)} sentences to {vectors.shape[-1]}-dimensional vectors in {seconds:.2f} s")
    return 0 if wins == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
