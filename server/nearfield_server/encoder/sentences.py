"""Where a text may be divided: at sentences, else clauses, else words, else between characters as readers see them.

A border is a position in code points. Blanks after a sentence belong to the next one: most tokenizers join a blank
to the word that follows it. The rules are a part of Unicode's (UAX #29): a full stop ends a sentence only before a
blank, and not before a small letter (SB8), nor after an initial or a known abbreviation; marks of scripts without
blanks end one anywhere. Unlike there, a single line break doesn't: prose is often wrapped. All takes time in
proportion to the text, whatever is in it.
"""

# ruff: noqa: RUF001 - marks and letters of many scripts
from __future__ import annotations

import re
import unicodedata

__all__ = ["character_border", "clause_borders", "sentence_borders", "word_borders"]

_CLOSING = "\"'”’»›)\\]}）」』】》〉"
_STOPS = ".!?…‽؟۔।॥።፧՜՞։"
_WIDE_STOPS = "。｡！？．︒"
# Each run of marks is looked at once, from its first: hence the look-behind, and quantifiers that never step back.
_SENTENCE_END = re.compile(
    rf"(?<![{_STOPS}])(?P<stop>[{_STOPS}]++)[{_CLOSING}]*+(?=\s)"
    rf"|(?<![{_WIDE_STOPS}])[{_WIDE_STOPS}]++[{_CLOSING}]*+"
    rf"|(?<![!?])[!?]++[{_CLOSING}]*+(?=[\u3040-\u30ff\u3400-\u9fff])"
    r"|\n[^\S\n]*+(?=\n)|\u2029"
)
_CLAUSE_END = re.compile(rf"(?<![,;:])[,;:]++[{_CLOSING}]*+(?=\s)|[،؛；，、：—–]|[)\]](?=\s)|\n")
_WORD_END = re.compile(r"(?<!\s)(?=\s)")
_NEXT = re.compile(r"\s*+[\"'“‘«‹(\[{¿¡]*+(.)", re.DOTALL)
# What stands before the stop: letters, with stops between them ("e.g", "z.B", "U.S").
_WORD_BEFORE = re.compile(r"(?:[^\W\d_]|\.(?=[^\W\d_]))++\Z")
_LOOK_BACK = 24

_ABBREVIATIONS = frozenset(
    """
    mr mrs ms dr prof st sr jr rev hon gen col maj capt lt sgt gov sen rep pres messrs mme mlle mgr vs cf al fig figs
    eq eqs no nos vol vols ch sec art ed eds p pp par approx dept est inc ltd co corp univ resp viz
    jan feb mar apr jun jul aug sept sep oct nov dec mt ave blvd rd
    bzw ca evtl ggf hr fr nr str tel usw vgl abb bd bzgl inkl zzgl sog
    sra srta dra ud uds pág núm av dott sig sigg geom ing avv env éd
    г гг ул стр рис им тов проф
    """.split()  # noqa: SIM905 - a list of words
)
_DOTTED = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]", re.UNICODE)

_JOINER = "\u200d"
_MODIFIERS = range(0x1F3FB, 0x1F400)
_FLAGS = range(0x1F1E6, 0x1F200)
_TAGS = range(0xE0020, 0xE0080)
_VOWELS_AND_TAILS = range(0x1160, 0x1200)
"""Hangul letters that continue a syllable."""
_LONGEST_CHARACTER = 64


def sentence_borders(text: str) -> list[int]:
    """Give where each sentence but the last ends, ascending, without 0 and the end."""
    found = []
    for match in _SENTENCE_END.finditer(text):
        if match["stop"] == "." and _goes_on(text, match.start(), match.end()):
            continue
        found.append(match.end())
    return [one for one in found if 0 < one < len(text)]


def clause_borders(text: str) -> list[int]:
    """Give the ends of clauses and lines, as `sentence_borders`."""
    return [end for match in _CLAUSE_END.finditer(text) if 0 < (end := match.end()) < len(text)]


def word_borders(text: str) -> list[int]:
    """Give the ends of words, before the blanks, as `sentence_borders`."""
    return [end for match in _WORD_END.finditer(text) if 0 < (end := match.end()) < len(text)]


def character_border(text: str, at: int) -> int:
    """Give the last position up to `at` that isn't inside a character; `at` where one has no end in sight."""
    for one in range(at, max(0, at - _LONGEST_CHARACTER), -1):
        if one >= len(text) or not _joined(text, one):
            return one
    return at if at > _LONGEST_CHARACTER else 0


def _goes_on(text: str, stop: int, end: int) -> bool:
    """Whether the sentence goes on after the single full stop at `stop`; `end` is behind closing marks."""
    follows = _NEXT.match(text, end)
    if follows is not None and follows[1].islower():
        return True
    if end != stop + 1:
        return False
    before = _WORD_BEFORE.search(text, max(0, stop - _LOOK_BACK), stop)
    if before is None or unicodedata.category(text[before.start() - 1 : before.start()] or " ")[0] == "M":
        return False  # what looks like one letter is the end of a word with marks on it
    word = before[0]
    return word.lower() in _ABBREVIATIONS or (_DOTTED.fullmatch(word) is not None and word != "I")


def _joined(text: str, at: int) -> bool:
    """Whether the code points on both sides of `at` make one character (UAX #29, GB3 to GB13, in short)."""
    before, after = text[at - 1], text[at]
    if after.isascii():
        return before == "\r" and after == "\n"
    code = ord(after)
    if _JOINER in (before, after) or unicodedata.category(after)[0] == "M":
        return True
    if code in _MODIFIERS or code in _TAGS or code in _VOWELS_AND_TAILS:
        return True
    return code in _FLAGS and _flags_before(text, at) % 2 == 1


def _flags_before(text: str, at: int) -> int:
    """Count the letters of flags in front of `at`: two make a flag."""
    count = 0
    while count < min(at, _LONGEST_CHARACTER) and ord(text[at - 1 - count]) in _FLAGS:
        count += 1
    return count
