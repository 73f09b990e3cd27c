"""Pages of the documentation as data: code blocks with their marks, commands, links and anchors.

A comment directly before a block of commands says how it is run, if the tests of the documentation do not run it:
`<!-- run: tests/agent/test_x.py -->` or `<!-- not run: it needs an account of Datadog -->`. This module only reads
pages.
"""

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

REPOSITORY = Path(__file__).parents[2]
MARK = re.compile(r"<!-- (?P<kind>run|not run): (?P<text>.+?) -->")
COMMANDS = "sh"
IGNORED = {
    ".venv",
    ".venv-check",
    ".venv-docs",
    ".sandbox",
    ".git",
    "site",
    "data",
    "test-results",
    "website",
}
OPERATORS = re.compile(r"[;&|]+|\(|\)")
REDIRECTION = re.compile(r"[<>]+&?")
KEYWORDS = {"while", "do", "done", "if", "then", "else", "fi", "for"}
_PARSER = MarkdownIt("commonmark").enable("table")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One fenced block. `mark` is (kind, text) of the comment before it."""

    page: str
    line: int
    language: str
    text: str
    mark: tuple[str, str] | None = None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages(repository: Path = REPOSITORY) -> list[Path]:
    """Return all Markdown files of the repository."""
    found = (path.relative_to(repository) for path in repository.rglob("*.md"))
    return [repository / path for path in sorted(found) if not IGNORED & set(path.parts)]


@cache
def _tokens(page: Path) -> Sequence[Token]:
    return _PARSER.parse(page.read_text(encoding="utf-8"))


def blocks(page: Path, repository: Path = REPOSITORY) -> list[Block]:
    """Return the code blocks of a page; the language of an indented block is empty."""
    return list(_blocks(_tokens(page), str(page.relative_to(repository))))


def _blocks(tokens: Sequence[Token], page: str) -> Iterator[Block]:
    before: Token | None = None
    for token in tokens:
        if token.type in ("fence", "code_block"):
            mark = MARK.fullmatch(before.content.strip()) if before else None
            yield Block(
                page=page,
                line=(token.map or [0])[0] + 1,
                language=token.info.strip().partition(" ")[0],
                text=token.content,
                mark=(mark["kind"], mark["text"]) if mark else None,
            )
        before = token if token.type == "html_block" else None


def all_blocks(*languages: str) -> list[Block]:
    """Return the blocks of all pages; with `languages` only those."""
    found = [block for page in pages() for block in blocks(page)]
    return [block for block in found if not languages or block.language in languages]


def inline_commands(page: Path, programs: tuple[str, ...]) -> list[str]:
    """Return the code in the text of a page that starts with one of the programs and a space."""
    code = [
        child.content
        for token in _tokens(page)
        for child in token.children or ()
        if child.type == "code_inline"
    ]
    return [text for text in code if text.partition(" ")[0] in programs and " " in text]


def lines(text: str) -> list[str]:
    """Return the lines of a shell text, with continued lines joined and without comments and empty lines."""
    joined = re.sub(r"\\\n\s*", " ", text)
    return [line for line in joined.splitlines() if line.strip() and line.lstrip()[0] != "#"]


def commands(text: str) -> list[list[str]]:
    """Return the simple commands of a shell text as lists of words, without assignments before them and redirections.

    Raises ValueError if a quotation is not closed.
    """
    return [command for line in lines(text) for command in _simple_commands(line)]


def _simple_commands(line: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="();<>|&")
    lexer.whitespace_split = True
    lexer.commenters = "#"
    words: list[str] = []
    skipped = False
    for word in lexer:
        if OPERATORS.fullmatch(word):
            yield from _without_prefix(words)
            words = []
        elif REDIRECTION.fullmatch(word):
            skipped = True
        elif skipped:
            skipped = False
        else:
            words.append(word)
    yield from _without_prefix(words)


def _without_prefix(words: list[str]) -> Iterator[list[str]]:
    rest = list(words)
    while rest and (rest[0] in KEYWORDS or re.match(r"[A-Za-z_]\w*=", rest[0])):
        rest.pop(0)
    if rest:
        yield rest


def links(page: Path) -> list[str]:
    """Return the targets of all links and images of a page."""
    children = [child for token in _tokens(page) for child in token.children or ()]
    found = [child.attrGet("href") for child in children if child.type == "link_open"]
    found += [child.attrGet("src") for child in children if child.type == "image"]
    return [str(target) for target in found]


def anchors(page: Path) -> list[str]:
    """Return the names of the parts of a page for links: slugs of headings and ids in HTML, with repetitions."""
    text = page.read_text(encoding="utf-8")
    found = re.findall(r'<a id="([^"]+)">', text)
    seen: dict[str, int] = {}
    tokens = _tokens(page)
    for index, token in enumerate(tokens):
        if token.type == "heading_open":
            slug = _slug(tokens[index + 1])
            number = seen.get(slug, 0)
            seen[slug] = number + 1
            found.append(f"{slug}-{number}" if number else slug)
    return found


def _slug(heading: Token) -> str:
    shown = [
        child.content for child in heading.children or () if child.type in ("text", "code_inline")
    ]
    return re.sub(r"[^\w\- ]", "", "".join(shown).lower()).replace(" ", "-")
