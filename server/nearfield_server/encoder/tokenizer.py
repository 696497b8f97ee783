"""Texts to the tokens that the model sees.

Rules:

1. Truncation is done here, on ids, as the reference does it; the file's own truncation and padding are switched off.
   (all-MiniLM-L6-v2's tokenizer.json truncates and pads to 128, its sentence-transformers configuration says 256.)
2. No more of a long text is tokenised than its limit needs: tokenising is the cheapest attack on an embedding server.
   A part that ends at a blank gives the same tokens as the whole text, since tokenizers split there first. Other white
   space won't do: BERT's tokenizer drops form feeds, for one, and joins the words on both sides.
3. Only batch methods of the library are called: its single `encode` holds the GIL throughout.
4. Each text of pairs is tokenised once, however many pairs it stands in: see `pairs`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from tokenizers import Encoding, Tokenizer

from nearfield_server.encoder.pairs import OwnTokens, PairTemplate
from nearfield_server.errors import InvalidInput, TextTooLong
from nearfield_server.types import (
    DENSE_ONLY,
    IdArray,
    ModelSpec,
    MultiHead,
    OutputKind,
    TokenizedText,
    Tokens,
    Truncate,
)

__all__ = ["Pair", "TextOptions", "TextTokenizer"]

Pair = tuple[str, str]

# Characters to try first, per token of the limit: prose has about 4.5, so one try is enough for most texts.
_CHARACTERS_PER_TOKEN = 8
_GROWTH = 4
# Of pairs it matters by one token which text is the longer one: this many times as much is tokenised whole.
_WHOLE_IN_PAIRS = 8
_BLANKS = " \n\t\r"
# Where a part of a text doesn't end at a blank, its last tokens may differ from those of the whole text: WordPiece
# makes up to 100 tokens of a word of 100 characters, but one unknown token of a longer word.
_UNSURE_TOKENS = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class TextOptions:
    """How texts become tokens. `as_query`: for models that treat queries and documents differently (MULTI)."""

    prompt: str = ""
    truncate: Truncate = Truncate.END
    special_tokens_as_text: bool = False
    wanted: frozenset[OutputKind] = DENSE_ONLY
    as_query: bool = False


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
        self._pairs = PairTemplate(tokenizer)

    def encode(self, inputs: Sequence[str | IdArray], options: TextOptions) -> list[Tokens]:
        """Give what the model sees of each input: texts, or ids made by the caller, which get no prompt.

        Raises:
            TextTooLong: over the limit with `Truncate.NONE`; names the input.
            InvalidInput: an id outside the vocabulary; names the input and the id.
        """
        head = self._spec.multi if OutputKind.MULTI in options.wanted else None
        marker, limit = _marker_and_limit(head, self._spec.max_tokens, as_query=options.as_query)
        room = limit - (marker is not None)
        texts = {index: one for index, one in enumerate(inputs) if isinstance(one, str)}
        done = {
            index: self._check_ids(index, one, options.truncate)
            for index, one in enumerate(inputs)
            if not isinstance(one, str)
        }
        own = frozenset(done)
        self._encode_texts(texts, done, options, room)
        if head is not None:
            for index, tokens in done.items():
                if index not in own:
                    done[index] = _late_interaction(tokens, head, marker, as_query=options.as_query)
        if options.wanted != DENSE_ONLY:
            done = {index: replace(tokens, wanted=options.wanted) for index, tokens in done.items()}
        return [done[index] for index in range(len(inputs))]

    def encode_pairs(self, pairs: Sequence[Pair], options: TextOptions, field: Callable[[int], str]) -> list[Tokens]:
        """Give what a model of pairs sees; of a pair over the limit the longer text is cut first, at its end.

        Raises:
            TextTooLong: over the limit with `Truncate.NONE`; names the `field` of that position.
            InvalidInput: `Truncate.START`, which pairs don't have.
        """
        if options.truncate is Truncate.START:
            raise InvalidInput("truncate", "pairs of texts can't be cut at the start")
        texts = list(dict.fromkeys(text for pair in pairs for text in pair))
        own = dict(zip(texts, self._own_tokens(texts, literal=options.special_tokens_as_text), strict=True))
        done = []
        for index, (first, second) in enumerate(pairs):
            tokens = self._pairs.join(own[first], own[second], self._spec.max_tokens)
            if tokens.truncated and options.truncate is Truncate.NONE:
                count = self._pairs.specials + own[first].count + own[second].count
                exact = own[first].whole and own[second].whole
                raise self._too_long(field(index), f"{'' if exact else 'about '}{count}", count)
            done.append(replace(tokens, wanted=options.wanted))
        return done

    def tokenize(
        self, texts: Sequence[str], *, prompt: str, add_special_tokens: bool, special_tokens_as_text: bool
    ) -> list[TokenizedText]:
        """Give all tokens of each prompt + text, not truncated, with offsets in code points."""
        tokenizer = self._copy(literal=special_tokens_as_text)
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

    def pieces(self, texts: Sequence[str], *, literal: bool) -> list[Encoding]:
        """Give all tokens of each text with their offsets, neither special tokens nor prompt among them."""
        encodings = self._copy(literal=literal).encode_batch(list(texts), add_special_tokens=False)
        return list(encodings)

    def detokenize(self, sequences: Sequence[IdArray], *, keep_special_tokens: bool) -> list[str]:
        """Give the text of each sequence of ids. Raises `InvalidInput` for an id outside the vocabulary."""
        for index, ids in enumerate(sequences):
            self._check_range(f"sequences[{index}].ids", ids)
        lists = [ids.tolist() for ids in sequences]
        return list(self._plain.decode_batch(lists, skip_special_tokens=not keep_special_tokens))

    @property
    def special_ids(self) -> list[int]:
        """What is put around each text."""
        return [*self._head, *self._tail]

    def spell(self, ids: Sequence[int]) -> list[str]:
        """Give the vocabulary's spelling of each id; empty for ids that the tokenizer doesn't know."""
        return [self._plain.id_to_token(one) or "" for one in ids]

    def _encode_texts(self, texts: dict[int, str], done: dict[int, Tokens], options: TextOptions, limit: int) -> None:
        """Move each of `texts` to `done`, made of no more of it than `limit` tokens need."""
        tokenizer = self._copy(literal=options.special_tokens_as_text)
        prompt = options.prompt
        prompt_tokens = len(tokenizer.encode_batch_fast([prompt], add_special_tokens=False)[0].ids) if prompt else 0
        characters = self._first_characters
        while texts:
            parts = {index: _part(text, characters, options.truncate) for index, text in texts.items()}
            encodings = tokenizer.encode_batch_fast([prompt + part for part, _ in parts.values()])
            for (index, (part, unsure)), encoding in zip(parts.items(), encodings, strict=True):
                whole = len(part) == len(texts[index])
                if whole or len(encoding.ids) >= limit + 1 + unsure:
                    size = _Size(limit, prompt_tokens, whole=whole)
                    done[index] = self._cut(index, encoding.ids, size, options.truncate)
                    del texts[index]
            characters *= _GROWTH

    def _own_tokens(self, texts: Sequence[str], *, literal: bool) -> list[OwnTokens]:
        """Give the tokens of each text without special ones: all, or of a long text more than the limit."""
        waiting, done = dict(enumerate(texts)), dict[int, OwnTokens]()
        characters = self._first_characters * _WHOLE_IN_PAIRS
        while waiting:
            parts = {index: _part(text, characters, Truncate.END) for index, text in waiting.items()}
            encodings = self._copy(literal=literal).encode_batch_fast(
                [part for part, _ in parts.values()], add_special_tokens=False
            )
            for (index, (part, unsure)), encoding in zip(parts.items(), encodings, strict=True):
                text, ids = waiting[index], encoding.ids
                if len(part) == len(text):
                    done[index] = OwnTokens(ids, len(ids), whole=True)
                elif len(ids) > self._spec.max_tokens + unsure:
                    sure = ids[: len(ids) - unsure]
                    done[index] = OwnTokens(sure, len(ids) * len(text) // len(part), whole=False)
                else:
                    continue
                del waiting[index]
            characters *= _GROWTH
        return [done[index] for index in range(len(texts))]

    def _copy(self, *, literal: bool) -> Tokenizer:
        """Give the tokenizer that takes typed special tokens as text, or not."""
        if not literal:
            return self._plain
        with self._lock:
            if self._literal is None:
                self._literal = Tokenizer.from_str(self._plain.to_str())
                self._literal.encode_special_tokens = True
            return self._literal

    def _cut(self, index: int, ids: list[int], size: _Size, truncate: Truncate) -> Tokens:
        limit, head, tail = size.limit, len(self._head), len(self._tail)
        if len(ids) <= limit:
            own = len(ids) - head - tail - size.prompt_tokens
            return Tokens(np.array(ids, np.int64), no_tokens=own <= 0)
        if truncate is Truncate.NONE:
            count = f"{'' if size.whole else 'more than '}{len(ids)}"
            raise self._too_long(f"inputs[{index}].text", count, len(ids), limit)
        if truncate is Truncate.END:
            kept = ids[: limit - tail] + ids[len(ids) - tail :]
        else:
            # The prompt stays too: it tells the model what the text is for.
            front = min(head + size.prompt_tokens, limit - tail)
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

    def _too_long(self, field: str, count: str, tokens: int, limit: int = 0) -> TextTooLong:
        limit = limit or self._spec.max_tokens
        text = f"{count} tokens, special tokens included; the model takes {limit}: shorten it, or let truncate cut it"
        return TextTooLong(field, text, tokens=tokens, limit=limit)


@dataclass(frozen=True, slots=True)
class _Size:
    """Of one text: its limit and its prompt, in tokens, and whether all of it was tokenised."""

    limit: int
    prompt_tokens: int
    whole: bool


def _marker_and_limit(head: MultiHead | None, max_tokens: int, *, as_query: bool) -> tuple[int | None, int]:
    if head is None:
        return None, max_tokens
    if as_query:
        return head.query_marker, head.max_query_tokens or max_tokens
    return head.document_marker, head.max_document_tokens or max_tokens


def _late_interaction(tokens: Tokens, head: MultiHead, marker: int | None, *, as_query: bool) -> Tokens:
    """Put the marker behind the first token; fill queries up, say which tokens of documents are skipped."""
    ids = tokens.ids if marker is None else np.insert(tokens.ids, min(1, len(tokens.ids)), marker)
    if not as_query:
        keep = ~np.isin(ids, list(head.skipped_ids)) if head.skipped_ids else None
        return replace(tokens, ids=ids, keep=keep)
    missing = head.max_query_tokens - len(ids)
    if head.expand_with is None or missing <= 0:
        return replace(tokens, ids=ids)
    # ColBERT's query augmentation (arXiv:2004.12832): the fillers get vectors, and are attended to or not.
    mask = np.ones(len(ids) + missing, np.int64)
    if not head.attend_to_expansion:
        mask[len(ids) :] = 0
    return replace(tokens, ids=np.append(ids, np.full(missing, head.expand_with, np.int64)), mask=mask)


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
