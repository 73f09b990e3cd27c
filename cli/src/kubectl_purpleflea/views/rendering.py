"""Unified diffs of rendered objects. Pure."""

import difflib
from collections.abc import Iterator

from kubectl_purpleflea.views.text import Line, Style, line, styled

_STYLES: dict[str, Style] = {"+": "green", "-": "red", "@": "cyan"}


def diff(name: str, live: str, rendered: str) -> list[Line]:
    """Return the unified diff of two YAML documents; empty if they are the same."""
    found = difflib.unified_diff(
        live.splitlines(),
        rendered.splitlines(),
        f"live/{name}",
        f"rendered/{name}",
        lineterm="",
    )
    return list(_styled(found))


def _styled(lines: Iterator[str]) -> Iterator[Line]:
    for number, text in enumerate(lines):
        yield line(styled(text, "bold" if number < 2 else _STYLES.get(text[:1], "")))
