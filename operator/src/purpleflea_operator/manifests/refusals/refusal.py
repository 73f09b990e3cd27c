"""A refused value, and the rules that several checks share."""

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass

from pydantic import BaseModel
from pydantic.alias_generators import to_camel


@dataclass(frozen=True, slots=True)
class Refusal:
    """The path of a field as users write it, and the reason with the remedy."""

    field: str
    reason: str


def duplicates(field: str, keys: Iterable[Hashable], what: str) -> Iterator[Refusal]:
    """Yield a refusal for each key that occurs more than once."""
    for key, count in Counter(keys).items():
        if count > 1:
            yield Refusal(field, f"{what} {key!r} occurs {count} times; remove the duplicate")


def exactly_one(field: str, model: BaseModel, *names: str) -> Iterator[Refusal]:
    """Yield a refusal unless exactly one of these fields of the model is set."""
    if sum(getattr(model, name) is not None for name in names) != 1:
        options = ", ".join(to_camel(name) for name in names)
        yield Refusal(field, f"set exactly one of {options}")


_UNSAFE_PATH = re.compile(r"(^|/)\.\.(/|$)")


def descends(path: str) -> bool:
    """Return True if a relative path stays in its folder."""
    return not path.startswith("/") and not _UNSAFE_PATH.search(path)


def without_nul(field: str, texts: Iterable[str | None]) -> Iterator[Refusal]:
    """Yield a refusal for a text with a NUL character, with which no process can start."""
    if any(text and "\0" in text for text in texts):
        yield Refusal(field, "a NUL character is not allowed; remove it")
