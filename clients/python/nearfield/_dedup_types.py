"""The nouns of deduplication: options, and what was found about an item."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypedDict

from nearfield._errors import NearfieldError
from nearfield._options import InputType, Truncate
from nearfield._search_types import FilterLike, Id
from nearfield._types import Array, OneInput

__all__ = ["DeduplicateOptions", "DuplicateKind", "DuplicateLevel", "DuplicateVerdict", "OneItem"]

DuplicateLevel: TypeAlias = Literal["strict", "normal", "loose"]
DuplicateKind: TypeAlias = Literal["unique", "exact", "near"]
OneItem: TypeAlias = OneInput | Array | tuple[str, Any]
"""A text, token ids or an image; a vector of floats; or a text with its vector."""


class DeduplicateOptions(TypedDict, total=False):
    """What duplicates are, and what items are compared with. Every key may be left out.

    Keys:
        threshold: cosine similarity from which on an item is a duplicate, -1 to 1; wins over `level`.
        level: the same in words, by the model's own scale; "normal" is the default. Vectors need `threshold`.
        ids: what the items are called, one each; None: `DuplicateVerdict.of` tells positions.
        collection: compares with the points of this collection too, whose model is then the default.
        tenant: whose points.
        filter: only points that match.
        collection_only: compares with the collection alone.
        compare_all: compares with all items, not only with those that were unique.
        lexical_check: words must agree too: for names and titles, where a digit makes another thing.
        model: name of a served model, `name@version`, or an alias; "" is the server's default model.
        input_type: what texts are for; None is "clustering", with `collection` "document".
        truncate: what happens over `Model.max_tokens`; "end" is the default.
        dimensions: width to cut vectors to; None keeps all.
        batch_size: items in one message, 1 to `Limits.max_inputs`; None is 128.
        timeout: seconds for the whole stream; None: no deadline.
    """

    threshold: float | None
    level: DuplicateLevel
    ids: Iterable[Id] | None
    collection: str | None
    tenant: str
    filter: FilterLike | None
    collection_only: bool
    compare_all: bool
    lexical_check: bool
    model: str
    input_type: InputType | None
    truncate: Truncate
    dimensions: int | None
    batch_size: int | None
    timeout: float | None


@dataclass(frozen=True, slots=True)
class DuplicateVerdict:
    """What was found about one item: `kind` or `error` is set.

    Attributes:
        index: position of the item, from 0.
        kind: "unique", "exact" (the same text or vector) or "near".
        of: what it duplicates, of a unique one the nearest that was seen: an id, or the position of an item without
            one; None: nothing was seen.
        similarity: cosine similarity of the two; 0 where nothing was seen.
        in_collection: whether `of` is a point of the collection.
        error: why it couldn't be looked at.
    """

    index: int
    kind: DuplicateKind | None = None
    of: Id | None = None
    similarity: float = 0.0
    in_collection: bool = False
    error: NearfieldError | None = None
