"""`nearfield.yaml` in a model folder: says what the other files don't, or say wrongly."""

from __future__ import annotations

import difflib
import enum
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from nearfield_server.errors import ModelLoadFailure
from nearfield_server.types import Activation, OutputShape, Pooling, SimilarityMetric, SparseSource

__all__ = ["MANIFEST_FILE", "Manifest", "Task", "read_manifest"]

MANIFEST_FILE = "nearfield.yaml"


def _inside(path: str) -> str:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or "\\" in path or "\0" in path:
        msg = "must be a path within the model's folder"
        raise ValueError(msg)
    return path


_Inside = Annotated[str, AfterValidator(_inside)]


class Task(enum.Enum):
    """What a model is for."""

    EMBED = "embed"
    SPARSE = "sparse"
    MULTI = "multi"
    CLASSIFY = "classify"
    RERANK = "rerank"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Output(_Strict):
    """Which output of the graph to use, and what it is."""

    name: str = ""
    kind: OutputShape | None = None
    normalized: bool = False


class Sparse(_Strict):
    """Sparse vectors: which output of the graph, and how to read it; see `types.SparseHead`."""

    name: str = ""
    source: SparseSource | None = None
    saturations: Annotated[int, Field(ge=0, le=2)] = 1
    sum_tokens: bool = False


class Multi(_Strict):
    """Vectors of tokens: which output of the graph, and what is done to texts before; see `types.MultiHead`."""

    name: str = ""
    normalize: bool = True
    query_marker: str = ""
    document_marker: str = ""
    max_query_tokens: Annotated[int, Field(ge=0)] = 0
    max_document_tokens: Annotated[int, Field(ge=0)] = 0
    expand_with: str = ""
    attend_to_expansion: bool = False
    skipped_tokens: list[str] = []


class Scores(_Strict):
    """A classifier's numbers: which output of the graph, what its columns mean, and how they become scores."""

    name: str = ""
    labels: list[str] | None = None
    activation: Activation | None = None


class Vision(_Strict):
    """Images: which output of the graph."""

    name: str = ""


class Files(_Strict):
    """Where the files are, relative to the folder; graphs by precision, and which precision a device gets."""

    model: _Inside | None = None
    tokenizer: _Inside = "tokenizer.json"
    precisions: dict[str, _Inside] = {}
    providers: dict[str, str] = {}
    vision: dict[str, _Inside] = {}


class Manifest(_Strict):
    """All keys of the file. What is left out is read from the other files of the folder."""

    format: Literal[1] = 1
    name: str = ""
    source: str = ""
    license: str = ""
    task: Task | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    dimensions: Annotated[int, Field(ge=1)] | None = None
    pooling: Pooling | None = None
    normalize: bool | None = None
    similarity: SimilarityMetric | None = None
    output: Output = Output()
    sparse: Sparse | None = None
    multi: Multi | None = None
    scores: Scores | None = None
    vision: Vision = Vision()
    matryoshka_dimensions: list[Annotated[int, Field(ge=1)]] = []
    precision: str = ""
    optimize: bool | dict[str, bool] | None = None
    quantization_range: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    prompts: dict[str, str] | None = None
    default_prompt_name: str | None = None
    files: Files = Files()
    sha256: dict[_Inside, Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]] = {}
    parity: dict[str, Any] = {}
    recipe: dict[str, Any] = {}

    def optimized(self, precision: str) -> bool:
        """Whether ONNX Runtime may rewrite the graph of that precision."""
        said = self.optimize.get(precision) if isinstance(self.optimize, dict) else self.optimize
        # Our own int8 graphs are written as they run fastest; ONNX Runtime's fusions slow them down.
        return precision != "int8-rowwise" if said is None else said


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of `folder`; one with nothing in it when there is none.

    Raises:
        ModelLoadFailure: no YAML, an unknown key or a wrong value; the message names all of them.
    """
    path = folder / MANIFEST_FILE
    if not path.exists():
        return Manifest()
    try:
        return Manifest.model_validate(yaml.safe_load(path.read_text("utf-8")) or {})
    except ValidationError as error:
        problems = "; ".join(_problem(one) for one in error.errors(include_url=False, include_input=False))
        msg = f"{path}: {problems}"
        raise ModelLoadFailure(msg) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        msg = f"{path}: can't be read as YAML: {' '.join(str(error).split())}"
        raise ModelLoadFailure(msg) from error


def _problem(error: Any) -> str:
    where = ".".join(map(str, error["loc"]))
    if error["type"] != "extra_forbidden":
        return f"{where}: {error['msg']}"
    sections = (Manifest, Output, Sparse, Multi, Scores, Vision, Files)
    known = [name for section in sections for name in section.model_fields]
    nearest = difflib.get_close_matches(str(error["loc"][-1]), known, n=1)
    return f"{where}: unknown key" + (f", did you mean {nearest[0]}?" if nearest else "")
