"""A text, Markdown or HTML file as one text with its headings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

from nearfield_server.cli.files.rows import InputError

__all__ = ["DOCUMENTS", "SUFFIXES", "Document", "Heading", "read_document"]

DOCUMENTS = {".txt": "text", ".md": "markdown", ".markdown": "markdown", ".html": "html", ".htm": "html"}
SUFFIXES = (*DOCUMENTS, ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet", ".pq")
"""Files that a folder is searched for: documents, and files of rows."""
_HEADING = re.compile(r"^(#{1,6})[ \t]+(.+?)[ \t]*#*[ \t]*$")
_FENCE = re.compile(r"^[ ]{0,3}(```|~~~)")
_BLOCKS = frozenset(
    [
        "address",
        "article",
        "aside",
        "blockquote",
        "dd",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figure",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hr",
        "li",
        "main",
        "nav",
        "ol",
        "p",
        "pre",
        "section",
        "table",
        "td",
        "th",
        "tr",
        "ul",
        "br",
    ]
)
_UNSEEN = frozenset({"script", "style", "template", "noscript", "head"})
_VOID = frozenset({"br", "hr"})
_TITLES = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading's words, and where its part of the text begins, in code points."""

    start: int
    title: str


@dataclass(frozen=True, slots=True)
class Document:
    """A text with its headings, ascending by `start`."""

    text: str
    headings: tuple[Heading, ...] = ()

    @property
    def title(self) -> str:
        """Give its first heading."""
        return self.headings[0].title if self.headings else ""


def read_document(path: Path) -> Document:
    """Read a file whose suffix is one of `DOCUMENTS`. Raises InputError or OSError."""
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8: byte {error.start}") from error
    kind = DOCUMENTS[path.suffix.lower()]
    if kind == "html":
        return _of_html(text)
    return Document(text, _markdown_headings(text) if kind == "markdown" else ())


def _markdown_headings(text: str) -> tuple[Heading, ...]:
    found, at, fence = [], 0, ""
    for line in text.splitlines(keepends=True):
        if marks := _FENCE.match(line):
            fence = "" if fence == marks[1] else fence or marks[1]
        elif not fence and (title := _HEADING.match(line.rstrip())):
            found.append(Heading(at, title[2]))
        at += len(line)
    return tuple(found)


def _of_html(text: str) -> Document:
    parser = _Reader()
    parser.feed(text)
    parser.close()
    return Document("".join(parser.parts), tuple(parser.headings))


class _Reader(HTMLParser):
    """Keeps what a reader would see; a block begins a line of its own."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.headings: list[Heading] = []
        self._length = 0
        self._unseen = ""
        self._title: list[str] | None = None
        self._title_start = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        del attrs
        if not self._unseen and tag in _UNSEEN:
            self._unseen = tag
        elif not self._unseen and tag in _BLOCKS:
            self._break(1 if tag in _VOID else 2)
            if tag in _TITLES:
                self._title, self._title_start = [], self._length
        elif tag == "body":
            self._unseen = ""  # a head that was never closed

    def handle_endtag(self, tag: str) -> None:
        if tag == self._unseen:
            self._unseen = ""
        elif not self._unseen and tag in _BLOCKS:
            if tag in _TITLES and self._title is not None:
                if title := " ".join("".join(self._title).split()):
                    self.headings.append(Heading(self._title_start, title))
                self._title = None
            self._break(2)

    def handle_data(self, data: str) -> None:
        if self._unseen:
            return
        words = " ".join(data.split())
        if not words:
            if data and self.parts and not self.parts[-1].endswith((" ", "\n")):
                self._put(" ")
            return
        before = " " if data[0].isspace() and self.parts and not self.parts[-1].endswith((" ", "\n")) else ""
        self._put(before + words + (" " if data[-1].isspace() else ""))

    def _put(self, text: str) -> None:
        self.parts.append(text)
        self._length += len(text)
        if self._title is not None:
            self._title.append(text)

    def _break(self, lines: int) -> None:
        if not self.parts:
            return
        there = self.parts[-1]
        missing = lines - (len(there) - len(there.rstrip("\n")))
        if missing > 0:
            self._put("\n" * missing)
