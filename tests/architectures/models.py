"""Small encoders of the true architectures, with random weights, written as their users have them on disk.

Each function fills a folder as sentence-transformers saves it (or transformers, for classifiers) and adds the graph
that optimum exports, under `onnx/`. The weights are wider than a fresh model's, so that different texts get clearly
different vectors, and a wrong mask, position or token type shows.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import small_tokenizers
import torch
from optimum.exporters.onnx import main_export
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer
from transformers import (
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    ModernBertConfig,
    ModernBertModel,
    MPNetConfig,
    MPNetModel,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2Model,
    RobertaConfig,
    RobertaModel,
    XLMRobertaConfig,
    XLMRobertaModel,
)

__all__ = ["BUILDERS", "DENSE", "DenseModel", "build_dense", "export", "random_model", "rewrite"]

HIDDEN = 32
POSITIONS = 130
_SHAPE = {
    "hidden_size": HIDDEN,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": POSITIONS,
    "initializer_range": 0.4,
}
_DISTIL = {"dim": HIDDEN, "n_layers": 2, "n_heads": 4, "hidden_dim": 64, "max_position_embeddings": POSITIONS}
# Their positions are counted from after the padding id: two are never used, as the true models' tokenizers state.
_OFFSET = (RobertaConfig, XLMRobertaConfig)
_MODERN = {"local_attention": 16, "global_attn_every_n_layers": 2, "reference_compile": False}


@dataclass(frozen=True, slots=True)
class DenseModel:
    """An embedding model: how its parts are made, and the facts that sentence-transformers' files state."""

    config: type
    model: type
    tokenizer: Callable[[], PreTrainedTokenizerFast]
    settings: Mapping[str, Any] = field(default_factory=dict)
    pooling: str = "mean"
    normalize: bool = True
    max_tokens: int | None = 100
    prompts: Mapping[str, str] = field(default_factory=dict)
    default_prompt_name: str | None = None
    projection: int = 0
    """Width of a Dense module after pooling; its graph is then the whole pipeline, as optimum exports it."""


E5_PROMPTS = {"query": "query: ", "passage": "passage: "}
NOMIC_PROMPTS = {
    "query": "search_query: ",
    "document": "search_document: ",
    "classification": "classification: ",
    "clustering": "clustering: ",
}
INSTRUCT_PROMPTS = {"query": "Instruct: Find what answers the question\nQuery: ", "document": ""}

DENSE = {
    "bert-mean": DenseModel(BertConfig, BertModel, small_tokenizers.word_pieces),
    "bert-cls": DenseModel(BertConfig, BertModel, small_tokenizers.word_pieces, pooling="cls", normalize=False),
    "bert-max": DenseModel(BertConfig, BertModel, small_tokenizers.word_pieces, pooling="max", max_tokens=None),
    "roberta": DenseModel(RobertaConfig, RobertaModel, small_tokenizers.byte_level, max_tokens=None),
    "xlm-roberta": DenseModel(XLMRobertaConfig, XLMRobertaModel, small_tokenizers.metaspace, max_tokens=None),
    "mpnet": DenseModel(MPNetConfig, MPNetModel, small_tokenizers.mpnet),
    "distilbert": DenseModel(DistilBertConfig, DistilBertModel, small_tokenizers.distilled, _DISTIL),
    "modernbert": DenseModel(ModernBertConfig, ModernBertModel, small_tokenizers.modern, _MODERN, pooling="cls"),
    "e5": DenseModel(
        XLMRobertaConfig, XLMRobertaModel, small_tokenizers.metaspace, prompts=E5_PROMPTS, default_prompt_name="passage"
    ),
    "nomic": DenseModel(ModernBertConfig, ModernBertModel, small_tokenizers.modern, _MODERN, prompts=NOMIC_PROMPTS),
    "gte-dense": DenseModel(BertConfig, BertModel, small_tokenizers.word_pieces, pooling="cls", projection=24),
    "decoder": DenseModel(
        Qwen2Config,
        Qwen2Model,
        small_tokenizers.last_token,
        {"num_key_value_heads": 2},
        pooling="lasttoken",
        prompts=INSTRUCT_PROMPTS,
    ),
}


def random_model(config: type, model: type, tokenizer: PreTrainedTokenizerFast, **settings: Any) -> PreTrainedModel:
    """Give a model of the class `model` with the same random weights each time, in evaluation mode."""
    torch.manual_seed(20240229)
    ids = {
        name: getattr(tokenizer, name)
        for name in ("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id")
        if getattr(tokenizer, name) is not None
    }
    made = model(config(**{**_SHAPE, "vocab_size": len(tokenizer), **ids, **settings}))
    with torch.no_grad():
        # Norms and biases start as ones and zeros, with which a forgotten one doesn't show.
        for weights in made.parameters():
            if weights.dim() == 1:
                weights.add_(torch.randn_like(weights) * 0.1)
    return made.eval()


def export(folder: Path, task: str, *, library: str = "transformers") -> None:
    """Add `onnx/model.onnx` to a saved model."""
    with tempfile.TemporaryDirectory() as scratch:
        main_export(str(folder), scratch, task=task, library_name=library, do_validation=False)
        (folder / "onnx").mkdir(exist_ok=True)
        for file in Path(scratch).glob("*.onnx*"):
            shutil.move(file, folder / "onnx" / file.name)


def rewrite(file: Path, **values: Any) -> None:
    """Set keys of a JSON file."""
    known = json.loads(file.read_text("utf-8")) if file.exists() else {}
    file.write_text(json.dumps(known | values, indent=2), "utf-8")


def build_dense(name: str, folder: Path) -> None:
    """Write the embedding model `DENSE[name]` into `folder`."""
    made = DENSE[name]
    tokenizer = made.tokenizer()
    if made.config in _OFFSET:
        tokenizer.model_max_length = POSITIONS - 2
    base = folder.with_name(f"{folder.name}-base")
    random_model(made.config, made.model, tokenizer, **made.settings).save_pretrained(base)
    tokenizer.save_pretrained(base)
    transformer = Transformer(str(base), max_seq_length=made.max_tokens)
    modules = [transformer, Pooling(HIDDEN, pooling_mode=made.pooling)]
    if made.projection:
        torch.manual_seed(7)
        modules.append(Dense(HIDDEN, made.projection, activation_function=torch.nn.Tanh()))
    if made.normalize:
        modules.append(Normalize())
    model = SentenceTransformer(
        modules=modules,
        device="cpu",
        prompts=dict(made.prompts) or None,
        default_prompt_name=made.default_prompt_name,
    )
    model.save(str(folder), create_model_card=False)
    shutil.rmtree(base)
    # Models of the hub state their own prompts alone; saving adds an empty `document` to them.
    rewrite(folder / "config_sentence_transformers.json", prompts=dict(made.prompts))
    if made.projection:
        export(folder, "feature-extraction", library="sentence_transformers")
    else:
        export(folder, "feature-extraction")


BUILDERS: dict[str, Callable[[Path], None]] = {name: partial(build_dense, name) for name in DENSE}
