"""Small ColBERT models in the layouts of PyLate, of Stanford's checkpoints and of sentence-transformers 6, and the
vectors that PyLate gives for them.

PyLate needs older companions than the exporter here, so its formula is written down: `ColBERT.tokenize` and
`ColBERT.encode` of pylate/models/colbert.py in PyLate 1.6.0 (github.com/lightonai/pylate, MIT), on transformers' own
model. It was checked against `MultiVectorEncoder` of sentence-transformers 6.2.0: the vectors of PyLate's layout and of
Stanford's were the same, bit for bit; its own layout was not checked again after its folder was mended.
"""

from __future__ import annotations

import json
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import small_tokenizers
import torch
from models import HIDDEN, random_model, rewrite
from safetensors.torch import load_file, save_file
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertModel,
    ModernBertConfig,
    ModernBertModel,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

__all__ = ["BUILDERS", "COLBERT", "reference"]

WIDTH = 16
_MODERN = {"local_attention": 16, "global_attn_every_n_layers": 2, "reference_compile": False}


@dataclass(frozen=True, slots=True)
class ColBert:
    """A late-interaction model and the facts that its files state."""

    layout: str = "pylate"
    config: type = BertConfig
    model: type = BertModel
    tokenizer: Callable[[], PreTrainedTokenizerFast] = small_tokenizers.word_pieces
    settings: Mapping[str, Any] = field(default_factory=dict)
    markers: tuple[str, str] = ("[Q] ", "[D] ")
    max_query_tokens: int = 32
    max_document_tokens: int = 60
    expand: bool = True
    attend: bool = False
    skipped: tuple[str, ...] = tuple(string.punctuation)
    output: str = "token_embeddings"
    """What the exporter called the projected vectors; empty: the graph is the transformer alone."""


_UNUSED = ("[unused0]", "[unused1]")

COLBERT = {
    "colbert": ColBert(),
    "colbert-modern": ColBert(
        config=ModernBertConfig,
        model=ModernBertModel,
        tokenizer=small_tokenizers.modern,
        settings=_MODERN,
        expand=False,
        skipped=(",", "."),
        output="output",
    ),
    "colbert-attending": ColBert(max_query_tokens=24, max_document_tokens=100, attend=True, skipped=()),
    "colbert-stanford": ColBert(
        "stanford",
        tokenizer=partial(small_tokenizers.word_pieces, more=_UNUSED),
        markers=_UNUSED,
        max_document_tokens=80,
        output="contextual",
    ),
    "colbert-native": ColBert("native"),
    "colbert-unprojected": ColBert(output=""),
}


class _Projected(torch.nn.Module):
    """The transformer and its projection, as exporters of ColBERT models put them into one graph."""

    def __init__(self, model: PreTrainedModel, weight: torch.Tensor | None) -> None:
        super().__init__()
        self.model = model
        self.weight = weight

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        names = ("input_ids", "attention_mask", "token_type_ids")
        rows = self.model(**dict(zip(names, inputs, strict=False))).last_hidden_state
        return rows if self.weight is None else rows @ self.weight.T


def _export(model: PreTrainedModel, weight: torch.Tensor | None, inputs: list[str], folder: Path, output: str) -> None:
    (folder / "onnx").mkdir()
    axes = {0: "batch_size", 1: "sequence_length"}
    ids = torch.tensor([[2, 7, 8, 9, 3], [2, 9, 3, 0, 0]])
    # Their kinds, at length two: mask, then token types.
    example = (ids, (ids > 0).long(), torch.zeros_like(ids))[: len(inputs)]
    torch.onnx.export(
        _Projected(model, weight).eval(),
        example,
        str(folder / "onnx" / "model.onnx"),
        input_names=inputs,
        output_names=[output],
        dynamic_axes=dict.fromkeys([*inputs, output], axes),
        opset_version=17,
        dynamo=False,
    )


def build_colbert(name: str, folder: Path) -> None:
    """Write the model `COLBERT[name]` into `folder`."""
    made = COLBERT[name]
    tokenizer = made.tokenizer()
    tokenizer.add_tokens(list(made.markers))
    tokenizer.model_max_length = 128
    model = random_model(made.config, made.model, tokenizer, attn_implementation="eager", **made.settings)
    torch.manual_seed(3)
    weight = torch.randn(WIDTH, HIDDEN) / HIDDEN**0.5
    tokenizer.save_pretrained(folder)
    _LAYOUTS[made.layout](made, model, weight, folder)
    inputs = [one for one in ("input_ids", "attention_mask", "token_type_ids") if one in tokenizer.model_input_names]
    _export(model, weight if made.output else None, inputs, folder, made.output or "last_hidden_state")


def _modules(folder: Path, *types: tuple[str, str]) -> None:
    rows = [{"idx": at, "name": str(at), "path": path, "type": kind} for at, (path, kind) in enumerate(types)]
    (folder / "modules.json").write_text(json.dumps(rows))


def _dense(folder: Path, weight: torch.Tensor) -> None:
    (folder / "1_Dense").mkdir()
    save_file({"linear.weight": weight.contiguous()}, folder / "1_Dense" / "model.safetensors")
    activation = "torch.nn.modules.linear.Identity"
    stated = {"in_features": HIDDEN, "out_features": WIDTH, "bias": False, "activation_function": activation}
    rewrite(folder / "1_Dense" / "config.json", **stated)


def _write_pylate(made: ColBert, model: PreTrainedModel, weight: torch.Tensor, folder: Path) -> None:
    model.save_pretrained(folder)
    _dense(folder, weight)
    _modules(folder, ("", "sentence_transformers.models.Transformer"), ("1_Dense", "pylate.models.Dense.Dense"))
    rewrite(folder / "sentence_bert_config.json", max_seq_length=made.max_document_tokens - 1, do_lower_case=False)
    rewrite(
        folder / "config_sentence_transformers.json",
        model_type="ColBERT",
        prompts={},
        default_prompt_name=None,
        similarity_fn_name="MaxSim",
        query_prefix=made.markers[0],
        document_prefix=made.markers[1],
        query_length=made.max_query_tokens,
        document_length=made.max_document_tokens,
        attend_to_expansion_tokens=made.attend,
        skiplist_words=list(made.skipped),
        do_query_expansion=made.expand,
    )


def _write_stanford(made: ColBert, model: PreTrainedModel, weight: torch.Tensor, folder: Path) -> None:
    model.save_pretrained(folder)
    state = {f"bert.{key}": value.contiguous() for key, value in model.state_dict().items()}
    save_file({**state, "linear.weight": weight.contiguous()}, folder / "model.safetensors", {"format": "pt"})
    rewrite(folder / "config.json", architectures=["HF_ColBERT"])
    rewrite(
        folder / "artifact.metadata",
        query_token_id=made.markers[0],
        doc_token_id=made.markers[1],
        query_token="[Q]",
        doc_token="[D]",
        query_maxlen=made.max_query_tokens,
        doc_maxlen=made.max_document_tokens,
        dim=WIDTH,
        mask_punctuation=True,
        attend_to_mask_tokens=made.attend,
        similarity="cosine",
    )


def _write_native(made: ColBert, model: PreTrainedModel, weight: torch.Tensor, folder: Path) -> None:
    model.save_pretrained(folder)
    _dense(folder, weight)
    base = "sentence_transformers.base.modules"
    mask = "sentence_transformers.multi_vector_encoder.modules.multi_vector_mask.MultiVectorMask"
    _modules(
        folder,
        ("", f"{base}.transformer.Transformer"),
        ("1_Dense", f"{base}.dense.Dense"),
        ("2_MultiVectorMask", mask),
        ("3_Normalize", f"{base}.normalize.Normalize"),
    )
    on_tokens = {"module_input_name": "token_embeddings", "module_output_name": "token_embeddings"}
    for name in ("1_Dense", "2_MultiVectorMask", "3_Normalize"):
        (folder / name).mkdir(exist_ok=True)
    rewrite(folder / "1_Dense" / "config.json", **on_tokens)
    rewrite(folder / "3_Normalize" / "config.json", **on_tokens)
    rewrite(
        folder / "2_MultiVectorMask" / "config.json", skiplist_words=list(made.skipped), skiplist_tasks=["document"]
    )
    expansion = {"strategy": "fixed", "attend": made.attend, "token": None, "length": made.max_query_tokens}
    rewrite(
        folder / "sentence_bert_config.json",
        transformer_task="feature-extraction",
        module_output_name="token_embeddings",
        document_length=made.max_document_tokens,
        query_expansion=expansion,
    )
    rewrite(
        folder / "config_sentence_transformers.json",
        model_type="MultiVectorEncoder",
        prompts={"query": made.markers[0], "document": made.markers[1]},
        default_prompt_name=None,
        similarity_fn_name=None,
    )


_LAYOUTS = {"pylate": _write_pylate, "stanford": _write_stanford, "native": _write_native}
BUILDERS: dict[str, Callable[[Path], None]] = {name: partial(build_colbert, name) for name in COLBERT}


def _weights(made: ColBert, folder: Path) -> tuple[PreTrainedModel, torch.Tensor]:
    if made.layout == "stanford":
        state = load_file(folder / "model.safetensors")
        weight = state.pop("linear.weight")
        model = made.model(made.config.from_pretrained(folder))
        model.load_state_dict({key.removeprefix("bert."): value for key, value in state.items()})
        return model.eval(), weight
    return made.model.from_pretrained(folder).eval(), load_file(folder / "1_Dense" / "model.safetensors")[
        "linear.weight"
    ]


@torch.no_grad()
def reference(name: str, folder: Path, texts: list[str], *, query: bool) -> tuple[list[np.ndarray], list[list[int]]]:
    """Give the vectors `[n, 16]` of each text and the token ids that they belong to."""
    made = COLBERT[name]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.pad_token = tokenizer.mask_token
    model, weight = _weights(made, folder)
    marker = tokenizer.convert_tokens_to_ids(made.markers[not query])
    skipped = {tokenizer.convert_tokens_to_ids(word) for word in made.skipped} - {tokenizer.unk_token_id}
    limit = made.max_query_tokens if query else made.max_document_tokens
    expanded = query and made.expand
    rows, ids = [], []
    for text in texts:
        padding = {"padding": "max_length"} if expanded else {}
        seen = tokenizer([text], truncation=True, max_length=limit - 1, return_tensors="pt", **padding)
        for key, value in (("input_ids", marker), ("attention_mask", 1), ("token_type_ids", 0)):
            if key in seen:
                seen[key] = torch.cat([seen[key][:, :1], torch.tensor([[value]]), seen[key][:, 1:]], dim=1)
        own = seen["input_ids"][0].tolist()
        if expanded and made.attend:
            seen["attention_mask"].fill_(1)
        vectors = model(**seen).last_hidden_state[0] @ weight.T
        kept = [at for at, one in enumerate(own) if query or one not in skipped]
        rows.append(torch.nn.functional.normalize(vectors[kept], dim=1).numpy())
        ids.append([own[at] for at in kept])
    return rows, ids
