"""A folder and its graph to a `ModelSpec`: each fact from the file that states it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from nearfield_server.backends.base import GraphSignature, TensorInfo
from nearfield_server.encoder.folder import ModelFolder, open_folder
from nearfield_server.encoder.heads import multi_head, scores_head, sparse_head, task_of
from nearfield_server.encoder.manifest import Task
from nearfield_server.errors import ModelLoadFailure
from nearfield_server.types import ModelSpec, OutputShape, Pooling, SimilarityMetric, VisionTower

__all__ = ["read_spec", "read_tokenizer", "resolve"]

_RANKS = {2: OutputShape.POOLED, 3: OutputShape.TOKENS}
_TOKEN_OUTPUTS = ("last_hidden_state", "token_embeddings")
_POOLED_OUTPUTS = ("sentence_embedding", "text_embeds")
_INPUTS = {"input_ids", "attention_mask", "token_type_ids", "position_ids"}
_IMAGE_INPUT, _IMAGE_OUTPUTS = "pixel_values", ("image_embeds", "pooler_output")
# What a model without patches is said to cost, in tokens: about as much as a ViT with patches of 32 pixels.
_PATCHES = 50
_IMAGE_SIZE = 224
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


def resolve(
    name: str,
    folder: ModelFolder,
    sha256: str,
    tokenizer: Tokenizer,
    graph: GraphSignature,
    vision: GraphSignature | None = None,
) -> ModelSpec:
    """Put together what folder, tokenizer and graphs say. `vision`: the images' graph, if it is another one.

    Raises:
        ModelLoadFailure: they contradict each other, or none states something that is needed; the message says which
            line in nearfield.yaml would.
    """
    images = vision or (graph if any(one.name == _IMAGE_INPUT for one in graph.inputs) else None)
    known = _INPUTS | ({_IMAGE_INPUT} if images is graph else set())
    if unknown := {one.name for one in graph.inputs} - known:
        raise folder.failure("", f"the graph needs inputs that texts don't give: {', '.join(sorted(unknown))}")
    manifest, task = folder.manifest, task_of(folder, graph)
    sparse = sparse_head(folder, graph, tokenizer) if task is Task.SPARSE or manifest.sparse else None
    multi = multi_head(folder, graph, tokenizer) if task is Task.MULTI or manifest.multi else None
    scores = scores_head(folder, graph) if task in {Task.CLASSIFY, Task.RERANK} or manifest.scores else None
    dense = _dense(folder, graph) if task is Task.EMBED or manifest.output.name else None
    width = dense.width if dense else multi.dimensions if multi else 0
    # The prompts of sentence-transformers' models of many vectors are their markers.
    prompts, default_prompt = ({}, "") if multi and not manifest.prompts else _prompts(folder)
    return ModelSpec(
        name=name,
        version=sha256[:12],
        folder=folder.path,
        model_file=folder.model_file,
        tokenizer_file=folder.tokenizer_file,
        sha256=sha256,
        dimensions=width,
        max_tokens=folder.max_tokens,
        vocab_size=_vocab_size(folder, tokenizer),
        pad_id=_pad_id(folder, tokenizer),
        pooling=dense.pooling if dense else None,
        normalize=folder.normalize if dense else multi is not None and multi.normalize,
        output_name=dense.output.name if dense else "",
        output_shape=dense.shape if dense else OutputShape.TOKENS,
        output_normalized=dense is not None and dense.normalized,
        similarity=manifest.similarity
        or _METRICS.get(str(folder.st_config.get("similarity_fn_name")), SimilarityMetric.COSINE),
        prompts=prompts,
        default_prompt_name=default_prompt,
        precision=folder.precision or "unknown",
        quantization_range=manifest.quantization_range or min(1.0, _RANGE_SIGMAS / math.sqrt(max(1, width))),
        source=manifest.source or str(folder.config.get("_name_or_path", "")),
        license=manifest.license,
        sparse=sparse,
        multi=multi,
        scores=scores,
        vision=_vision(folder, images, width) if images else None,
        matryoshka_dimensions=tuple(sorted(set(manifest.matryoshka_dimensions), reverse=True)),
    )


@dataclass(frozen=True, slots=True)
class _Dense:
    """How dense vectors come from the graph."""

    output: TensorInfo
    shape: OutputShape
    width: int
    pooling: Pooling | None
    normalized: bool


def _dense(folder: ModelFolder, graph: GraphSignature) -> _Dense:
    output, shape = _choose_output(folder, graph)
    pooling, manifest = folder.pooling, folder.manifest
    if pooling is None and shape is OutputShape.TOKENS:
        choices = ", ".join(one.value for one in Pooling)
        raise folder.failure("nearfield.yaml", f"no file tells the pooling: add `pooling: …`, one of {choices}")
    if folder.other_modules and shape is OutputShape.TOKENS:
        kinds = ", ".join(folder.other_modules)
        raise folder.failure(
            "modules.json", f"{kinds} after pooling isn't run here: make a folder for it with `nearfield export`"
        )
    # An export of a sentence-transformers pipeline holds all its modules, the last one included.
    in_graph = shape is OutputShape.POOLED and "Normalize" in folder.module_kinds and not manifest.output.name
    normalized = manifest.output.normalized or in_graph
    return _Dense(output, shape, _dimensions(folder, output), pooling or Pooling.MEAN, normalized)


def _prompts(folder: ModelFolder) -> tuple[dict[str, str], str]:
    """Give the prompts by name, and the name of the default one."""
    manifest, st_config = folder.manifest, folder.st_config
    prompts = manifest.prompts if manifest.prompts is not None else st_config.get("prompts") or {}
    if not isinstance(prompts, dict) or not all(isinstance(one, str) for one in prompts.values()):
        raise folder.failure("config_sentence_transformers.json", "prompts must map names to texts")
    default = manifest.default_prompt_name
    default = default if default is not None else st_config.get("default_prompt_name")
    if default and (not isinstance(default, str) or default not in prompts):
        raise folder.failure("config_sentence_transformers.json", f"default_prompt_name {default} isn't among prompts")
    return prompts, default or ""


def _vision(folder: ModelFolder, graph: GraphSignature, width: int) -> VisionTower:
    names = {one.name: one for one in graph.outputs}
    stated = folder.manifest.vision.name
    found = next((names[name] for name in ((stated,) if stated else _IMAGE_OUTPUTS) if name in names), None)
    if found is None and not stated and len(names) == 1:
        found = graph.outputs[0]
    if found is None:
        problem = "which output holds the images' vectors? add `vision: {name: …}`; there are: "
        raise folder.failure("nearfield.yaml", problem + ", ".join(names))
    if found.shape[-1] not in {None, width}:
        raise folder.failure("", f"vectors of images have {found.shape[-1]} components, those of texts {width}")
    config = folder.config.get("vision_config")
    config = config if isinstance(config, dict) else folder.config
    size, patch = config.get("image_size"), config.get("patch_size")
    size = size if isinstance(size, int) and size > 0 else _IMAGE_SIZE
    patches = (size // patch) ** 2 + 1 if isinstance(patch, int) and patch > 0 else _PATCHES
    return VisionTower(model_file=folder.vision_file, output_name=found.name, patches=patches, size=(size, size))


def _choose_output(folder: ModelFolder, graph: GraphSignature) -> tuple[TensorInfo, OutputShape]:
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
        folder.config.get("projection_dim"),
        folder.config.get("hidden_size"),
    ):
        if isinstance(value, int) and value > 0:
            return value
    raise folder.failure("nearfield.yaml", "no file tells the width of the vectors: add `dimensions: N`")


def _vocab_size(folder: ModelFolder, tokenizer: Tokenizer) -> int:
    in_graph = folder.text_config.get("vocab_size")
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
