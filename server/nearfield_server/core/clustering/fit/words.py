"""Texts to words, in any language, and which of them say nothing.

Words are runs of letters and digits, lower case. Chinese, Japanese and Thai put no blanks between words: runs of their
characters become overlapping pairs, as Lucene's CJKAnalyzer has them.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

import stopwordsiso

__all__ = ["languages_of", "stop_words_of", "words_of"]

# Han, kana, and Thai, Lao, Khmer and Myanmar. Korean has blanks.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
)
_TOKEN = re.compile(rf"[{_UNSPACED}]+|(?:(?![{_UNSPACED}])[^\W_])+(?:['\u2019](?:(?![{_UNSPACED}])[^\W_])+)?")
_RUN = re.compile(rf"[{_UNSPACED}]+")
_PAIR = 2
_SAMPLE = 2000
_LEAST_SHARE = 0.1
_NEAR_BEST = 0.6
_MAX_CHARACTERS = 20_000


def words_of(text: str) -> list[str]:
    """Give the words of the first 20,000 characters of a text, in order; numbers alone are none."""
    found: list[str] = []
    for token in _TOKEN.findall(unicodedata.normalize("NFKC", text[:_MAX_CHARACTERS]).lower()):
        if _RUN.match(token):
            found.extend(token[at : at + _PAIR] for at in range(max(1, len(token) - 1)))
        elif len(token) > 1 and not token.isdigit():
            found.append(token.replace("\u2019", "'"))
    return found


def languages_of(texts: Sequence[str]) -> list[str]:
    """Give the languages (ISO 639-1) that the texts seem to be in: those whose stop words are many of their words."""
    counts = Counter(word for text in texts[:: max(1, len(texts) // _SAMPLE)] for word in words_of(text))
    total = sum(counts.values())
    if not total:
        return []
    shares = {one: sum(counts[word] for word in stopwordsiso.stopwords(one)) / total for one in stopwordsiso.langs()}
    best = max(shares.values())
    return sorted(one for one, share in shares.items() if share >= max(_LEAST_SHARE, _NEAR_BEST * best))


def stop_words_of(languages: Iterable[str]) -> frozenset[str]:
    """Give the stop words of some languages; of those that aren't known none."""
    known = set(stopwordsiso.langs())
    return frozenset(word for one in languages if one in known for word in stopwordsiso.stopwords(one))
