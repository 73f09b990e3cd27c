"""Writer of HCL in the format of `terraform fmt`: attributes, nested blocks, values, aligned equals signs.

Expressions are contained in ordinary values (`Expression` in numbers, `expression()` in texts), so the same definitions
produce both JSON and Terraform. This module does not define resources of a provider.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from purpleflea_contract.quantities import decimal_text

_OPEN, _CLOSE = "\ue000", "\ue001"
_EXPRESSION = re.compile(f"{_OPEN}([^{_CLOSE}]*){_CLOSE}")
_IDENTIFIER = re.compile("[a-z_][a-z0-9_-]*", re.IGNORECASE)
INDENT = "  "
LINE = 100


def expression(text: str) -> str:
    """Return a text that the writer replaces by the HCL expression."""
    return f"{_OPEN}{text}{_CLOSE}"


class Expression(float):
    """Number that is written as an HCL expression. For comparisons it has its default value."""

    text: str

    def __new__(cls, value: float, text: str) -> "Expression":
        self = super().__new__(cls, value)
        self.text = text
        return self

    def __format__(self, spec: str) -> str:
        return expression(self.text)


@dataclass(frozen=True, slots=True)
class Raw:
    """Expression that is a whole value."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """Call of a function with one value."""

    function: str
    argument: Any


@dataclass(frozen=True, slots=True)
class Block:
    """Block with its type and labels. The body has attributes (pairs) and blocks; None is a blank line."""

    header: str
    body: tuple[Any, ...]


def rendered(blocks: Iterable[Block]) -> str:
    """Return the text of a file with these blocks."""
    return "\n".join("\n".join(_block(block)) + "\n" for block in blocks)


def _block(block: Block) -> list[str]:
    return [f"{block.header} {{", *(_indented(_body(block.body))), "}"]


def _body(items: Iterable[Any]) -> list[str]:
    lines: list[str] = []
    chain: list[tuple[str, str]] = []
    for item in items:
        if isinstance(item, tuple):
            name, value = item
            text = _value(value)
            # Only values on one line are aligned.
            if len(text) == 1:
                chain.append((name, text[0]))
                continue
            lines += [*_aligned(chain), f"{name} = {text[0]}", *text[1:]]
        else:
            lines += _aligned(chain)
            lines += [""] if item is None else _block(item)
        chain = []
    return lines + _aligned(chain)


def _aligned(chain: list[tuple[str, str]]) -> list[str]:
    width = max((len(name) for name, _ in chain), default=0)
    return [f"{name.ljust(width)} = {text}" for name, text in chain]


def _value(value: Any) -> list[str]:
    match value:
        case Raw(text):
            return text.split("\n")
        case Call(function, argument):
            lines = _value(argument)
            return [f"{function}({lines[0]}", *lines[1:-1], f"{lines[-1]})"]
        case Expression():
            return [value.text]
        case bool():
            return [str(value).lower()]
        case None:
            return ["null"]
        case int() | float():
            return [decimal_text(value)]
        case str():
            return _text(value)
        case list() | tuple():
            return _list(value)
        case dict():
            return _object(value)
        case _:
            raise TypeError(f"no HCL for {type(value).__name__}")


def _list(items: list[Any] | tuple[Any, ...]) -> list[str]:
    values = [_value(item) for item in items]
    line = "[" + ", ".join(value[0] for value in values) + "]"
    if all(len(value) == 1 for value in values) and len(line) <= LINE:
        return [line]
    return ["[", *_indented(line for value in values for line in _with_comma(value)), "]"]


def _with_comma(value: list[str]) -> list[str]:
    return [*value[:-1], value[-1] + ","]


def _object(items: dict[str, Any]) -> list[str]:
    if not items:
        return ["{}"]
    pairs = ((_key(name), value) for name, value in items.items())
    return ["{", *_indented(_body(pairs)), "}"]


def _key(name: str) -> str:
    return name if _IDENTIFIER.fullmatch(name) else f'"{name}"'


def _text(value: str) -> list[str]:
    whole = _EXPRESSION.fullmatch(value)
    if whole:
        return [whole[1]]
    if "\n" in value:
        # A heredoc ends with a new line, which the provider and Datadog remove (see normalization).
        lines = _interpolated(value).split("\n")
        return ["chomp(<<-EOT", *_indented(lines), "EOT", ")"]
    quoted = value.replace("\\", "\\\\").replace('"', '\\"')
    return [f'"{_interpolated(quoted)}"']


def _interpolated(text: str) -> str:
    literal = text.replace("${", "$${").replace("%{", "%%{")
    return _EXPRESSION.sub(lambda match: "${" + match[1].replace('\\"', '"') + "}", literal)


def _indented(lines: Iterable[str]) -> list[str]:
    return [INDENT + line if line else "" for line in lines]
