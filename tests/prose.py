"""Check the English of the repository: count words in docstrings and comments, and refuse banned words.

Usage: python tests/prose.py                 print the counts per package
       python tests/prose.py --check         also fail if a limit is broken or a banned word is used
       python tests/prose.py --check FILES   check only these files for banned words

Words, limits and allowed uses are in prose.toml beside this file. codespell does not fit, because it reads whole files
word by word: it finds no phrases, reports identifiers and strings that are data, and cannot count per package.
"""

import argparse
import ast
import io
import os
import re
import sys
import tokenize
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[1]
RULES = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
PACKAGES = ("contract", "sdk", "operator", "agent_image", "sandbox", "cli")

PATTERNS = (
    *(
        "*.py",
        "*.md",
        "*.sh",
        "*.js",
        "*.html",
        "*.go",
        "*.yaml",
        "*.yml",
        "*.toml",
        "*.tpl",
        "*.in",
    ),
    *("Makefile", "Dockerfile", "NOTES.txt", "values.schema.json", ".editorconfig"),
)
NOT_OURS = {
    ".venv",
    ".venv-check",
    ".sandbox",
    ".git",
    "__pycache__",
    "vendor",
    "dist",
    "test-results",
}
GENERATED = (
    "crds/*",
    "charts/*/files/crds/*",
    "observability/*",
    "docs/reference/*",
    "docs/benchmarks/*",
    "*.egg-info/*",
)

WORD = re.compile(r"[A-Za-z][A-Za-z'-]*")
NAME_PART = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
STRING = re.compile(r"(?s)(?P<prefix>[A-Za-z]*)(?P<quote>'''|\"\"\"|'|\")(?P<body>.*)(?P=quote)")
CONTEXT = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A piece of text, and the line of its file on which it starts."""

    line: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Banned:
    """A banned word in a file."""

    path: str
    line: int
    word: str
    use: str

    def __str__(self) -> str:
        return f'{self.path}:{self.line}: "{self.word}"; write instead: {self.use}'


def docstrings(source: str) -> list[str]:
    """Return the docstrings of modules, classes, functions and attributes."""
    return [
        node.value.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ]


def comments(source: str) -> list[Text]:
    """Return the comments; comments on consecutive lines form one text."""
    found: list[Text] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            _append(found, token.start[0], token.string.lstrip("#! "))
    return found


def strings(source: str) -> list[Text]:
    """Return the string literals that are texts: those of several words, without the expressions in f-strings."""
    found: list[Text] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.STRING and (match := STRING.fullmatch(token.string)):
            is_format = "f" in match["prefix"].lower()
            body = re.sub(r"\{[^{}]*\}", "{}", match["body"]) if is_format else match["body"]
            _append(found, token.start[0], body)
        elif tokenize.tok_name[token.type] == "FSTRING_MIDDLE":
            _append(found, token.start[0], token.string)
    return [text for text in found if " " in text.text]


def _append(texts: list[Text], line: int, text: str) -> None:
    """Join a text to the previous one if it is on the next line: a phrase may continue there."""
    if texts and texts[-1].line + texts[-1].text.count("\n") + 1 == line:
        last = texts.pop()
        texts.append(Text(line=last.line, text=f"{last.text}\n{text}"))
    else:
        texts.append(Text(line=line, text=text))


def counts(sources: Sequence[str]) -> dict[str, float]:
    """Return how often each counted word occurs in 10,000 words of docstrings and comments."""
    prose = [text for source in sources for text in docstrings(source)]
    openers = sum(
        (WORD.findall(text) or [""])[0].lower() in RULES["openers"]["words"] for text in prose
    )
    prose += [comment.text for source in sources for comment in comments(source)]
    whole = "\n".join(prose)
    per = 10_000 / max(1, len(WORD.findall(whole)))
    result = {
        name: per * len(re.findall(rf"(?i)\b(?:{pattern})\b", whole))
        for name, pattern in RULES["counted"].items()
    }
    return result | {"opens with What/Who/...": per * openers}


def broken_limits(package: str, counted: dict[str, float]) -> Iterator[str]:
    """Yield a line for each limit that the counts of a package break."""
    for name, limit in RULES["limits"].items():
        if not limit.get("least", 0) <= counted[name] <= limit.get("most", float("inf")):
            wanted = " and ".join(f"at {bound} {value}" for bound, value in limit.items())
            yield f'{package}: "{name}" occurs {counted[name]:.1f} times in 10,000 words; wanted: {wanted}'


def banned(path: str, content: str) -> Iterator[Banned]:
    """Yield the banned words of a file: in Python in texts and identifiers, elsewhere in the whole file."""
    python = path.endswith(".py")
    texts = comments(content) + strings(content) if python else [Text(line=1, text=content)]
    for rule in RULES["banned"]:
        spaced = rule["word"].replace(" ", r"[\s#>*]+")
        pattern = re.compile(rf"(?i)(?<![\w-])(?:{spaced})(?![\w-])")
        for text in texts:
            for match in pattern.finditer(text.text):
                around = text.text[max(0, match.start() - CONTEXT) : match.end() + CONTEXT]
                line = text.line + text.text.count("\n", 0, match.start())
                if not is_allowed(path, around):
                    yield Banned(
                        path=path, line=line, word=" ".join(match[0].split()), use=rule["use"]
                    )
    if python:
        yield from _banned_names(path, content)


def _banned_names(path: str, content: str) -> Iterator[Banned]:
    """Yield the identifiers with a banned word among their parts, each once per file."""
    rules = [
        (re.compile(rule["word"]), rule["use"]) for rule in RULES["banned"] if rule.get("names")
    ]
    seen = set()
    for token in tokenize.generate_tokens(io.StringIO(content).readline):
        name = token.string
        if token.type == tokenize.NAME and name not in seen:
            seen.add(name)
            parts = [part.lower() for part in NAME_PART.findall(name)]
            uses = [use for pattern, use in rules if any(map(pattern.fullmatch, parts))]
            if uses and not is_allowed(path, name):
                yield Banned(path=path, line=token.start[0], word=name, use=uses[0])


def is_allowed(path: str, around: str) -> bool:
    """Report whether the list of allowed uses covers a use in this file and context."""
    return any(
        fnmatch(path, entry["path"]) and entry.get("text", "") in around
        for entry in RULES["allowed"]
    )


def files(root: Path) -> Iterator[Path]:
    """Yield the files of the repository that people read and that are not generated."""
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = sorted(set(subfolders) - NOT_OURS)
        for path in (Path(folder, name) for name in sorted(names)):
            name = path.relative_to(root).as_posix()
            is_text = any(fnmatch(path.name, pattern) for pattern in PATTERNS)
            if is_text and not any(fnmatch(name, pattern) for pattern in GENERATED):
                yield path


def problems(root: Path, paths: Sequence[Path] = ()) -> list[str]:
    """Return one line for each broken limit and banned word; with paths only for the banned words in those files."""
    if paths:
        wanted = {path.resolve() for path in paths}
        checked, limits = [path for path in files(root) if path.resolve() in wanted], []
    else:
        checked = list(files(root))
        limits = [
            line for name in PACKAGES for line in broken_limits(name, counts(sources(root, name)))
        ]
    words = []
    for path in checked:
        found = banned(path.relative_to(root).as_posix(), path.read_text())
        words += [str(each) for each in sorted(found, key=lambda each: each.line)]
    return limits + words


def sources(root: Path, package: str) -> list[str]:
    """Return the source texts of a package."""
    return [path.read_text() for path in sorted((root / package / "src").rglob("*.py"))]


def table(root: Path) -> str:
    """Return the counts per package as text: one row per word, one column per package."""
    columns = {name: counts(sources(root, name)) for name in PACKAGES}
    rows = [f"{'per 10,000 words':26}" + "".join(f"{name:>13}" for name in PACKAGES)]
    rows += [
        f"{word:26}" + "".join(f"{columns[name][word]:13.1f}" for name in PACKAGES)
        for word in columns[PACKAGES[0]]
    ]
    return "\n".join(rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(description="Check the English of the repository.")
    parser.add_argument(
        "--check", action="store_true", help="fail if a limit is broken or a banned word is used"
    )
    parser.add_argument(
        "files", nargs="*", type=Path, help="check only these files, and only for banned words"
    )
    options = parser.parse_args(arguments)
    if not options.files and not options.check:
        print(table(ROOT))
        return 0
    lines = problems(ROOT, options.files)
    print("\n".join(lines) if lines else "The English follows STYLE.md.")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
