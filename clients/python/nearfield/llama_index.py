"""A collection as a LlamaIndex vector store. Needs `nearfield[llama-index]`.

    store = NearfieldVectorStore(client.collection("docs"))
    index = VectorStoreIndex.from_vector_store(store, embed_model=…)

Vectors come from LlamaIndex's embedding model, and the collection is one of vectors; with `server_embeds=True` the
collection's own model embeds queries, and nodes that bring no vector. A node's metadata are the point's payload.
LlamaIndex's async methods call the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

try:
    from llama_index.core.bridge.pydantic import PrivateAttr
    from llama_index.core.schema import BaseNode, MetadataMode
    from llama_index.core.vector_stores.types import (
        BasePydanticVectorStore,
        FilterCondition,
        FilterOperator,
        MetadataFilter,
        MetadataFilters,
        VectorStoreQuery,
        VectorStoreQueryMode,
        VectorStoreQueryResult,
    )
    from llama_index.core.vector_stores.utils import metadata_dict_to_node, node_to_metadata_dict
except ImportError as error:
    msg = "llama-index-core is missing: pip install 'nearfield[llama-index]'"
    raise ImportError(msg) from error

from nearfield._collection import Collection
from nearfield._payload import id_message
from nearfield._search_requests import Query
from nearfield._search_types import Fusion, Hit, Point, SearchOptions
from nearfield.v1 import search_pb2

__all__ = ["NearfieldVectorStore", "filter_of"]

# Columns that no metadata are named like.
_ID, _TEXT, _VECTOR = "\ue000id", "\ue000text", "\ue000vector"

_MODES = {
    VectorStoreQueryMode.DEFAULT: "dense",
    VectorStoreQueryMode.MMR: "dense",
    VectorStoreQueryMode.SPARSE: "keyword",
    VectorStoreQueryMode.TEXT_SEARCH: "keyword",
    VectorStoreQueryMode.HYBRID: "hybrid",
}
_BOUNDS = {
    FilterOperator.GT: "gt",
    FilterOperator.GTE: "gte",
    FilterOperator.LT: "lt",
    FilterOperator.LTE: "lte",
}


class NearfieldVectorStore(BasePydanticVectorStore):
    """Nodes in a collection."""

    stores_text: bool = True

    _collection: Collection = PrivateAttr()

    def __init__(self, collection: Collection, *, server_embeds: bool = False) -> None:
        """Use a collection that is there.

        Args:
            collection: of some tenant: `client.collection(name, tenant)`.
            server_embeds: the collection's model makes the vectors of queries, and of nodes without one.
        """
        super().__init__(stores_text=True, is_embedding_query=not server_embeds)
        self._collection = collection

    @classmethod
    def class_name(cls) -> str:
        """Give the name by which LlamaIndex knows it."""
        return "NearfieldVectorStore"

    @property
    def client(self) -> Collection:
        """The collection."""
        return self._collection

    def add(self, nodes: Sequence[BaseNode], **options: Any) -> list[str]:
        """Store nodes; give their ids. A node whose id is there replaces that one.

        Args:
            nodes: with embeddings, or without where the server embeds.
            **options: `UpsertOptions` but for the names of columns, such as `batch_size`.

        Raises:
            ValueError: a node has no embedding, and the server doesn't embed.
            NearfieldError: of the server.
        """
        for vector in (True, False):
            rows = [_row(one) for one in nodes if (one.embedding is not None) is vector]
            if not rows:
                continue
            if not vector and self.is_embedding_query:
                raise ValueError("a node has no embedding: embed it, or let the server do it (server_embeds=True)")
            self._collection.upsert(
                rows, **{**options, "id": _ID, "text": _TEXT, "vector": _VECTOR if vector else None}
            )
        return [one.node_id for one in nodes]

    def delete(self, ref_doc_id: str, **_: Any) -> None:
        """Delete the nodes of a document."""
        self._collection.delete(filter=_equals("doc_id", ref_doc_id))

    def delete_nodes(self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None, **_: Any) -> None:
        """Delete nodes by id, by filter, or those that both choose. Raises ValueError without either."""
        chosen = _all_of(_ids(node_ids), filter_of(filters))
        if chosen is None:
            raise ValueError("node_ids or filters are needed; clear() deletes all")
        self._collection.delete(filter=chosen)

    def clear(self) -> None:
        """Delete all nodes."""
        self._collection.delete(all=True)

    def get_nodes(self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None) -> list[BaseNode]:
        """Give nodes by id, by filter, those that both choose, or all, in the order of first storing."""
        chosen = _all_of(_ids(node_ids), filter_of(filters))
        return [_node(one) for one in self._collection.scroll(filter=chosen)]

    def query(self, query: VectorStoreQuery, **options: Any) -> VectorStoreQueryResult:
        """Give the nodes nearest to a query. `options`: `SearchOptions`, such as `rerank`.

        DEFAULT and MMR search by vectors, SPARSE and TEXT_SEARCH by words, HYBRID by both.

        Raises:
            ValueError: another mode, HYBRID where the server doesn't embed, or a query without what the mode needs.
            NearfieldError: of the server.
        """
        if query.mode not in _MODES:
            msg = f"mode {query.mode.value!r} isn't served; known are {', '.join(one.value for one in _MODES)}"
            raise ValueError(msg)
        # Of an index over a vector store alone LlamaIndex sends no ids, and means all.
        chosen = [filter_of(query.filters), _ids(query.node_ids or None)]
        if query.doc_ids:
            chosen.append(_one_of("doc_id", query.doc_ids))
        filled: SearchOptions = {
            "mode": _MODES[query.mode],  # type: ignore[typeddict-item]  # they are its words
            "top_k": query.hybrid_top_k or query.similarity_top_k,
            "filter": _all_of(*chosen),
        }
        if query.mode is VectorStoreQueryMode.MMR:
            filled["diversity"] = 1 - (0.5 if query.mmr_threshold is None else query.mmr_threshold)
        if query.mode is VectorStoreQueryMode.HYBRID and query.alpha is not None:
            filled["fusion"] = Fusion(method="weighted", dense_weight=query.alpha, keyword_weight=1 - query.alpha)
        hits = self._collection.search(self._asked(query), **{**filled, **options})
        return VectorStoreQueryResult(
            nodes=[_node(one) for one in hits],
            similarities=[one.score for one in hits],
            ids=[str(one.id) for one in hits],
        )

    def _asked(self, query: VectorStoreQuery) -> Query:
        """Give the text or the vector to look for."""
        by_text = not self.is_embedding_query or _MODES[query.mode] == "keyword"
        if _MODES[query.mode] == "hybrid" and self.is_embedding_query:
            raise ValueError("hybrid search needs a text that the server embeds: server_embeds=True")
        if by_text and query.query_str is not None:
            return query.query_str
        if not by_text and query.query_embedding is not None:
            return np.array(query.query_embedding, np.float32)
        msg = f"the query has no {'query_str' if by_text else 'query_embedding'}"
        raise ValueError(msg)


def filter_of(filters: MetadataFilters | None) -> search_pb2.Filter | None:
    """Give the filter that does what LlamaIndex's do; None: it chooses all.

    Values of lists match one by one, as everywhere in Nearfield. TEXT_MATCH looks for whole words, in any case.

    Raises:
        ValueError: an operator with a value that it has no meaning for.
    """
    if filters is None or not filters.filters:
        return None
    parts = [
        part
        for one in filters.filters
        if (part := filter_of(one) if isinstance(one, MetadataFilters) else _condition(one)) is not None
    ]
    if not parts:
        return None
    together = search_pb2.FilterList(filters=parts)
    if filters.condition is FilterCondition.OR:
        return search_pb2.Filter(any_of=together)
    if filters.condition is FilterCondition.NOT:
        return _not(search_pb2.Filter(any_of=together))
    return search_pb2.Filter(all_of=together)


def _condition(one: MetadataFilter) -> search_pb2.Filter:
    key, value = one.key, one.value
    if one.operator in _BOUNDS:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            msg = f"{key} {one.operator.value}: needs a number, not {type(value).__name__}"
            raise ValueError(msg)
        bounds = search_pb2.NumberRange(field=_path(key), **{_BOUNDS[one.operator]: value})
        return search_pb2.Filter(number_range=bounds)
    if (make := _OPERATORS.get(one.operator)) is None:
        msg = f"operator {one.operator.value!r} isn't served"
        raise ValueError(msg)
    wants_list = one.operator in _OF_LISTS
    if one.operator is not FilterOperator.IS_EMPTY and (value is None or isinstance(value, list) is not wants_list):
        msg = f"{key} {one.operator.value}: needs a {'list' if wants_list else 'single value'}"
        raise ValueError(msg)
    return make(key, value)


def _equals(key: str, value: Any) -> search_pb2.Filter:
    return search_pb2.Filter(equals=search_pb2.Equals(field=_path(key), value=_value(value)))


def _one_of(key: str, values: Sequence[Any]) -> search_pb2.Filter:
    if not values:  # nothing is one of none
        return _all_or_none(key, none=True)
    return search_pb2.Filter(one_of=search_pb2.OneOf(field=_path(key), values=map(_value, values)))


def _each(key: str, values: Sequence[Any]) -> search_pb2.Filter:
    if not values:
        return _all_or_none(key, none=False)
    return search_pb2.Filter(all_of=search_pb2.FilterList(filters=[_equals(key, one) for one in values]))


def _all_or_none(key: str, *, none: bool) -> search_pb2.Filter:
    """Give a filter that every point meets, or that none does."""
    there = search_pb2.Filter(exists=_path(key))
    both = search_pb2.FilterList(filters=[there, _not(there)])
    return search_pb2.Filter(all_of=both) if none else search_pb2.Filter(any_of=both)


def _words(key: str, value: Any) -> search_pb2.Filter:
    return search_pb2.Filter(words=search_pb2.Words(field=_path(key), words=str(value)))


def _not(one: search_pb2.Filter) -> search_pb2.Filter:
    return search_pb2.Filter(negated=one)


_OPERATORS: dict[FilterOperator, Callable[[str, Any], search_pb2.Filter]] = {
    FilterOperator.EQ: _equals,
    FilterOperator.NE: lambda key, value: _not(_equals(key, value)),
    FilterOperator.IN: _one_of,
    FilterOperator.NIN: lambda key, value: _not(_one_of(key, value)),
    FilterOperator.ANY: _one_of,
    FilterOperator.ALL: _each,
    FilterOperator.CONTAINS: _equals,
    FilterOperator.TEXT_MATCH: _words,
    FilterOperator.TEXT_MATCH_INSENSITIVE: _words,
    FilterOperator.IS_EMPTY: lambda key, _: _not(search_pb2.Filter(exists=_path(key))),
}
_OF_LISTS = {FilterOperator.IN, FilterOperator.NIN, FilterOperator.ANY, FilterOperator.ALL}


def _ids(ids: Sequence[str] | None) -> search_pb2.Filter | None:
    if ids is None:
        return None
    if not ids:
        return _all_or_none("doc_id", none=True)
    return search_pb2.Filter(ids=search_pb2.PointIds(ids=map(id_message, ids)))


def _all_of(*parts: search_pb2.Filter | None) -> search_pb2.Filter | None:
    there = [one for one in parts if one is not None]
    return search_pb2.Filter(all_of=search_pb2.FilterList(filters=there)) if there else None


def _path(key: str) -> str:
    """Give the path of a top-level key, which may hold dots."""
    return f'"{key}"' if "." in key else key


def _value(value: Any) -> search_pb2.FilterValue:
    if isinstance(value, bool):
        return search_pb2.FilterValue(boolean=value)
    if isinstance(value, int):
        return search_pb2.FilterValue(integer=value)
    if isinstance(value, float):
        return search_pb2.FilterValue(number=value)
    return search_pb2.FilterValue(text=str(value))


def _row(node: BaseNode) -> dict[str, Any]:
    row = node_to_metadata_dict(node, remove_text=True)
    row |= {_ID: node.node_id, _TEXT: node.get_content(metadata_mode=MetadataMode.NONE)}
    if node.embedding is not None:
        row[_VECTOR] = np.array(node.embedding, np.float32)
    return row


def _node(one: Hit | Point) -> BaseNode:
    return metadata_dict_to_node(one.payload, text=one.text)
