"""Jobs whose results are scores: Rerank and Classify. Scores don't depend on the other inputs: parts just add up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from nearfield import _convert, _methods, _split
from nearfield._errors import invalid
from nearfield._inputs import Item, is_single, items_of, one_or_many, text_items
from nearfield._jobs import RangeJob, check_count, one_source
from nearfield._model import Model
from nearfield._options import ClassifyOptions, RerankOptions
from nearfield._types import LabelScore, RankedDocument
from nearfield.v1 import embed_pb2

__all__ = ["ClassifyJob", "RerankJob"]


class RerankJob(RangeJob[embed_pb2.RerankResponse]):
    """A query and documents in, the documents best first out."""

    method = _methods.RERANK

    def __init__(self, query: str, documents: Iterable[object], options: RerankOptions) -> None:
        """Check everything that needs no server. Raises InvalidArgument, TypeError or ValueError."""
        # Documents needn't travel back: they are here.
        fields = _convert.option_fields(options, RerankOptions, but=("return_documents",))
        if not isinstance(query, str):
            raise TypeError(f"the query is a {type(query).__name__}, not a text")
        (self._query,) = text_items([query], "query")
        if isinstance(documents, str):
            raise TypeError("one text, not an iterable of documents: put it into a list")
        super().__init__(text_items(documents, "documents"), fields)
        self._return_documents = options.get("return_documents", False)
        self._top_n = options.get("top_n")

    def parts(self, model: Model) -> list[range]:
        """Cut."""
        return self._cut(_split.scoring_budget(model, self._query, reply_bytes=32))

    def request(self, part: range) -> embed_pb2.RerankRequest:
        """Make one part's request."""
        return embed_pb2.RerankRequest(query=str(self._query.value), documents=self._values(part), **self._fields)

    def accept(self, part: range, reply: embed_pb2.RerankResponse) -> None:
        """Check one part's reply. Raises InternalError."""
        check_count(len(reply.token_counts), part)
        check_count(len(reply.truncated), part)
        check_count(len({one.index for one in reply.results if one.index < len(part)}), _best(part, self._top_n))
        self._keep(part, reply)

    def result(self) -> list[RankedDocument]:
        """Merge the parts: best first, equal scores in the order of the documents. Raises Aborted."""
        kept = self._in_order()
        one_source([(reply.model, 0) for _, reply in kept])
        ranked = [self._document(start, reply, one) for start, reply in kept for one in reply.results]
        ranked.sort(key=lambda one: (-one.score, one.index))
        return ranked[: self._top_n]

    def _document(self, start: int, reply: embed_pb2.RerankResponse, one: embed_pb2.RankedDocument) -> RankedDocument:
        index = start + one.index
        return RankedDocument(
            index=index,
            score=one.score,
            document=str(self._items[index].value) if self._return_documents else None,
            token_count=reply.token_counts[one.index],
            truncated=reply.truncated[one.index],
        )


def _best(part: range, top_n: int | None) -> range:
    return part if top_n is None else part[:top_n]


class ClassifyJob(RangeJob[embed_pb2.ClassifyResponse]):
    """Inputs in, the labels of each with their scores out."""

    method = _methods.CLASSIFY

    def __init__(self, inputs: object, options: ClassifyOptions) -> None:
        """Check everything that needs no server. Raises InvalidArgument, TypeError or ValueError."""
        fields = _convert.option_fields(options, ClassifyOptions, but=("pairs", "labels"))
        labels = options.get("labels")
        if isinstance(labels, str):
            raise TypeError(f"labels is a str; give a list, such as [{labels!r}]")
        self._labels = text_items(labels or (), "labels")
        super().__init__(
            items_of(one_or_many(inputs)), {**fields, "labels": [str(label.value) for label in self._labels]}
        )
        self._pairs = self._checked_pairs(options.get("pairs"), is_single(inputs))

    def _checked_pairs(self, pairs: Iterable[str] | None, single: bool) -> list[Item] | None:
        if pairs is None:
            return None
        if isinstance(pairs, str) and not single:
            raise TypeError("pairs is a str; give as many second texts as there are inputs")
        seconds = text_items([pairs] if isinstance(pairs, str) else pairs, "pairs")
        if len(seconds) != len(self._items):
            raise invalid("pairs", f"{len(seconds)} second texts for {len(self._items)} inputs")
        # One input with its pair is cut and counted as a whole.
        self._items = [
            Item(one.value, one.size_bytes + other.size_bytes, one.most_tokens + other.most_tokens)
            for one, other in zip(self._items, seconds, strict=True)
        ]
        return seconds

    def parts(self, model: Model) -> list[range]:
        """Cut. With a cross-encoder every input runs once with each label: the server counts these pairs."""
        label_bytes = sum(label.size_bytes for label in self._labels)
        longest = max(self._labels, key=lambda label: label.most_tokens, default=None)
        beside = None if longest is None else Item("", label_bytes, longest.most_tokens)
        count = len(self._labels) or len(model.labels)
        reply_bytes = (count + 1) * 24 + (label_bytes or sum(len(label.encode()) for label in model.labels))
        runs = max(1, len(self._labels)) if "scores" in model.outputs else 1
        budget = _split.scoring_budget(model, beside, reply_bytes, runs=runs)
        return self._cut(replace(budget, inputs=max(1, budget.inputs // runs)))

    def request(self, part: range) -> embed_pb2.ClassifyRequest:
        """Make one part's request."""
        inputs = [embed_pb2.ClassifyInput(input=one) for one in self._inputs(part)]
        for one, pair in zip(inputs, (self._pairs or ())[part.start : part.stop], strict=False):
            one.pair = str(pair.value)
        return embed_pb2.ClassifyRequest(inputs=inputs, **self._fields)

    def accept(self, part: range, reply: embed_pb2.ClassifyResponse) -> None:
        """Check one part's reply. Raises InternalError."""
        check_count(len(reply.results), part)
        self._keep(part, reply)

    def result(self) -> list[list[LabelScore]]:
        """Give the labels of each input, in the order of the inputs. Raises Aborted."""
        kept = self._in_order()
        one_source([(reply.model, 0) for _, reply in kept])
        return [
            [LabelScore(label=one.label, index=one.index, score=one.score) for one in result.labels]
            for _, reply in kept
            for result in reply.results
        ]
