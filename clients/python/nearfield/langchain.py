"""A collection as a LangChain vector store. Needs `nearfield[langchain]`.

    store = NearfieldVectorStore(client.collection("docs"))
    store.similarity_search("how to deploy", k=3, filter="lang = 'en'")

The server embeds texts with the collection's model, unless the store is given LangChain embeddings of its own. A
document's metadata are the point's payload, so that filters name them as they are. The async methods of LangChain run
the others in threads.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, Self

import numpy as np

try:
    from langchain_core.documents import Document
    from langchain_core.embeddings import Embeddings
    from langchain_core.vectorstores import VectorStore
except ImportError as error:
    msg = "langchain-core is missing: pip install 'nearfield[langchain]'"
    raise ImportError(msg) from error

from nearfield._client import Client
from nearfield._collection import Collection
from nearfield._errors import NotFound
from nearfield._search_requests import Query
from nearfield._search_types import CollectionOptions, Hit, Point, SearchOptions

__all__ = ["NearfieldVectorStore"]

# Columns that no metadata are named like.
_ID, _TEXT, _VECTOR = "\ue000id", "\ue000text", "\ue000vector"

Mode = Literal["dense", "keyword", "hybrid"]


class NearfieldVectorStore(VectorStore):
    """Documents in a collection."""

    def __init__(self, collection: Collection, embedding: Embeddings | None = None, *, mode: Mode = "dense") -> None:
        """Use a collection that is there.

        Args:
            collection: of some tenant: `client.collection(name, tenant)`.
            embedding: makes the vectors; None: the collection's own model does, in the server.
            mode: "dense" (by vectors), "keyword" (by words) or "hybrid" (both).

        Raises:
            ValueError: words with an `embedding`: vectors that are made elsewhere bring none.
        """
        if embedding is not None and mode != "dense":
            msg = f'mode is {mode!r}; with an embedding of your own it must be "dense"'
            raise ValueError(msg)
        self._collection = collection
        self._embedding = embedding
        self._mode = mode

    @property
    def embeddings(self) -> Embeddings | None:
        """What makes the vectors; None: the server."""
        return self._embedding

    @classmethod
    def from_texts(  # noqa: PLR0913 - LangChain's arguments and ours
        cls: type[Self],
        texts: list[str],
        embedding: Embeddings | None,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        client: Client | None = None,
        collection: str = "langchain",
        tenant: str = "",
        mode: Mode = "dense",
        **options: Any,
    ) -> Self:
        """Store texts in a collection, which is made if there is none.

        Args:
            texts: one for each document.
            embedding: makes the vectors; None: the server's model does.
            metadatas: one for each text.
            ids: one for each text; None: they are made.
            client: needed.
            collection: its name or alias.
            tenant: whose documents they are.
            mode: how to search; see `NearfieldVectorStore`.
            **options: `CollectionOptions` of a new collection, such as `model` and `payload_indexes`.

        Raises:
            TypeError: there is no client.
            NearfieldError: of the server.
        """
        if client is None:
            raise TypeError("client is needed: client=nearfield.Client(target)")
        store = cls(client.collection(collection, tenant), embedding, mode=mode)
        try:
            client.collection(collection).info()
        except NotFound:
            made: CollectionOptions = options  # type: ignore[assignment]  # the client checks the names
            if embedding is not None:
                made = {"dimensions": len(embedding.embed_query(collection)), **made}
            client.create_collection(collection, **made)
        store.add_texts(texts, metadatas, ids=ids)
        return store

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **options: Any,
    ) -> list[str]:
        """Store texts; give their ids. A text whose id is there replaces that one.

        Args:
            texts: one for each document.
            metadatas: one for each text: JSON values, datetimes and `GeoPoint`s.
            ids: one for each text; those that are None are made.
            **options: `UpsertOptions` but for the names of columns, such as `mode` and `batch_size`.

        Raises:
            ValueError: not as many ids or metadata as texts.
            NearfieldError: of the server.
        """
        texts = list(texts)
        given = list(ids) if ids is not None else [None] * len(texts)
        carried = metadatas if metadatas is not None else [{} for _ in texts]
        for name, values in (("ids", given), ("metadatas", carried)):
            if len(values) != len(texts):
                msg = f"{len(values)} {name} for {len(texts)} texts"
                raise ValueError(msg)
        names = [one or str(uuid.uuid4()) for one in given]
        rows = [
            {**metadata, _ID: name, _TEXT: text} for name, text, metadata in zip(names, texts, carried, strict=True)
        ]
        if self._embedding is not None and rows:
            for row, vector in zip(rows, self._embedding.embed_documents(texts), strict=True):
                row[_VECTOR] = np.array(vector, np.float32)
        vector_column = None if self._embedding is None else _VECTOR
        self._collection.upsert(rows, **{**options, "id": _ID, "text": _TEXT, "vector": vector_column})
        return names

    def delete(self, ids: list[str] | None = None, **_: Any) -> bool | None:
        """Delete documents; ids that aren't there do no harm.

        Raises:
            ValueError: without ids. All documents: `client.collection(name).delete(all=True)`.
        """
        if ids is None:
            raise ValueError("ids are needed; to delete all documents use the collection's own delete")
        if ids:
            self._collection.delete(ids)
        return True

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """Give the documents that are there, in the order of `ids`."""
        return [_document(one) for one in self._collection.get(ids)] if ids else []

    def similarity_search(self, query: str, k: int = 4, **options: Any) -> list[Document]:
        """Give the documents nearest to a text. `options`: `SearchOptions`, such as `filter` and `rerank`."""
        return [_document(one) for one in self._search(self._query(query), k, options)]

    def similarity_search_with_score(self, query: str, k: int = 4, **options: Any) -> list[tuple[Document, float]]:
        """Give the documents nearest to a text with their scores; a greater one is better."""
        return [(_document(one), one.score) for one in self._search(self._query(query), k, options)]

    def similarity_search_by_vector(self, embedding: list[float], k: int = 4, **options: Any) -> list[Document]:
        """Give the documents nearest to a vector."""
        return [_document(one) for one in self._search(np.array(embedding, np.float32), k, options, "dense")]

    def max_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **options: Any
    ) -> list[Document]:
        """Give documents that are near to a text and differ (MMR, Carbonell and Goldstein, 1998).

        `lambda_mult` 1 is relevance alone. The server chooses how many candidates there are: `fetch_k` is ignored.
        """
        del fetch_k
        options["diversity"] = 1 - lambda_mult
        return [_document(one) for one in self._search(self._query(query), k, options)]

    def max_marginal_relevance_search_by_vector(
        self, embedding: list[float], k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **options: Any
    ) -> list[Document]:
        """Give documents that are near to a vector and differ; see `max_marginal_relevance_search`."""
        del fetch_k
        options["diversity"] = 1 - lambda_mult
        return [_document(one) for one in self._search(np.array(embedding, np.float32), k, options, "dense")]

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        """Give what makes a score one in [0, 1]. Raises ValueError where scores have no bounds."""
        if self._mode != "dense" or self._collection.info().metric != "cosine":
            raise ValueError("only dense search by cosine has scores with bounds: use similarity_search_with_score")
        return lambda score: (1 + score) / 2

    def _query(self, text: str) -> Query:
        return text if self._embedding is None else np.array(self._embedding.embed_query(text), np.float32)

    def _search(self, query: Query, k: int, options: dict[str, Any], mode: Mode | None = None) -> list[Hit]:
        filled: SearchOptions = {"mode": mode or self._mode, "top_k": k, **options}  # type: ignore[typeddict-item]
        return self._collection.search(query, **filled)


def _document(one: Hit | Point) -> Document:
    return Document(id=str(one.id), page_content=one.text, metadata=one.payload)
