"""Small classifiers, cross-encoders and SPLADE models, saved as transformers and sentence-transformers save them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import small_tokenizers
from models import export, random_model, rewrite
from sentence_transformers import SparseEncoder
from sentence_transformers.sparse_encoder.modules import MLMTransformer, SpladePooling
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    ModernBertConfig,
    ModernBertForSequenceClassification,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForSequenceClassification,
    XLMRobertaConfig,
    XLMRobertaForSequenceClassification,
)

__all__ = ["BUILDERS", "NLI_LABELS", "TOPICS"]

_MAX_TOKENS = 100
_DISTIL = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64, "max_position_embeddings": 130}
_MODERN = {"local_attention": 16, "global_attn_every_n_layers": 2, "reference_compile": False}
NLI_LABELS = ("contradiction", "entailment", "neutral")
TOPICS = ("sports", "finance", "weather", "cooking", "travel")


@dataclass(frozen=True, slots=True)
class Classifier:
    """A model of one number per label, and what its config.json says of them."""

    config: type
    model: type
    tokenizer: Callable[[], PreTrainedTokenizerFast]
    labels: tuple[str, ...] = ("LABEL_0",)
    settings: Mapping[str, Any] = field(default_factory=dict)
    stated: Mapping[str, Any] = field(default_factory=dict)
    """Further keys of config.json."""


def _activation(kind: str) -> dict[str, Any]:
    return {"sentence_transformers": {"activation_fn": f"torch.nn.modules.{kind}", "version": "5.7.0"}}


CLASSIFIERS = {
    # Like cross-encoder/ms-marco-*: raw numbers; its relations: a sigmoid; like BGE's: nothing is stated.
    "reranker-raw": Classifier(
        BertConfig,
        BertForSequenceClassification,
        small_tokenizers.word_pieces,
        stated=_activation("linear.Identity"),
    ),
    "reranker-sigmoid": Classifier(
        BertConfig,
        BertForSequenceClassification,
        small_tokenizers.word_pieces,
        stated=_activation("activation.Sigmoid"),
    ),
    "reranker-xlmr": Classifier(XLMRobertaConfig, XLMRobertaForSequenceClassification, small_tokenizers.metaspace),
    "reranker-modern": Classifier(
        ModernBertConfig, ModernBertForSequenceClassification, small_tokenizers.modern, settings=_MODERN
    ),
    "nli": Classifier(BertConfig, BertForSequenceClassification, small_tokenizers.word_pieces, NLI_LABELS),
    "topics": Classifier(
        RobertaConfig,
        RobertaForSequenceClassification,
        small_tokenizers.byte_level,
        TOPICS,
        stated={"problem_type": "multi_label_classification"},
    ),
    "sentiment": Classifier(
        DistilBertConfig,
        DistilBertForSequenceClassification,
        small_tokenizers.distilled,
        ("NEGATIVE", "POSITIVE"),
        _DISTIL,
    ),
}


def build_classifier(name: str, folder: Path) -> None:
    """Write the classifier `CLASSIFIERS[name]` into `folder`."""
    made = CLASSIFIERS[name]
    tokenizer = made.tokenizer()
    tokenizer.model_max_length = _MAX_TOKENS
    names = dict(enumerate(made.labels))
    labels = {"id2label": names, "label2id": {label: index for index, label in names.items()}}
    model = random_model(made.config, made.model, tokenizer, **made.settings, **labels)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    rewrite(folder / "config.json", **made.stated)
    export(folder, "text-classification")


SPARSE = {
    "splade": {"pooling_strategy": "max", "activation_function": "relu"},
    "splade-sum": {"pooling_strategy": "sum", "activation_function": "relu"},
    "splade-double-log": {"pooling_strategy": "max", "activation_function": "log1p_relu"},
}


def build_sparse(name: str, folder: Path) -> None:
    """Write the SPLADE model `SPARSE[name]` into `folder`."""
    tokenizer = small_tokenizers.word_pieces()
    base = folder.with_name(f"{folder.name}-base")
    random_model(BertConfig, BertForMaskedLM, tokenizer, initializer_range=0.1).save_pretrained(base)
    tokenizer.save_pretrained(base)
    transformer = MLMTransformer(str(base), max_seq_length=_MAX_TOKENS)
    SparseEncoder(modules=[transformer, SpladePooling(**SPARSE[name])], device="cpu").save_pretrained(
        str(folder), create_model_card=False
    )
    export(folder, "fill-mask")


BUILDERS: dict[str, Callable[[Path], None]] = {
    **{name: partial(build_classifier, name) for name in CLASSIFIERS},
    **{name: partial(build_sparse, name) for name in SPARSE},
}
