"""The arguments of `nearfield embed`, and what is wrong with them before anything is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nearfield_server.cli.failures import CliError
from nearfield_server.cli.files.ragged import Kind
from nearfield_server.cli.files.writers import output_format

if TYPE_CHECKING:
    from nearfield import StreamOptions

__all__ = ["Division", "Request", "check"]

_STDIN = Path("-")


class Division(NamedTuple):
    """How texts are divided: `--chunk`, `--overlap`, `--chunk-pooling`."""

    max_tokens: int
    overlap_tokens: int
    pooling: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The arguments; `-` among `files` is stdin, `None` for `out` is stdout."""

    files: tuple[Path, ...]
    out: Path | None
    options: StreamOptions
    model: str = ""
    text_field: str = "text"
    format: str | None = None
    limit: int | None = None
    skip_bad_rows: bool = False
    id_field: str = ""
    keep: tuple[str, ...] = ()
    encoding: str = "floats"
    overwrite: bool = False
    resume: bool = True
    batch_size: int | None = None
    target: str = ""
    local: bool = False
    images: bool = False
    sparse: bool = False
    terms: bool = False
    multi: bool = False
    division: Division | None = None
    overlap: int = 0

    @property
    def file(self) -> Path | None:
        """The one file of texts; `None` for stdin, and for images."""
        return None if self.images or self.is_stdin else self.files[0]

    @property
    def is_stdin(self) -> bool:
        """Whether texts come from standard input."""
        return not self.images and self.files[0] == _STDIN

    @property
    def kind(self) -> Kind:
        """What a row becomes."""
        if self.sparse or self.multi:
            return "sparse" if self.sparse else "multi"
        return "chunks" if self.division is not None and self.division.pooling == "none" else "dense"

    @property
    def unit(self) -> str:
        """What rows are, for people."""
        return "images" if self.images else "texts"

    def stream_options(self, model: str) -> StreamOptions:
        """Give the options of the stream."""
        options: dict[str, Any] = {**self.options, "model": model, "batch_size": self.batch_size}
        if self.sparse or self.multi:
            options["outputs"] = (self.kind,)
        if self.division is not None:
            import nearfield  # noqa: PLC0415  loads grpc

            pooling: Any = self.division.pooling
            options["chunking"] = nearfield.Chunking(
                max_tokens=self.division.max_tokens, overlap_tokens=self.division.overlap_tokens, pooling=pooling
            )
        return options  # type: ignore[return-value]  # put together by name

    def facts(self) -> dict[str, Any]:
        """Give the options as the journal and the output's metadata hold them: plain values, and only what was asked."""
        facts: dict[str, Any] = dict(self.options)
        if self.kind != "dense":
            facts["output"] = self.kind
        if self.terms:
            facts["terms"] = True
        if self.division is not None:
            facts |= {f"chunk_{name}": value for name, value in self.division._asdict().items()}
        return facts


def check(request: Request) -> None:
    """Refuse arguments that don't go together, and outputs that can't be written.

    Raises:
        CliError: says which, and what to do.
    """
    _check_combination(request)
    if request.out is not None:
        _check_output(request, request.out)
    if request.is_stdin and request.out is not None and (request.keep or request.id_field):
        raise CliError("--keep and --id-field read the input a second time, which stdin can't: save it to a file first")


def _check_combination(request: Request) -> None:
    if request.images and _STDIN in request.files:
        raise CliError("--images needs image files or folders; images can't come from stdin")
    if request.images and (request.keep or request.id_field):
        raise CliError("--keep and --id-field are for files of texts; images bring their path along by themselves")
    if not request.images and len(request.files) > 1:
        raise CliError("one file of texts at a time; --images takes several files and folders")
    if request.sparse and request.multi:
        raise CliError("--sparse and --multi: one of them at a time, each into an output of its own")
    if request.terms and not request.sparse:
        raise CliError("--terms goes with --sparse")
    if request.overlap and request.division is None:
        raise CliError("--overlap goes with --chunk TOKENS")
    if request.division is not None and (request.sparse or request.multi or request.images):
        raise CliError("--chunk divides texts for dense vectors; leave it out with --sparse, --multi and --images")
    if request.sparse or request.multi:
        _check_other_vectors(request)


def _check_other_vectors(request: Request) -> None:
    name = f"--{request.kind}"
    for option, default in (("output_dtype", "float32"), ("dimensions", None)):
        if request.options.get(option, default) != default:
            raise CliError(f"--{option.replace('_', '-')} is for dense vectors; leave it out with {name}")
    if request.sparse and request.encoding == "base64":
        raise CliError("--encoding base64 is for vectors of one width; leave it out with --sparse")
    if request.out is not None and output_format(request.out) == "npy":
        raise CliError(f"{request.out}: .npy holds rows of one length; {name} needs .parquet or .jsonl")


def _check_output(request: Request, out: Path) -> None:
    kind = output_format(out)
    if not out.parent.is_dir():
        raise CliError(f"{out}: there is no folder {out.parent}")
    if out.is_dir():
        raise CliError(f"{out} is a folder")
    if request.file is not None and out.exists() and request.file.exists() and out.samefile(request.file):
        raise CliError(f"{out} is the input itself")
    if out.exists() and not request.overwrite:
        raise CliError(f"{out} exists; --overwrite replaces it")
    if kind == "npy" and (request.keep or request.id_field):
        raise CliError(f"{out}: .npy holds vectors only; --keep and --id-field need .parquet or .jsonl")
    if kind != "jsonl" and request.encoding == "base64":
        raise CliError(f"{out}: --encoding base64 is for .jsonl")
