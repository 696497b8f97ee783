"""Exact search over a collection that isn't in memory: one pass over the database for several queries.

Memory holds a chunk of vectors, the rows that each query may give, and its best so far.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nearfield_server.engines.embedded.exact_scores import Found, best, idf, nearest
from nearfield_server.engines.embedded.reads import matching_rows, rows_of_ids
from nearfield_server.engines.embedded.sql_filters import matching
from nearfield_server.types import EngineQuery, SimilarityMetric, SparseRow

__all__ = ["allowed_rows", "search_database"]

_CHUNK_BYTES = 4 * 2**20
_CHUNK_ROWS = 4096
_SPARSE_ROWS = 2048
_SPREAD = 4  # rows that are further apart than this, on average, are read one by one


@dataclass(slots=True, eq=False)
class _Ranking:
    query: EngineQuery
    allowed: npt.NDArray[np.int64]
    found: Found


def search_database(
    connection: sqlite3.Connection,
    queries: Sequence[EngineQuery],
    metric: SimilarityMetric,
    now: float,
) -> list[Found]:
    """Give rows and scores for each query, best first."""
    nothing = np.zeros(0, np.int64), np.zeros(0, np.float32)
    rankings = [_Ranking(one, allowed_rows(connection, one, now), nothing) for one in queries]
    _by_vectors(connection, [one for one in rankings if one.query.dense is not None], metric)
    _by_words(connection, [one for one in rankings if one.query.sparse is not None])
    return [one.found for one in rankings]


def allowed_rows(connection: sqlite3.Connection, query: EngineQuery, now: float) -> npt.NDArray[np.int64]:
    """Give the rows that a query may give, ascending."""
    with matching(connection, query.filter) as where:
        rows = matching_rows(connection, query.tenant, where, now)
    if query.exclude:
        out = list(rows_of_ids(connection, query.tenant, query.exclude).values())
        rows = rows[~np.isin(rows, np.array(out, np.int64))]
    return rows


def _by_vectors(connection: sqlite3.Connection, rankings: Sequence[_Ranking], metric: SimilarityMetric) -> None:
    if not rankings:
        return
    dense = rankings[0].query.dense
    width = 0 if dense is None else len(dense)
    union = rankings[0].allowed
    for one in rankings[1:]:
        union = union if one.allowed is union else np.union1d(union, one.allowed)
    for rows, vectors in _vectors(connection, union, width):
        for one in rankings:
            if one.query.dense is None:
                continue
            wanted = _holding(one.allowed, rows)
            if not wanted.any():
                continue
            places, scores = nearest(vectors, one.query.dense, metric, one.query.limit, wanted)
            together = np.concatenate([one.found[0], rows[places]]), np.concatenate([one.found[1], scores])
            one.found = best(together, one.query.limit)


def _vectors(
    connection: sqlite3.Connection, rows: npt.NDArray[np.int64], width: int
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]]:
    """Give the vectors of `rows` and perhaps of some between them, in chunks. No snapshot is held between chunks."""
    size = max(1, min(_CHUNK_ROWS, _CHUNK_BYTES // (4 * width)))
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        first, last = int(part[0]), int(part[-1])
        if last - first <= _SPREAD * len(part):
            statement = "SELECT row, vector FROM vectors WHERE row BETWEEN ? AND ?"
            found = connection.execute(statement, (first, last)).fetchall()
        else:
            found = []
            for row in part.tolist():
                found += connection.execute("SELECT row, vector FROM vectors WHERE row = ?", (row,)).fetchall()
        if found:
            vectors = np.frombuffer(b"".join(vector for _, vector in found), "<f4").reshape(len(found), width)
            yield np.array([row for row, _ in found], np.int64), vectors


def _by_words(connection: sqlite3.Connection, rankings: Sequence[_Ranking]) -> None:
    if not rankings:
        return
    words = np.unique(np.concatenate([one.query.sparse.ids for one in rankings if one.query.sparse is not None]))
    rows, ids, weights = _postings(connection, words)
    (points,) = connection.execute("SELECT count(*) FROM points").fetchone()
    for one in rankings:
        if one.query.sparse is not None:
            scored = _scores(one.query.sparse, (rows, ids, weights), points)
            keep = _holding(one.allowed, scored[0])
            one.found = best((scored[0][keep], scored[1][keep]), one.query.limit)


def _scores(
    words: SparseRow,
    postings: tuple[npt.NDArray[np.int64], npt.NDArray[np.uint32], npt.NDArray[np.float32]],
    points: int,
) -> Found:
    """Give the BM25 scores of all rows that hold one of the words."""
    rows, ids, weights = postings
    parts = [
        (np.flatnonzero(ids == word), float(weight)) for word, weight in zip(words.ids, words.weights, strict=True)
    ]
    at = np.concatenate([places for places, _ in parts]) if parts else np.zeros(0, np.int64)
    factors = [np.full(len(places), weight * idf(points, len(places))) for places, weight in parts]
    values = weights[at].astype(np.float64) * (np.concatenate(factors) if factors else 1.0)
    given, inverse = np.unique(rows[at], return_inverse=True)
    sums = np.bincount(inverse, weights=values, minlength=len(given))
    return given, sums.astype(np.float32)


def _postings(
    connection: sqlite3.Connection, words: npt.NDArray[np.uint32]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint32], npt.NDArray[np.float32]]:
    """Give rows, ids and weights of all places where one of the words stands in the collection."""
    rows, ids, weights = [np.zeros(0, np.int64)], [np.zeros(0, np.uint32)], [np.zeros(0, np.float32)]
    after = 0
    while True:
        statement = "SELECT row, weights FROM sparse WHERE row > ? ORDER BY row LIMIT ?"
        found = connection.execute(statement, (after, _SPARSE_ROWS)).fetchall()
        if not found:
            return np.concatenate(rows), np.concatenate(ids), np.concatenate(weights)
        after = found[-1][0]
        lengths = np.array([len(data) // 8 for _, data in found])
        raw = np.frombuffer(b"".join(data for _, data in found), "<u4")
        # each point has its ids, then as many weights
        starts = np.concatenate([[0], np.cumsum(2 * lengths)[:-1]])
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        at = np.repeat(starts, lengths) + within
        hit = np.isin(raw[at], words)
        places = at[hit]
        rows.append(np.repeat(np.array([row for row, _ in found], np.int64), lengths)[hit])
        ids.append(raw[places])
        weights.append(raw[places + np.repeat(lengths, lengths)[hit]].view("<f4"))


def _holding(sorted_rows: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Tell which of `rows` stand in `sorted_rows`."""
    if not len(sorted_rows):
        return np.zeros(len(rows), np.bool_)
    places = np.minimum(np.searchsorted(sorted_rows, rows), len(sorted_rows) - 1)
    return np.asarray(sorted_rows[places] == rows)
