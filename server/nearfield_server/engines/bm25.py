"""Words of texts as sparse vectors, by Qdrant Edge's BM25 encoder: the same that a Qdrant server uses.

Its calls keep the interpreter to themselves, a quarter of a microsecond a word. It divides texts at blanks and signs;
scripts without blanks (Chinese, Japanese, Thai) are given to it as single characters and pairs of neighbours, whatever
the language. Its own tokeniser for them guesses the language of each text, and a Japanese query without kana is read as
Chinese and finds nothing.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import numpy as np
from qdrant_edge import Bm25 as _Encoder
from qdrant_edge import Bm25Config, SparseVector, StopwordsSet, TokenizerType

from nearfield_server.errors import InvalidInput
from nearfield_server.filters import spaced
from nearfield_server.types import KeywordOptions, SparseRow

__all__ = ["LANGUAGES", "Bm25"]

LANGUAGES = (
    "arabic",
    "azerbaijani",
    "basque",
    "bengali",
    "catalan",
    "chinese",
    "danish",
    "dutch",
    "english",
    "finnish",
    "french",
    "german",
    "greek",
    "hebrew",
    "hinglish",
    "hungarian",
    "indonesian",
    "italian",
    "japanese",
    "kazakh",
    "nepali",
    "none",
    "norwegian",
    "portuguese",
    "romanian",
    "russian",
    "slovene",
    "spanish",
    "swedish",
    "tajik",
    "turkish",
)
"""What `KeywordOptions.language` may be."""


class Bm25:
    """Makes sparse vectors of texts; equal options give equal vectors."""

    def __init__(self, options: KeywordOptions) -> None:
        """Raise `InvalidInput` for an unknown language, or constants out of their ranges."""
        if options.language not in LANGUAGES:
            near = difflib.get_close_matches(options.language.lower(), LANGUAGES, n=3)
            hint = f"did you mean {', '.join(near)}?" if near else f"known are {', '.join(LANGUAGES)}"
            raise InvalidInput("keyword_search.language", f"no language that is known here; {hint}")
        try:
            self._encoder = _Encoder(_config(options))
        except ValueError:
            ranges = "k must be in [0, 10], b in [0, 1] and average_words greater than 0"
            raise InvalidInput("keyword_search", ranges) from None

    def documents(self, texts: Sequence[str]) -> list[SparseRow]:
        """Give the weights of the words of each text, without IDF; a text without words gives an empty row."""
        return [_row(self._encoder.embed_document(spaced(text))) for text in texts]

    def query(self, text: str) -> SparseRow:
        """Give the words of a query, each of weight 1."""
        return _row(self._encoder.embed_query(spaced(text)))


def _config(options: KeywordOptions) -> Bm25Config:
    plain = options.language == "none"
    return Bm25Config(
        k=options.k,
        b=options.b,
        avg_len=options.average_words,
        tokenizer=TokenizerType.Word,
        language="chinese" if plain else options.language,  # the one without a stemmer: only stop words to take out
        stopwords=StopwordsSet(languages=set(), custom=set()) if plain else None,
    )


def _row(vector: SparseVector) -> SparseRow:
    ids = np.array(vector.indices, np.uint32)
    order = np.argsort(ids, kind="stable")
    return SparseRow(ids[order], np.array(vector.values, np.float32)[order])
