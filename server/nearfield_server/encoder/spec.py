"""A folder and its graph to a `ModelSpec`: each fact from the file that states it."""

from __future__ import annotations

import math
from pathlib import Path

from tokenizers import Tokenizer

from nearfield_server.backends.base import GraphSignature, TensorInfo
from nearfield_server.encoder.folder import ModelFolder, open_folder
from nearfield_server.errors import ModelLoadFailure
from nearfield_server.types import ModelSpec, OutputKind, Pooling, SimilarityMetric

__all__ = ["read_spec", "read_tokenizer", "resolve"]

_RANKS = {2: OutputKind.POOLED, 3: OutputKind.TOKENS}
_TOKEN_OUTPUTS = ("last_hidden_state", "token_embeddings")
_POOLED_OUTPUTS = ("sentence_embedding", "text_embeds")
_INPUTS = {"input_ids", "attention_mask", "token_type_ids", "position_ids"}
_METRICS = {
    "cosine": SimilarityMetric.COSINE,
    "dot": SimilarityMetric.DOT,
    "euclidean": SimilarityMetric.EUCLIDEAN,
}
# Components of unit vectors of width d scatter by about 1/sqrt(d): six times that clips next to nothing.
_RANGE_SIGMAS = 6.0


def read_spec(path: Path) -> ModelFolder:
    """Read a folder and verify its hashes, without loading the graph. Raises `ModelLoadFailure`."""
    folder = open_folder(path)
    folder.verify()
    read_tokenizer(folder)
    return folder


def read_tokenizer(folder: ModelFolder) -> Tokenizer:
    """Read tokenizer.json. Raises `ModelLoadFailure`."""
    try:
        return Tokenizer.from_file(str(folder.tokenizer_file))
    except Exception as error:  # the library raises bare Exception
        msg = f"{folder.tokenizer_file}: no tokenizer can be read from it: {error}"
        raise ModelLoadFailure(msg) from error


def resolve(name: str, folder: ModelFolder, sha256: str, tokenizer: Tokenizer, graph: GraphSignature) -> ModelSpec:
    """Put together what folder, tokenizer and graph say.

    Raises:
        ModelLoadFailure: they contradict each other, or none states something that is needed; the message says which
            line in nearfield.yaml would.
    """
    if unknown := {one.name for one in graph.inputs} - _INPUTS:
        raise folder.failure("", f"the graph needs inputs that texts don't give: {', '.join(sorted(unknown))}")
    output, kind = _choose_output(folder, graph)
    manifest = folder.manifest
    pooling = folder.pooling
    if pooling is None and kind is OutputKind.TOKENS:
        choices = ", ".join(one.value for one in Pooling)
        raise folder.failure("nearfield.yaml", f"no file tells the pooling: add `pooling: …`, one of {choices}")
    if folder.other_modules and kind is OutputKind.TOKENS:
        kinds = ", ".join(folder.other_modules)
        raise folder.failure(
            "modules.json", f"{kinds} after pooling isn't run here: export the graph with a pooled output"
        )
    dimensions = _dimensions(folder, output)
    # An export of a sentence-transformers pipeline holds all its modules, the last one included.
    in_graph = kind is OutputKind.POOLED and folder.normalize and not manifest.output.name
    st_config = folder.st_config
    prompts = manifest.prompts if manifest.prompts is not None else st_config.get("prompts") or {}
    default_prompt = (
        manifest.default_prompt_name
        if manifest.default_prompt_name is not None
        else st_config.get("default_prompt_name")
    )
    if default_prompt and default_prompt not in prompts:
        raise folder.failure(
            "config_sentence_transformers.json", f"default_prompt_name {default_prompt} isn't among prompts"
        )
    return ModelSpec(
        name=name,
        version=sha256[:12],
        folder=folder.path,
        model_file=folder.model_file,
        tokenizer_file=folder.tokenizer_file,
        sha256=sha256,
        dimensions=dimensions,
        max_tokens=folder.max_tokens,
        vocab_size=_vocab_size(folder, tokenizer),
        pad_id=_pad_id(folder, tokenizer),
        pooling=pooling or Pooling.MEAN,
        normalize=folder.normalize,
        output_name=output.name,
        output_kind=kind,
        output_normalized=manifest.output.normalized or in_graph,
        similarity=manifest.similarity
        or _METRICS.get(str(st_config.get("similarity_fn_name")), SimilarityMetric.COSINE),
        prompts={str(key): str(value) for key, value in prompts.items()},
        default_prompt_name=default_prompt or "",
        precision=manifest.precision or "unknown",
        quantization_range=manifest.quantization_range or min(1.0, _RANGE_SIGMAS / math.sqrt(dimensions)),
        source=manifest.source or str(folder.config.get("_name_or_path", "")),
        license=manifest.license,
    )


def _choose_output(folder: ModelFolder, graph: GraphSignature) -> tuple[TensorInfo, OutputKind]:
    wanted = folder.manifest.output
    by_name = {one.name: one for one in graph.outputs if len(one.shape) in _RANKS}
    listed = ", ".join(f"{one.name} {list(one.shape)}" for one in graph.outputs)
    if wanted.name:
        if wanted.name not in by_name:
            raise folder.failure(
                "nearfield.yaml", f"output.name: the graph has no output {wanted.name}; it has: {listed}"
            )
        chosen = by_name[wanted.name]
        return chosen, wanted.kind or _RANKS[len(chosen.shape)]
    for names in (_TOKEN_OUTPUTS, _POOLED_OUTPUTS):
        for name in names:
            # Modules that aren't run here are only in the pooled output.
            if name in by_name and not (names is _TOKEN_OUTPUTS and folder.other_modules):
                return by_name[name], _RANKS[len(by_name[name].shape)]
    for rank in (3, 2):
        found = [one for one in by_name.values() if len(one.shape) == rank]
        if len(found) == 1:
            return found[0], _RANKS[rank]
    raise folder.failure(
        "nearfield.yaml", f"which output holds the vectors? add `output: {{name: …}}`; there are: {listed}"
    )


def _dimensions(folder: ModelFolder, output: TensorInfo) -> int:
    stated = folder.manifest.dimensions
    in_graph = output.shape[-1]
    if stated is not None and in_graph is not None and stated != in_graph:
        raise folder.failure("nearfield.yaml", f"dimensions: {stated}, but the graph gives {in_graph}")
    for value in (
        stated,
        in_graph,
        folder.pooling_config.get("word_embedding_dimension"),
        folder.config.get("hidden_size"),
    ):
        if isinstance(value, int) and value > 0:
            return value
    raise folder.failure("nearfield.yaml", "no file tells the width of the vectors: add `dimensions: N`")


def _vocab_size(folder: ModelFolder, tokenizer: Tokenizer) -> int:
    in_graph = folder.config.get("vocab_size")
    known = tokenizer.get_vocab_size(with_added_tokens=True)
    return min(known, in_graph) if isinstance(in_graph, int) and in_graph > 0 else int(known)


def _pad_id(folder: ModelFolder, tokenizer: Tokenizer) -> int:
    padding = tokenizer.padding
    if padding:
        return int(padding["pad_id"])
    token = folder.tokenizer_config.get("pad_token")
    content = token.get("content") if isinstance(token, dict) else token
    if isinstance(content, str) and (found := tokenizer.token_to_id(content)) is not None:
        return int(found)
    stated = folder.config.get("pad_token_id")
    # Padding is masked: any id within the vocabulary does.
    return stated if isinstance(stated, int) and stated >= 0 else 0
