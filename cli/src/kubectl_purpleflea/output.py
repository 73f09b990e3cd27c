"""Prints: plain lines, JSON and YAML, and with rich on a terminal. The only module that imports rich."""

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from kubectl_purpleflea.views.text import Line

if TYPE_CHECKING:
    from rich.console import Console


def say(text: str = "") -> None:
    """Print a line. Control characters from the cluster are replaced, because a terminal would obey them."""
    sys.stdout.write(f"{printable(text)}\n")
    sys.stdout.flush()


def warn(text: str) -> None:
    """Print a line to stderr."""
    sys.stderr.write(f"{printable(text)}\n")
    sys.stderr.flush()


def printable(text: str) -> str:
    """Return a text without control characters, except line ends and tabs."""
    return "".join(char if char.isprintable() or char in "\n\t" else "�" for char in text)


def document(value: object, form: str) -> None:
    """Print a value as JSON or YAML."""
    if form == "yaml":
        sys.stdout.write(yaml_text(value, sort_keys=False))
    else:
        content = json.dumps(value, indent=2, ensure_ascii=False)
        sys.stdout.write(f"{_escaped(content)}\n")
    sys.stdout.flush()


def _escaped(content: str) -> str:
    """Return JSON whose control characters are escaped, because json escapes only those of ASCII."""
    return "".join(
        char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in content
    )


def yaml_text(value: object, *, sort_keys: bool = True) -> str:
    """Return a value as YAML. Characters that a terminal could obey are escaped, with all that are not ASCII."""
    import yaml

    found: str = yaml.safe_dump(value, sort_keys=sort_keys, allow_unicode=True, width=1000)
    if printable(found) == found:
        return found
    escaped: str = yaml.safe_dump(value, sort_keys=sort_keys, width=1000)
    return escaped


def has_color(stream: Any = None) -> bool:
    """Return whether to print colors: on a terminal, unless NO_COLOR is set or TERM is dumb."""
    found = sys.stdout if stream is None else stream
    is_off = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return bool(found.isatty()) and not is_off


def lines(content: Sequence[Line]) -> None:
    """Print lines of a view."""
    if not has_color():
        for line in content:
            say(line.plain)
        return
    found = console()
    for line in content:
        found.print(rich_text(line), soft_wrap=True)


def console() -> "Console":
    """Return the console of rich."""
    from rich.console import Console

    return Console(highlight=False, markup=False, no_color=not has_color())


def rich_text(line: Line) -> Any:
    """Return a line as a text of rich."""
    from rich.text import Text

    text = Text()
    for part in line.parts:
        text.append(printable(part.text), style=part.style)
    return text


@contextlib.contextmanager
def screen() -> Iterator[Callable[[Sequence[Line]], None]]:
    """Yield a function that replaces the content of the terminal without flicker, and cuts it to its height."""
    from rich.console import Group
    from rich.live import Live

    found = console()
    with Live(console=found, screen=True, auto_refresh=False, vertical_overflow="crop") as live:

        def show(content: Sequence[Line]) -> None:
            live.update(Group(*(rich_text(line) for line in content)), refresh=True)

        yield show
