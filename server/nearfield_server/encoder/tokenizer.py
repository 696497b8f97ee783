"""Texts to the tokens that the model sees.

Rules:

1. Truncation is done here, on ids, as the reference does it; the file's own truncation and padding are switched off.
   (all-MiniLM-L6-v2's tokenizer.json truncates and pads to 128, its sentence-transformers configuration says 256.)
2. No more of a long text is tokenised than its limit needs: tokenising is the cheapest attack on an embedding server.
   A part that ends at a blank gives the same tokens as the whole text, since tokenizers split there first. Other white
   space won't do: BERT's tokenizer drops form feeds, for one, and joins the words on both sides.
3. Only batch methods of the library are called: its single `encode` holds the GIL throughout.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
from tokenizers import Encoding, Tokenizer

from nearfield_server.errors import InvalidInput, TextTooLong
from nearfield_server.types import IdArray, Input, ModelSpec, TokenizedText, Tokens, Truncate

__all__ = ["TextTokenizer"]

# Characters to try first, per token of the limit: prose has about 4.5, so one try is enough for most texts.
_CHARACTERS_PER_TOKEN = 8
_GROWTH = 4
_BLANKS = " \n\t\r"
# Where a part of a text doesn't end at a blank, its last tokens may differ from those of the whole text: WordPiece
# makes up to 100 tokens of a word of 100 characters, but one unknown token of a longer word.
_UNSURE_TOKENS = 128


class TextTokenizer:
    """The tokenizer of one model; called from several threads at once."""

    def __init__(self, spec: ModelSpec, tokenizer: Tokenizer, *, first_characters: int = 0) -> None:
        """Use `tokenizer` within `spec`'s limits. `first_characters`: how much of a text to try first, for tests."""
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self._spec = spec
        self._plain = tokenizer
        self._literal: Tokenizer | None = None
        self._lock = threading.Lock()
        self._first_characters = first_characters or spec.max_tokens * _CHARACTERS_PER_TOKEN
        probe: Encoding = tokenizer.encode_batch(["a"])[0]
        own = [index for index, special in enumerate(probe.special_tokens_mask) if not special]
        first, last = (own[0], own[-1]) if own else (tokenizer.num_special_tokens_to_add(is_pair=False), len(probe.ids))
        self._head: list[int] = probe.ids[:first]
        self._tail: list[int] = probe.ids[last + 1 :]

    def encode(
        self, inputs: Sequence[Input], *, prompt: str, truncate: Truncate, special_tokens_as_text: bool
    ) -> list[Tokens]:
        """Give what the model sees of each input.

        Args:
            inputs: texts, or ids made by the caller, which get no prompt.
            prompt: put before each text.
            truncate: what to do beyond the model's limit.
            special_tokens_as_text: whether a typed "[SEP]" is five characters or the special token.

        Raises:
            TextTooLong: over the limit with `Truncate.NONE`; names the input.
            InvalidInput: an id outside the vocabulary; names the input and the id.
        """
        tokenizer = self._tokenizer(literal=special_tokens_as_text)
        texts = {index: one for index, one in enumerate(inputs) if isinstance(one, str)}
        done = {
            index: self._check_ids(index, one, truncate) for index, one in enumerate(inputs) if not isinstance(one, str)
        }
        prompt_tokens = len(tokenizer.encode_batch_fast([prompt], add_special_tokens=False)[0].ids) if prompt else 0
        characters = self._first_characters
        while texts:
            parts = {index: _part(text, characters, truncate) for index, text in texts.items()}
            encodings = tokenizer.encode_batch_fast([prompt + part for part, _ in parts.values()])
            for (index, (part, unsure)), encoding in zip(parts.items(), encodings, strict=True):
                whole = len(part) == len(texts[index])
                if whole or len(encoding.ids) >= self._spec.max_tokens + 1 + unsure:
                    done[index] = self._cut(index, encoding.ids, prompt_tokens, truncate, whole=whole)
                    del texts[index]
            characters *= _GROWTH
        return [done[index] for index in range(len(inputs))]

    def tokenize(
        self, texts: Sequence[str], *, prompt: str, add_special_tokens: bool, special_tokens_as_text: bool
    ) -> list[TokenizedText]:
        """Give all tokens of each prompt + text, not truncated, with offsets in code points."""
        tokenizer = self._tokenizer(literal=special_tokens_as_text)
        encodings = tokenizer.encode_batch([prompt + text for text in texts], add_special_tokens=add_special_tokens)
        return [
            TokenizedText(
                ids=one.ids,
                tokens=one.tokens,
                starts=[start for start, _ in one.offsets],
                ends=[end for _, end in one.offsets],
            )
            for one in encodings
        ]

    def detokenize(self, sequences: Sequence[IdArray], *, keep_special_tokens: bool) -> list[str]:
        """Give the text of each sequence of ids. Raises `InvalidInput` for an id outside the vocabulary."""
        for index, ids in enumerate(sequences):
            self._check_range(f"sequences[{index}].ids", ids)
        lists = [ids.tolist() for ids in sequences]
        return list(self._plain.decode_batch(lists, skip_special_tokens=not keep_special_tokens))

    def _tokenizer(self, *, literal: bool) -> Tokenizer:
        if not literal:
            return self._plain
        with self._lock:
            if self._literal is None:
                self._literal = Tokenizer.from_str(self._plain.to_str())
                self._literal.encode_special_tokens = True
            return self._literal

    def _cut(self, index: int, ids: list[int], prompt_tokens: int, truncate: Truncate, *, whole: bool) -> Tokens:
        limit, head, tail = self._spec.max_tokens, len(self._head), len(self._tail)
        if len(ids) <= limit:
            own = len(ids) - head - tail - prompt_tokens
            return Tokens(np.array(ids, np.int64), no_tokens=own <= 0)
        if truncate is Truncate.NONE:
            raise self._too_long(f"inputs[{index}].text", f"{'' if whole else 'more than '}{len(ids)}", len(ids))
        if truncate is Truncate.END:
            kept = ids[: limit - tail] + ids[len(ids) - tail :]
        else:
            # The prompt stays too: it tells the model what the text is for.
            front = min(head + prompt_tokens, limit - tail)
            kept = ids[:front] + ids[len(ids) - (limit - front) :]
        return Tokens(np.array(kept, np.int64), truncated=True)

    def _check_ids(self, index: int, ids: IdArray, truncate: Truncate) -> Tokens:
        self._check_range(f"inputs[{index}].token_ids.ids", ids)
        limit = self._spec.max_tokens
        if len(ids) <= limit:
            return Tokens(ids, no_tokens=not len(np.setdiff1d(ids, self._head + self._tail)))
        if truncate is Truncate.NONE:
            raise self._too_long(f"inputs[{index}].token_ids", str(len(ids)), len(ids))
        head = self._head if ids[: len(self._head)].tolist() == self._head else []
        tail = self._tail if ids[len(ids) - len(self._tail) :].tolist() == self._tail else []
        own = ids[len(head) : len(ids) - len(tail)]
        room = limit - len(head) - len(tail)
        own = own[:room] if truncate is Truncate.END else own[len(own) - room :]
        return Tokens(np.concatenate([head, own, tail]).astype(np.int64), truncated=True)

    def _check_range(self, field: str, ids: IdArray) -> None:
        wrong = (ids < 0) | (ids >= self._spec.vocab_size)
        if wrong.any():
            at = int(np.argmax(wrong))
            raise InvalidInput(
                f"{field}[{at}]", f"{ids[at]} is outside the vocabulary: 0 to {self._spec.vocab_size - 1}"
            )

    def _too_long(self, field: str, count: str, tokens: int) -> TextTooLong:
        limit = self._spec.max_tokens
        text = f"{count} tokens, special tokens included; the model takes {limit}: shorten it, or let truncate cut it"
        return TextTooLong(field, text, tokens=tokens, limit=limit)


def _part(text: str, characters: int, truncate: Truncate) -> tuple[str, int]:
    """Give the part of `text` to try, and how many tokens at its cut end may differ from those of the whole text."""
    if len(text) <= characters:
        return text, 0
    if truncate is Truncate.START:
        part = text[len(text) - characters :]
        at = min((found for one in _BLANKS if (found := part.find(one)) >= 0), default=-1)
        return (part[at:], 0) if at >= 0 else (part, _UNSURE_TOKENS)
    part = text[:characters]
    at = max(part.rfind(one) for one in _BLANKS)
    return (part[:at], 0) if at > 0 else (part, _UNSURE_TOKENS)
