"""Names of clusters: class-based TF-IDF (c-TF-IDF, Grootendorst 2022, arXiv:2203.05794).

    weight(term, cluster) = share of the term in the cluster * log(1 + words per cluster / occurrences of the term)

Stop words aren't keywords, nor do keywords of several words begin or end with one. A word of the lists counts as a stop
word only where it is spread over the clusters about as they are large: "system" may be on a list, and yet be what a
cluster is about.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import CountVectorizer

from nearfield_server.core.clustering.fit.words import languages_of, stop_words_of, words_of
from nearfield_server.core.clustering.nouns import IntColumn, Keyword, LabelOptions

__all__ = ["keywords_of"]

_MAX_TERMS = 200_000
_MAX_DOCUMENTS = 200_000
_CHARACTERISTIC = 0.6
"""A listed word is kept where its spread over the clusters has at most this share of the entropy of their sizes."""
_TOLD_APART = 0.8
"""A term that stands in nearly all places where a longer keyword stands adds nothing to it."""


def keywords_of(
    texts: Sequence[str], labels: IntColumn, clusters: int, options: LabelOptions, seed: int
) -> list[tuple[Keyword, ...]]:
    """Give the keywords of each place; none for clusters without texts. `labels` are places, -1 is noise."""
    rows = np.flatnonzero((labels >= 0) & np.fromiter(map(bool, texts), np.bool_, len(texts)))
    if len(rows) > _MAX_DOCUMENTS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, _MAX_DOCUMENTS, replace=False))
    if not len(rows):
        return [()] * clusters
    chosen = [texts[row] for row in rows.tolist()]
    listed = stop_words_of(options.languages or languages_of(chosen))
    never = frozenset(word for text in options.stop_words for word in words_of(text))
    counts = _Counts(chosen, labels[rows], clusters, words=options.max_words)
    stops = never | _said_everywhere(counts, listed)
    allowed = np.array([_may_be_keyword(term, stops) for term in counts.terms], np.bool_)
    if not allowed.any():
        return [()] * clusters
    counts = counts.only(allowed)
    weights = _weights(counts.table)
    return [_best(counts, weights, place, options.keywords) for place in range(clusters)]


class _Counts:
    """How often each term stands in the texts of each cluster."""

    def __init__(self, texts: Sequence[str], labels: IntColumn, clusters: int, *, words: int) -> None:
        # Terms of one text only name no cluster of many.
        least = 2 if len(texts) > 20 * clusters else 1
        vectorizer = CountVectorizer(
            analyzer=lambda text: _terms(words_of(text), words), min_df=least, max_features=_MAX_TERMS
        )
        try:
            table = vectorizer.fit_transform(texts)
        except ValueError:  # there are no words at all
            self.terms: list[str] = []
            self.table = csr_array((clusters, 0), dtype=np.float32)
            return
        self.terms = vectorizer.get_feature_names_out().tolist()
        member = csr_array(
            (np.ones(len(labels), np.float32), (labels, np.arange(len(labels)))), (clusters, len(labels))
        )
        self.table = csr_array(member @ table)

    def only(self, chosen: npt.NDArray[np.bool_]) -> _Counts:
        """Keep some of the terms."""
        kept = object.__new__(_Counts)
        kept.terms = [term for term, keep in zip(self.terms, chosen, strict=True) if keep]
        kept.table = csr_array(self.table[:, np.flatnonzero(chosen)])
        return kept


def _terms(words: list[str], longest: int) -> list[str]:
    return [" ".join(words[at : at + size]) for size in range(1, longest + 1) for at in range(len(words) - size + 1)]


def _may_be_keyword(term: str, stops: frozenset[str]) -> bool:
    words = term.split(" ")
    return words[0] not in stops and words[-1] not in stops


def _said_everywhere(counts: _Counts, listed: frozenset[str]) -> frozenset[str]:
    """Give those of the listed words that are no cluster's own."""
    known = [at for at, term in enumerate(counts.terms) if term in listed]
    clusters = counts.table.shape[0]
    if not known or clusters == 1:
        return listed
    table = counts.table[:, known].toarray()
    sizes = np.asarray(counts.table.sum(axis=1)).ravel() + 1.0
    # Shares as if all clusters were equally long.
    rates = table / sizes[:, None]
    shares = rates / rates.sum(axis=0)
    entropy = -np.where(shares > 0, shares * np.log(np.where(shares > 0, shares, 1.0)), 0.0).sum(axis=0)
    kept = {
        counts.terms[at] for at, one in zip(known, entropy, strict=True) if one <= _CHARACTERISTIC * np.log(clusters)
    }
    return listed - kept


def _weights(table: csr_array) -> csr_array:
    lengths = np.maximum(np.asarray(table.sum(axis=1)).ravel(), 1.0)
    occurrences = np.asarray(table.sum(axis=0)).ravel()
    idf = np.log1p(lengths.mean() / np.maximum(occurrences, 1.0))
    weighted = table.astype(np.float64).tocoo()
    data = weighted.data / lengths[weighted.row] * idf[weighted.col]
    return csr_array((data, (weighted.row, weighted.col)), table.shape)


def _best(counts: _Counts, weights: csr_array, place: int, wanted: int) -> tuple[Keyword, ...]:
    """Give the best terms of a cluster, those left out that only repeat a part of a better or longer one."""
    start, end = weights.indptr[place], weights.indptr[place + 1]
    columns, values = weights.indices[start:end], weights.data[start:end]
    occurrences = dict(zip(columns.tolist(), _row(counts.table, place, columns), strict=True))
    order = np.lexsort((columns, -values))
    chosen: list[tuple[str, float, float]] = []
    for at in order[: 20 * wanted]:
        term, count = counts.terms[columns[at]], occurrences[int(columns[at])]
        if not any(_repeats(term, count, other, others) for other, _, others in chosen):
            chosen.append((term, float(values[at]), count))
    chosen = _without_parts(chosen)[:wanted]
    best = chosen[0][1] if chosen else 1.0
    return tuple(Keyword(term, value / best) for term, value, _ in chosen)


def _row(table: csr_array, place: int, columns: npt.NDArray[np.int32]) -> list[float]:
    row = np.zeros(table.shape[1], np.float32)
    start, end = table.indptr[place], table.indptr[place + 1]
    row[table.indices[start:end]] = table.data[start:end]
    return [float(one) for one in row[columns]]


def _repeats(term: str, count: float, other: str, others: float) -> bool:
    """Whether `term`, found after `other`, is a longer form of it that is rarer, or a part of it not seen elsewhere."""
    if f" {other} " in f" {term} ":
        return count < _TOLD_APART * others
    return f" {term} " in f" {other} " and others >= _TOLD_APART * count


def _without_parts(chosen: list[tuple[str, float, float]]) -> list[tuple[str, float, float]]:
    """Let "york" go where "new york" says the same; it keeps the better place of the two."""
    result: list[tuple[str, float, float]] = []
    for term, value, count in chosen:
        parts = [
            at for at, (one, _, ones) in enumerate(result) if f" {one} " in f" {term} " and count >= _TOLD_APART * ones
        ]
        if parts:
            result[parts[0]] = (term, result[parts[0]][1], count)
            result = [one for at, one in enumerate(result) if at not in parts[1:]]
        else:
            result.append((term, value, count))
    return result
