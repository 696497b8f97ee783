"""What a model gives besides dense vectors, and how its graph's outputs are to be read.

sparse   SPLADE: a masked language model, pooled over the tokens
multi    ColBERT: one vector per token, with markers, query expansion and a list of tokens to skip
scores   classifiers and cross-encoders: one number per label
"""

from __future__ import annotations

import string
from typing import Any

from tokenizers import Tokenizer

from nearfield_server.backends.base import GraphSignature, TensorInfo
from nearfield_server.encoder.folder import ModelFolder
from nearfield_server.encoder.manifest import Multi, Task
from nearfield_server.types import Activation, MultiHead, ScoresHead, SparseHead, SparseSource

__all__ = ["multi_head", "scores_head", "sparse_head", "task_of"]

_TOKENS, _VOCABULARY, _LOGITS, _CONTEXT = ("last_hidden_state", "token_embeddings"), "sparse_embedding", "logits", 3
_STANFORD_FILE = "artifact.metadata"
_NATIVE = "MultiVectorEncoder"
_ACTIVATIONS = {"Sigmoid": Activation.SIGMOID, "Softmax": Activation.SOFTMAX, "Identity": Activation.NONE}
_PROBLEMS = {
    "multi_label_classification": Activation.SIGMOID,
    "single_label_classification": Activation.SOFTMAX,
    "regression": Activation.NONE,
}
_MOST_LABELS = 1_000_000
_SPARSE_RANKS = {2: SparseSource.VOCABULARY, 3: SparseSource.LOGITS}


def task_of(folder: ModelFolder, graph: GraphSignature) -> Task:
    """Say what the model is for, as its files do."""
    if folder.manifest.task is not None:
        return folder.manifest.task
    names = {one.name for one in graph.outputs}
    if folder.architecture.endswith("ForSequenceClassification"):
        return Task.CLASSIFY
    if "SpladePooling" in folder.module_kinds or _VOCABULARY in names:
        return Task.SPARSE
    if _is_colbert(folder):
        return Task.MULTI
    if folder.architecture.endswith("ForMaskedLM") and _LOGITS in names and not names.intersection(_TOKENS):
        return Task.SPARSE
    return Task.EMBED


def sparse_head(folder: ModelFolder, graph: GraphSignature, tokenizer: Tokenizer) -> SparseHead:
    """Say how sparse vectors come from the graph. Raises `ModelLoadFailure`."""
    stated = folder.manifest.sparse
    output = _output(folder, graph, stated.name if stated else "", (_VOCABULARY, _LOGITS), "sparse")
    source = stated.source if stated else None
    if source is None:
        if len(output.shape) not in _SPARSE_RANKS:
            raise folder.failure("", f"output {output.name} of shape {list(output.shape)} can't be sparse vectors")
        source = _SPARSE_RANKS[len(output.shape)]
    special = {token for token, one in tokenizer.get_added_tokens_decoder().items() if one.special}
    if stated is not None:
        return SparseHead(
            output_name=output.name,
            source=source,
            saturations=stated.saturations,
            sum_tokens=stated.sum_tokens,
            ignored_ids=frozenset(special),
        )
    config = folder.pooling_config
    strategy, activation = config.get("pooling_strategy", "max"), config.get("activation_function", "relu")
    if strategy not in {"max", "sum"} or activation not in {"relu", "log1p_relu"}:
        raise folder.failure("1_SpladePooling/config.json", f"pooling {strategy} with {activation} isn't offered")
    return SparseHead(
        output_name=output.name,
        source=source,
        saturations=2 if activation == "log1p_relu" else 1,
        sum_tokens=strategy == "sum",
        ignored_ids=frozenset(special),
    )


def multi_head(folder: ModelFolder, graph: GraphSignature, tokenizer: Tokenizer) -> MultiHead:
    """Say how vectors of tokens come from the graph, and what is done to texts. Raises `ModelLoadFailure`."""
    stated = folder.manifest.multi
    names = ("token_embeddings", "contextual", "last_hidden_state")
    output = _output(folder, graph, stated.name if stated else "", names, "multi")
    width = output.shape[-1] if len(output.shape) == _CONTEXT else None
    width = width or folder.manifest.dimensions or _stanford(folder).get("dim")
    if not isinstance(width, int):
        raise folder.failure("nearfield.yaml", f"no file tells the width of output {output.name}: add `dimensions: N`")
    due = _stanford(folder).get("dim")
    if "Dense" in folder.module_kinds or isinstance(due, int):
        due = due if isinstance(due, int) else _dense_width(folder)
        if due != width:
            text = f"the graph gives {width} components a token, the model {due}: its projection is not in the graph"
            file = str(folder.model_file.relative_to(folder.path))
            raise folder.failure(file, f"{text}; make it with `nearfield export`")
    if stated is None:
        stated = _multi_of_files(folder)
    return MultiHead(
        output_name=output.name,
        dimensions=width,
        normalize=stated.normalize,
        query_marker=_token_id(folder, tokenizer, stated.query_marker),
        document_marker=_token_id(folder, tokenizer, stated.document_marker),
        max_query_tokens=_held(folder, stated.max_query_tokens),
        max_document_tokens=_held(folder, stated.max_document_tokens),
        expand_with=_token_id(folder, tokenizer, stated.expand_with),
        attend_to_expansion=stated.attend_to_expansion,
        skipped_ids=_skipped(tokenizer, stated.skipped_tokens),
    )


def scores_head(folder: ModelFolder, graph: GraphSignature) -> ScoresHead:
    """Say what the columns of a classifier's output mean. Raises `ModelLoadFailure`."""
    stated = folder.manifest.scores
    output = _output(folder, graph, stated.name if stated else "", (_LOGITS,), "scores")
    labels = tuple(stated.labels) if stated and stated.labels else _labels(folder)
    columns = output.shape[-1]
    if columns is not None and columns != len(labels):
        raise folder.failure("config.json", f"id2label has {len(labels)} labels, the graph gives {columns} scores")
    activation = (stated.activation if stated else None) or _activation(folder, len(labels))
    return ScoresHead(output_name=output.name, labels=labels, activation=activation)


def _output(
    folder: ModelFolder, graph: GraphSignature, stated: str, usual: tuple[str, ...], section: str
) -> TensorInfo:
    by_name = {one.name: one for one in graph.outputs}
    for name in (stated,) if stated else usual:
        if name in by_name:
            return by_name[name]
    if len(by_name) == 1 and not stated:
        return graph.outputs[0]
    listed = ", ".join(f"{one.name} {list(one.shape)}" for one in graph.outputs)
    problem = f"the graph has no output {stated}" if stated else "which output is it? add `name: …`"
    raise folder.failure("nearfield.yaml", f"{section}: {problem}; there are: {listed}")


def _is_colbert(folder: ModelFolder) -> bool:
    kinds = {folder.st_config.get("model_type"), folder.architecture.removeprefix("HF_")}
    return bool(kinds & {"ColBERT", _NATIVE}) or bool(_stanford(folder))


def _stanford(folder: ModelFolder) -> dict[str, Any]:
    return folder.json(_STANFORD_FILE)


def _dense_width(folder: ModelFolder) -> int | None:
    paths = [str(one.get("path", "")) for one in folder.modules if str(one.get("type")).endswith("Dense")]
    width = folder.json(f"{paths[-1]}/config.json").get("out_features")
    return width if isinstance(width, int) else None


def _held(folder: ModelFolder, tokens: int) -> int:
    """Hold a limit to the positions that there are. PyLate's max_seq_length is less, by the marker."""
    return tokens if folder.positions is None else min(tokens, folder.positions)


def _multi_of_native(folder: ModelFolder) -> Multi:
    """Read what sentence-transformers 6 writes: prompts are markers, lengths stand with the transformer."""
    transformer, prompts = folder.sentence_bert_config, folder.st_config.get("prompts") or {}
    expansion = transformer.get("query_expansion") or {}
    masks = [one for one in folder.modules if str(one.get("type", "")).endswith("MultiVectorMask")]
    skipped = folder.json(f"{masks[0].get('path', '')}/config.json").get("skiplist_words", []) if masks else []
    return Multi(
        query_marker=str(prompts.get("query") or ""),
        document_marker=str(prompts.get("document") or ""),
        max_query_tokens=int(expansion.get("length") or transformer.get("query_length") or 32),
        max_document_tokens=int(transformer.get("document_length") or 0),
        expand_with=(expansion.get("token") or _mask_token(folder)) if expansion else "",
        attend_to_expansion=bool(expansion.get("attend", False)),
        skipped_tokens=[str(one) for one in skipped or []],
    )


def _multi_of_files(folder: ModelFolder) -> Multi:
    """Read PyLate's config_sentence_transformers.json, or the artifact.metadata of Stanford's ColBERT."""
    if folder.st_config.get("model_type") == _NATIVE:
        return _multi_of_native(folder)
    if stanford := _stanford(folder):
        return Multi(
            query_marker=str(stanford.get("query_token_id", "[unused0]")),
            document_marker=str(stanford.get("doc_token_id", "[unused1]")),
            max_query_tokens=int(stanford.get("query_maxlen", 32)),
            max_document_tokens=int(stanford.get("doc_maxlen", 220)),
            expand_with=_mask_token(folder),
            attend_to_expansion=bool(stanford.get("attend_to_mask_tokens", False)),
            skipped_tokens=list(string.punctuation) if stanford.get("mask_punctuation", True) else [],
        )
    config = folder.st_config
    return Multi(
        query_marker=str(config.get("query_prefix") or ""),
        document_marker=str(config.get("document_prefix") or ""),
        max_query_tokens=int(config.get("query_length") or 32),
        max_document_tokens=int(config.get("document_length") or 180),
        expand_with=_mask_token(folder) if config.get("do_query_expansion", True) else "",
        attend_to_expansion=bool(config.get("attend_to_expansion_tokens", False)),
        skipped_tokens=[str(one) for one in config.get("skiplist_words", string.punctuation)],
    )


def _mask_token(folder: ModelFolder) -> str:
    token = folder.tokenizer_config.get("mask_token")
    content = token.get("content") if isinstance(token, dict) else token
    if not isinstance(content, str):
        raise folder.failure("tokenizer_config.json", "no mask_token, which queries are filled up with")
    return content


def _token_id(folder: ModelFolder, tokenizer: Tokenizer, token: str) -> int | None:
    if not token:
        return None
    for spelling in (token, token.strip()):
        if (found := tokenizer.token_to_id(spelling)) is not None:
            return int(found)
    raise folder.failure(folder.tokenizer_file.name, f"{token!r}, a marker of queries or documents, is no single token")


def _skipped(tokenizer: Tokenizer, tokens: list[str]) -> frozenset[int]:
    """Give the ids of words that are one token each; others can't be told from a part of a word."""
    ids = set()
    for token in tokens:
        if (found := tokenizer.token_to_id(token)) is not None:
            ids.add(found)
        elif len(encoded := tokenizer.encode(token, add_special_tokens=False).ids) == 1:
            ids.add(encoded[0])
    return frozenset(ids)


def _labels(folder: ModelFolder) -> tuple[str, ...]:
    named = folder.config.get("id2label")
    if named is None:
        count = folder.config.get("num_labels", 2)
        if not isinstance(count, int) or not 0 < count <= _MOST_LABELS:
            raise folder.failure("config.json", f"num_labels must be 1 to {_MOST_LABELS}")
        return tuple(f"LABEL_{index}" for index in range(count))
    try:
        by_index = {int(index): label for index, label in named.items()}
    except (AttributeError, ValueError) as error:
        raise folder.failure("config.json", "id2label must map 0, 1, … to labels") from error
    labels = tuple(by_index[index] for index in sorted(by_index))
    if sorted(by_index) != list(range(len(by_index))) or not all(isinstance(one, str) and one for one in labels):
        raise folder.failure("config.json", "id2label must map 0, 1, … to labels")
    if not labels or len(set(labels)) < len(labels):
        raise folder.failure("config.json", "id2label gives two numbers the same label, or has none")
    return labels


def _activation(folder: ModelFolder, labels: int) -> Activation:
    """As sentence-transformers' CrossEncoder and transformers' pipeline choose it."""
    nested = folder.config.get("sentence_transformers")
    stated = nested.get("activation_fn") if isinstance(nested, dict) else None
    stated = stated or folder.config.get("sbert_ce_default_activation_function")
    if stated:
        kind = str(stated).rpartition(".")[2]
        if kind not in _ACTIVATIONS:
            raise folder.failure("config.json", f"activation {kind} isn't offered; known: {', '.join(_ACTIVATIONS)}")
        return _ACTIVATIONS[kind]
    problem = folder.config.get("problem_type")
    if problem in _PROBLEMS:
        return _PROBLEMS[problem]
    return Activation.SIGMOID if labels == 1 else Activation.SOFTMAX
