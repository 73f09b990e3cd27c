"""Text of a page of the site from a page of the repository: links out of docs/, anchors, and diagrams as pictures.

Pure text to text. `build.py` reads and writes the files and renders the diagrams.
"""

import posixpath
import re
from collections import Counter
from collections.abc import Callable, Collection

REPOSITORY_URL = "https://github.com/purpleflea/purpleflea-operator"
"""Equal to PROJECT_URL of the contract, which the environment of the site does not have."""
MARKS = frozenset("<>&|*_[]()\\`~^!#{}")
"""Characters with a meaning in HTML or Markdown."""
LINK = re.compile(r"(?P<start>!?\[(?:[^\[\]]|\[[^\]]*\])*\]\()(?P<target>[^)\s]+)(?P<end>\))")
TABLE_ROW = re.compile(r"^\|.*$", re.MULTILINE)
ESCAPED_PIPES = re.compile(r"`(?P<code>[^`\n]*\\\|[^`\n]*)`")
"""Code in a table with a vertical line. The hosting site removes the backslash, and Markdown's tables do not."""
SESSION = re.compile(r"(?<!\[)!\[[^\]]*\]\((?P<target>[^)\s]+\.svg)\)")
"""A picture of a terminal session, which a reader opens to see it larger."""
HEADING = re.compile(r"^(?P<level>#{1,6}) (?P<title>.+)$", re.MULTILINE)
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


def place(path: str) -> str:
    """Return the path on the site of a page, which is a path from the root of the repository.

    Pages of docs/ keep their place. All others are below project/.
    """
    if path == "docs/README.md":
        return "index.md"
    return path.removeprefix("docs/") if path.startswith("docs/") else f"project/{path}"


def page(text: str, path: str, files: Collection[str], diagram: Callable[[str], str]) -> str:
    """Return the text of the page `path` for the site.

    `files` are the pages and pictures of the site, as paths from the root of the repository. `diagram` stores a diagram
    and returns the path of its picture on the site.
    """
    parts: list[str] = []
    end = 0
    seen: Counter[str] = Counter()
    for match in FENCE.finditer(text):
        parts.append(_prose(text[end : match.start()], path, files, seen))
        headings = list(HEADING.finditer(text, 0, match.start()))
        title = headings[-1]["title"] if headings else ""
        parts.append(_fence(match, path, diagram, title))
        end = match.end()
    parts.append(_prose(text[end:], path, files, seen))
    return "".join(parts)


def with_size(picture: str) -> str:
    """Return an SVG with its own size instead of the width of the page, so that its text is as large as the other."""
    width, height = re.findall(r'viewBox="\S+ \S+ (\S+) (\S+)"', picture)[0]
    return picture.replace('width="100%"', f'width="{width}" height="{height}"', 1)


def _fence(match: re.Match[str], path: str, diagram: Callable[[str], str], title: str) -> str:
    if match["language"] != "mermaid":
        return match[0]
    picture = _relative(diagram(match["text"]), place(path))
    return f"{match['indent']}[![Diagram: {title}]({picture}){{ .diagram }}]({picture})"


def _prose(text: str, path: str, files: Collection[str], seen: Counter[str]) -> str:
    text = TABLE_ROW.sub(lambda row: ESCAPED_PIPES.sub(_as_html, row[0]), text)
    linked = LINK.sub(
        lambda match: f"{match['start']}{link(match['target'], path, files)}{match['end']}", text
    )
    linked = SESSION.sub(r"[\g<0>](\g<target>)", linked)
    return HEADING.sub(lambda match: f"{match[0]} {{ #{_anchor(match['title'], seen)} }}", linked)


def _as_html(match: re.Match[str]) -> str:
    """Return code as HTML, in which Markdown changes nothing."""
    plain = match["code"].replace("\\|", "|")
    return f"<code>{''.join(f'&#{ord(c)};' if c in MARKS else c for c in plain)}</code>"


def _anchor(title: str, seen: Counter[str]) -> str:
    """Return the anchor of a heading as the hosting site makes it, so that a link to it works in both places."""
    shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title)
    slug = re.sub(r"[^\w\- ]", "", shown.lower().strip()).replace(" ", "-")
    seen[slug] += 1
    return slug if seen[slug] == 1 else f"{slug}-{seen[slug] - 1}"


def link(target: str, path: str, files: Collection[str]) -> str:
    """Return the target of a link of the page `path`: a page of the site, or else the file at the hosting site."""
    if "://" in target or target.startswith(("#", "mailto:")):
        return target
    name, mark, anchor = target.partition("#")
    found = posixpath.normpath(posixpath.join(posixpath.dirname(path), name))
    if found in files:
        return _relative(place(found), place(path)) + mark + anchor
    return f"{REPOSITORY_URL}/blob/main/{found}{mark}{anchor}"


def _relative(target: str, page_path: str) -> str:
    return posixpath.relpath(target, posixpath.dirname(page_path) or ".")
