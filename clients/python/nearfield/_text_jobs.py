"""Jobs about tokens: Tokenize and Detokenize."""

from __future__ import annotations

from collections.abc import Iterable

from nearfield import _convert, _methods, _split
from nearfield._inputs import sequence_items, text_items
from nearfield._jobs import RangeJob, check_count
from nearfield._model import Model
from nearfield._options import TokenizeOptions
from nearfield._types import TokenizedText
from nearfield.v1 import embed_pb2, types_pb2

__all__ = ["DetokenizeJob", "TokenizeJob"]


class TokenizeJob(RangeJob[list[TokenizedText]]):
    """Texts in, their tokens out."""

    method = _methods.TOKENIZE

    def __init__(self, texts: Iterable[object], options: TokenizeOptions) -> None:
        """Check everything that needs no server. Raises InvalidArgument or TypeError."""
        fields = _convert.option_fields(options, TokenizeOptions)
        super().__init__(text_items([texts] if isinstance(texts, str) else texts), fields)

    def parts(self, model: Model) -> list[range]:
        """Cut by the limits for inputs and bytes."""
        return self._cut(_split.plain_budget(model.limits))

    def request(self, part: range) -> embed_pb2.TokenizeRequest:
        """Make one part's request."""
        return embed_pb2.TokenizeRequest(texts=self._values(part), **self._fields)

    def accept(self, part: range, reply: embed_pb2.TokenizeResponse) -> None:
        """Take one part's reply. Raises InternalError."""
        check_count(len(reply.texts), part)
        self._keep(part, [_convert.tokenized_of(one) for one in reply.texts])

    def result(self) -> list[TokenizedText]:
        """Give one per text, in order."""
        return [tokens for _, part in self._in_order() for tokens in part]


class DetokenizeJob(RangeJob[list[str]]):
    """Token ids in, texts out."""

    method = _methods.DETOKENIZE

    def __init__(self, sequences: Iterable[object], model: str, *, keep_special_tokens: bool) -> None:
        """Check everything that needs no server. Raises InvalidArgument or TypeError."""
        super().__init__(sequence_items(sequences), {"model": model, "keep_special_tokens": keep_special_tokens})

    def parts(self, model: Model) -> list[range]:
        """Cut by the limits for inputs and bytes."""
        return self._cut(_split.plain_budget(model.limits))

    def request(self, part: range) -> embed_pb2.DetokenizeRequest:
        """Make one part's request."""
        sequences = [types_pb2.TokenIds(ids=ids) for ids in self._values(part)]
        return embed_pb2.DetokenizeRequest(sequences=sequences, **self._fields)

    def accept(self, part: range, reply: embed_pb2.DetokenizeResponse) -> None:
        """Take one part's reply. Raises InternalError."""
        check_count(len(reply.texts), part)
        self._keep(part, list(reply.texts))

    def result(self) -> list[str]:
        """Give one per sequence, in order."""
        return [text for _, part in self._in_order() for text in part]
