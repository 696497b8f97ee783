"""The words of a text, as `Words` sees them: the same on both sides of a comparison.

A text is brought into normal form C and lower case, and cut at what isn't a letter or digit; marks belong to the letter
before them. Scripts that put no blanks between words (Han, Hiragana, Katakana, Bopomofo, Thai, Lao, Burmese, Khmer) are
cut into single characters: a search for several of them finds all texts that hold them all, in whatever order.
"""

from __future__ import annotations

import itertools
import re
import sys
import unicodedata
from functools import lru_cache

__all__ = ["spaced", "words_of"]

_UNSPACED = (
    "\u0e00-\u0e4f\u0e80-\u0ecf\u1000-\u109f\u1780-\u17df"  # Thai, Lao, Burmese, Khmer
    "\u3005-\u3007\u3041-\u30ff\u3105-\u312f\u31a0-\u31bf\u31f0-\u31ff"  # iteration marks, kana, Bopomofo
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9d"  # Han, half-width Katakana
    "\U0001b000-\U0001b16f\U00020000-\U0003ffff"  # more kana, more Han
)


def words_of(text: str) -> tuple[str, ...]:
    """Give the words in their order, repeated ones too."""
    if text.isascii():
        return tuple(re.findall(r"[0-9a-z]+", text.lower()))
    return tuple(_pattern().findall(unicodedata.normalize("NFC", text).lower()))


def spaced(text: str) -> str:
    """Put blanks into what has none: a run of characters of unspaced scripts becomes these and all pairs of neighbours.

    What divides texts at blanks then finds single characters and, more telling, pairs (as Lucene's CJKBigramFilter).
    """
    if text.isascii() or not _unspaced().search(text):
        return text
    return _unspaced().sub(_pairs, unicodedata.normalize("NFC", text))


def _pairs(run: re.Match[str]) -> str:
    characters = _pattern().findall(run[0].lower())
    pairs = [first + second for first, second in itertools.pairwise(characters)]
    return f" {' '.join([*characters, *pairs])} "


@lru_cache(maxsize=1)
def _unspaced() -> re.Pattern[str]:
    return re.compile(f"[{_UNSPACED}][{_UNSPACED}{_marks()}]*")


@lru_cache(maxsize=1)
def _pattern() -> re.Pattern[str]:
    marks = f"[{_marks()}]*"
    return re.compile(rf"(?=[^\W_])[{_UNSPACED}]{marks}|(?:(?![{_UNSPACED}])[^\W_]{marks})+")


def _marks() -> str:
    """Give all combining marks, as ranges of a character class; all of them lie below U+20000 or are selectors."""
    ranges: list[list[int]] = []
    for code in (*range(0x300, 0x20000), *range(0xE0100, min(0xE01F0, sys.maxunicode))):
        if unicodedata.category(chr(code))[0] == "M":
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)
