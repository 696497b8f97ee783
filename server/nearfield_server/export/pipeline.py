"""`nearfield export` from start to end: read the source, write and verify each precision, only then show the folder.

The steps, each told to `progress`:

1. the float32 graph: the source's own ONNX file, or the weights through optimum
2. the reference: sentence-transformers or transformers on each verification sentence alone; for an ONNX source its own
   float32 graph
3. each precision: written, compared, timed; one that is below the limit stops the export
4. manifest, then one rename: nothing that is half written ever has the name of the target
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nearfield_server.export import facts, manifest
from nearfield_server.export.errors import ExportError, ParityError, SourceError
from nearfield_server.export.files import copy_side_files, load_graph
from nearfield_server.export.graphs import Writer, direct_weights, prepare
from nearfield_server.export.heads import POOLINGS, Head
from nearfield_server.export.hub import resolve
from nearfield_server.export.report import Report
from nearfield_server.export.samples import (
    Encoded,
    ScoredPair,
    Text,
    calibration_texts,
    encode,
    pairs,
    read_pairs,
    verification_texts,
)
from nearfield_server.export.source import Source, open_source
from nearfield_server.export.summary import manifest_of
from nearfield_server.export.tasks import (
    FILE_NAMES,
    LEAST_COSINE,
    OPSET,
    PRECISIONS,
    USUAL_PRECISIONS,
    Task,
    output_name,
    vision_file,
)
from nearfield_server.export.towers import IMAGE_OUTPUT, TEXT_OUTPUT
from nearfield_server.export.verifying import Verifier, verify_images

__all__ = ["Options", "export_model"]

Progress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the command line says. `task` and `pooling` None: as the folder's files say."""

    model: str
    target: Path
    precisions: tuple[str, ...] = USUAL_PRECISIONS
    opset: int = OPSET
    task: str | None = None
    pooling: str | None = None
    eval_file: Path | None = None
    min_cosine: float = LEAST_COSINE
    force: bool = False


def export_model(options: Options, progress: Progress) -> Report:
    """Writes the model folder, all of it or nothing, and returns what was measured.

    Raises:
        SourceError: the source is refused, or doesn't hold what it should.
        ParityError: a precision is below `min_cosine`; its `report` holds the figures.
        ExportError: anything else that stops the export.
    """
    _check(options)
    judged = read_pairs(options.eval_file) if options.eval_file else []
    path, hub_id = resolve(options.model)
    source = replace(open_source(path, options.task), hub_id=hub_id)
    if source.onnx_file is None:
        from nearfield_server.export import torch_route  # noqa: PLC0415 - an ONNX folder needs no torch

        torch_route.require()
    report = Report(task=source.task, judged=bool(judged))

    def fill(folder: Path) -> None:
        # Within the folder, so that a killed export's scratch goes when the next one clears its leftovers.
        with tempfile.TemporaryDirectory(dir=folder, prefix=".work-") as work:
            _Run(source, options, Path(work), progress).fill(folder, report, judged)

    manifest.write_folder(options.target, fill)
    return report


def _check(options: Options) -> None:
    for name in options.precisions:
        if name not in PRECISIONS:
            raise ExportError(f"--precision {name} isn't known; known are {', '.join(PRECISIONS)}")
    if not options.precisions:
        raise ExportError(f"--precision names none; known are {', '.join(PRECISIONS)}")
    if options.task is not None and options.task not in [one.value for one in Task]:
        raise ExportError(f"--task {options.task} isn't known; known are {', '.join(one.value for one in Task)}")
    if options.pooling is not None and options.pooling not in POOLINGS:
        raise ExportError(f"--pooling {options.pooling} isn't known; known are {', '.join(POOLINGS)}")
    if options.target.exists() and not options.force:
        raise ExportError(f"--out {options.target} exists already: choose another folder, or replace it with --force")


class _Run:
    """One export on its way; the graphs that aren't kept lie in `work`."""

    def __init__(self, source: Source, options: Options, work: Path, progress: Progress) -> None:
        self._source = source
        self._options = options
        self._work = work
        self._progress = progress
        self._limit = facts.max_tokens(source)

    def fill(self, folder: Path, report: Report, judged: Sequence[ScoredPair]) -> None:
        copy_side_files(self._source, folder)
        raw = self._raw_graph()
        tokenizer = self._tokenizer(folder)
        base, head, pooling = self._base(raw)
        calibration = self._encode(tokenizer, calibration_texts())
        texts: list[Text] = list(verification_texts())
        if self._source.task is Task.RERANK:
            texts = list(pairs(verification_texts()))
        verifier = Verifier(
            task=self._source.task,
            texts=self._encode(tokenizer, texts),
            judged=judged,
            encode=lambda some: self._encode(tokenizer, some),
        )
        self._progress("computing the reference")
        verifier.reference = self._reference(texts, verifier, base, head, pooling)
        direct = direct_weights(self._source, head) if head is not None else None
        writer = Writer(
            base=base, head=head, source=self._source, calibration=calibration, work=self._work, direct=direct
        )
        for precision in self._options.precisions:
            self._progress(f"{precision}: writing")
            written = writer.write(precision, folder / FILE_NAMES[precision], verifier.texts)
            self._progress(f"{precision}: verifying")
            report.add(precision, verifier.verify(folder / FILE_NAMES[precision], written))
        self._progress("timing")
        verifier.time(folder, report)
        if self._source.two_towers:
            self._images(raw, folder, report)
        self._judge(report)
        self._progress("writing the manifest")
        content = manifest_of(self._source, folder, report, pooling, self._limit)
        manifest.write_manifest(folder, content)

    def _raw_graph(self) -> Path:
        if self._source.onnx_file is not None:
            return self._source.onnx_file
        from nearfield_server.export import torch_route  # noqa: PLC0415

        self._progress("exporting with optimum")
        folder = self._work / "raw"
        folder.mkdir()
        return torch_route.write_graph(self._source, folder, self._options.opset)

    def _tokenizer(self, folder: Path) -> Path:
        file = folder / "tokenizer.json"
        if not file.is_file():
            if self._source.onnx_file is not None:
                raise SourceError(f"{self._source.path / 'tokenizer.json'} does not exist")
            from nearfield_server.export import torch_route  # noqa: PLC0415

            torch_route.write_tokenizer(self._source, folder)
        return file

    def _base(self, raw: Path) -> tuple[Path, Head | None, tuple[str, ...]]:
        """The graph without its head, the head, and how it pools (empty: not known, as the graph does it itself)."""
        base = self._work / "base.onnx"
        output, has_head = _output_of(raw, self._source)
        prepare(raw, output, base)
        if not has_head:
            return base, None, self._source.poolings
        pooling: tuple[str, ...] = ()
        if self._source.task is Task.EMBED:
            pooling = (self._options.pooling,) if self._options.pooling else self._source.poolings
            if not pooling:
                self._progress(
                    "note: no file states the pooling; taking the mean, as sentence-transformers does (or: --pooling)"
                )
                pooling = ("mean",)
        return base, facts.head_of(self._source, pooling), pooling

    def _encode(self, tokenizer: Path, texts: Sequence[Text]) -> list[Encoded]:
        return encode(tokenizer, texts, self._limit)

    def _reference(
        self, texts: Sequence[Text], verifier: Verifier, base: Path, head: Head | None, pooling: tuple[str, ...]
    ) -> list[Any]:
        if self._source.onnx_file is not None:
            return verifier.run_alone(base, head, self._work)
        from nearfield_server.export import torch_route  # noqa: PLC0415

        dense = head.dense if head else ()
        return torch_route.reference(self._source, texts, self._limit, pooling, dense)

    def _images(self, raw: Path, folder: Path, report: Report) -> None:
        base = self._work / "vision.onnx"
        prepare(raw, IMAGE_OUTPUT, base)
        (self._work / "images").mkdir()
        writer = Writer(base=base, head=None, source=self._source, calibration=(), work=self._work / "images")
        for precision in self._options.precisions:
            self._progress(f"{precision}: images")
            written = writer.write(precision, folder / vision_file(precision), ())
            # The manifest says once for both towers whether ONNX Runtime may rewrite their graphs.
            written = replace(written, optimize=report.rows[precision].written.optimize)
            report.add_images(precision, verify_images(self._source, folder / vision_file(precision), written, base))

    def _judge(self, report: Report) -> None:
        least = self._options.min_cosine
        failed = [name for name, row in report.everything() if not row.closeness.mean >= least]
        if failed:
            raise ParityError(f"{', '.join(failed)} below --min-cosine {least}: nothing was written", report=report)


def _output_of(raw: Path, source: Source) -> tuple[str, bool]:
    """Which output to keep, and whether a head is to be put behind it. Raises SourceError."""
    outputs = {one.name: len(one.type.tensor_type.shape.dim) for one in load_graph(raw, weights=False).graph.output}
    wanted = {
        Task.EMBED: (
            [(TEXT_OUTPUT, False)]
            if source.two_towers
            else [("sentence_embedding", False), ("last_hidden_state", True), ("token_embeddings", True)]
        ),
        Task.MULTI: [("last_hidden_state", True), ("token_embeddings", not source.onnx_file)],
        Task.SPARSE: [("sparse_embedding", False), ("logits", True)],
    }.get(source.task, [(output_name(source.task), False)])
    for name, has_head in wanted:
        if name in outputs:
            return name, has_head
    by_rank = [name for name, rank in outputs.items() if rank == (2 if source.task.scores else 3)]
    if len(by_rank) == 1:
        return by_rank[0], not source.task.scores
    if len(outputs) == 1:
        return next(iter(outputs)), False
    listed = ", ".join(outputs)
    raise SourceError(f"{raw}: which output is for {source.task.value}? Looked for {wanted[0][0]}; there are {listed}")
