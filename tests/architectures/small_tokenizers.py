"""Small tokenizers of the kinds that encoders have, trained on our own golden sentences.

Each is the true kind, with that family's normaliser, pre-tokeniser, special tokens and template; only the vocabulary is
small. They know the alphabet of the sentences, so that no text becomes a row of unknown tokens. Training breaks ties as
it likes, so a vocabulary may differ from one session to the next.
"""

from __future__ import annotations

import json
import string
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import (
    BertTokenizerFast,
    CLIPTokenizerFast,
    DistilBertTokenizerFast,
    MPNetTokenizerFast,
    PreTrainedTokenizerFast,
    Qwen2TokenizerFast,
    RobertaTokenizerFast,
    XLMRobertaTokenizerFast,
)

__all__ = ["byte_level", "clip", "distilled", "last_token", "metaspace", "modern", "mpnet", "sentences", "word_pieces"]

_CLIP_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


@cache
def sentences() -> tuple[str, ...]:
    """Give the golden sentences."""
    lines = (Path(__file__).parents[1] / "golden" / "sentences.jsonl").read_text("utf-8").splitlines()
    return tuple(json.loads(line)["text"] for line in lines)


def _cls_and_sep(special: Sequence[str]) -> dict[str, str]:
    return dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), special, strict=False))


def _template(tokenizer: Tokenizer, single: str, pair: str, names: Sequence[str]) -> None:
    ids = [(name, tokenizer.token_to_id(name)) for name in names]
    tokenizer.post_processor = processors.TemplateProcessing(single=single, pair=pair, special_tokens=ids)


def _pieces(special: Sequence[str], size: int) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    # As the true vocabularies, it has all punctuation: ColBERT's lists of tokens to skip are made of it.
    alphabet = list(string.punctuation)
    trainer = trainers.WordPieceTrainer(
        vocab_size=size, special_tokens=list(special), initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(sentences(), trainer)
    return tokenizer


def word_pieces(*, more: Sequence[str] = (), size: int = 600) -> BertTokenizerFast:
    """BERT's; `more` are further special tokens, such as `[unused0]`."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = _pieces([*special, *more], size)
    _template(tokenizer, "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", ["[CLS]", "[SEP]"])
    return BertTokenizerFast(tokenizer_object=tokenizer, **_cls_and_sep(special))


def distilled() -> PreTrainedTokenizerFast:
    """DistilBERT's: BERT's, without token types."""
    made = word_pieces()
    return DistilBertTokenizerFast(tokenizer_object=made.backend_tokenizer, model_max_length=made.model_max_length)


def mpnet() -> MPNetTokenizerFast:
    """MPNet's: word pieces with RoBERTa's special tokens, two separators in a pair."""
    tokenizer = _pieces(["<s>", "<pad>", "</s>", "[UNK]", "<mask>"], 600)
    _template(tokenizer, "<s> $A </s>", "<s> $A </s> </s> $B </s>", ["<s>", "</s>"])
    return MPNetTokenizerFast(tokenizer_object=tokenizer)


def _bytes(special: Sequence[str], size: int, *, prefix_space: bool = False) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix_space)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=list(special), initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(sentences(), trainer)
    return tokenizer


def byte_level() -> RobertaTokenizerFast:
    """RoBERTa's: byte-level BPE, two separators in a pair."""
    tokenizer = _bytes(["<s>", "<pad>", "</s>", "<unk>"], 700)
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    tokenizer.post_processor = processors.RobertaProcessing(
        sep=("</s>", 2), cls=("<s>", 0), trim_offsets=True, add_prefix_space=False
    )
    return RobertaTokenizerFast(tokenizer_object=tokenizer)


def modern() -> PreTrainedTokenizerFast:
    """ModernBERT's: byte-level BPE after NFC, with BERT's special tokens."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = _bytes(special, 700)
    tokenizer.normalizer = normalizers.NFC()
    _template(tokenizer, "[CLS] $A [SEP]", "[CLS] $A [SEP] $B [SEP]", ["[CLS]", "[SEP]"])
    # As ModernBERT states it: the model has no token types.
    inputs = ["input_ids", "attention_mask"]
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_input_names=inputs, **_cls_and_sep(special))


def metaspace() -> XLMRobertaTokenizerFast:
    """XLM-R's and multilingual E5's: SentencePiece unigrams, padding id 1."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tokenizer.decoder = decoders.Metaspace()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    tokenizer.train_from_iterator(
        sentences(),
        trainers.UnigramTrainer(vocab_size=700, special_tokens=special, unk_token="<unk>", show_progress=False),
    )
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    _template(tokenizer, "<s> $A </s>", "<s> $A </s> </s> $B </s>", ["<s>", "</s>"])
    return XLMRobertaTokenizerFast(tokenizer_object=tokenizer)


def last_token() -> Qwen2TokenizerFast:
    """Of embedding models made of decoders: byte-level BPE, padded on the left, its end token put after each text."""
    tokenizer = _bytes(["<|endoftext|>"], 700)
    tokenizer.normalizer = normalizers.NFC()
    _template(tokenizer, "$A <|endoftext|>", "$A $B:1 <|endoftext|>:1", ["<|endoftext|>"])
    return Qwen2TokenizerFast(
        tokenizer_object=tokenizer, pad_token="<|endoftext|>", eos_token="<|endoftext|>", padding_side="left"
    )


def clip(size: int = 600) -> CLIPTokenizerFast:
    """CLIP's: lower-case byte-level BPE whose words end in `</w>`, the end token's id the greatest."""
    tokenizer = Tokenizer(models.BPE(unk_token="<|endoftext|>", end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_CLIP_WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=alphabet, end_of_word_suffix="</w>", show_progress=False
    )
    tokenizer.train_from_iterator(sentences(), trainer)
    # CLIP's vocabulary has each byte twice, in a word and at its end: no text is unknown.
    known = json.loads(tokenizer.to_str())
    vocabulary = known["model"]["vocab"]
    for byte in sorted(alphabet):
        vocabulary.setdefault(f"{byte}</w>", len(vocabulary))
    tokenizer = Tokenizer.from_str(json.dumps(known))
    tokenizer.add_special_tokens(["<|startoftext|>", "<|endoftext|>"])
    start, end = (tokenizer.token_to_id(name) for name in ("<|startoftext|>", "<|endoftext|>"))
    tokenizer.post_processor = processors.RobertaProcessing(
        sep=("<|endoftext|>", end), cls=("<|startoftext|>", start), trim_offsets=False, add_prefix_space=False
    )
    return CLIPTokenizerFast(tokenizer_object=tokenizer)
