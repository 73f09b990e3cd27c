"""Newest logs in memory, searchable by tag and by attribute."""

import heapq
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from purpleflea_sandbox.datadog import tags as tagging
from purpleflea_sandbox.datadog.intake.index import TagIndex, Term

_MAX_INDEXED_LENGTH = 200
_ATTRIBUTE_PREFIX = "@"
"""Prefix that separates attributes from tags in the index, as in Datadog's search."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """A log. The attributes are those of its JSON message; the time is in milliseconds."""

    timestamp: int
    status: str
    message: str
    service: str
    host: str
    tags: tuple[str, ...]
    attributes: Mapping[str, Any]


class LogStore:
    """Newest logs in the sequence of their arrival."""

    def __init__(self, *, max_logs: int = 20_000) -> None:
        self._max_logs = max_logs
        self._logs: OrderedDict[int, Log] = OrderedDict()
        self._index: TagIndex[int] = TagIndex()
        self._arrived = 0
        self.process: Callable[[Log], Log] = lambda log: log
        """Function that applies the log pipelines to a log before it is stored."""

    def __len__(self) -> int:
        return len(self._logs)

    def add(self, log: Log) -> None:
        log = self.process(log)
        while len(self._logs) >= self._max_logs:
            number, old = self._logs.popitem(last=False)
            self._index.remove(number, _terms(old))
        self._arrived += 1
        self._logs[self._arrived] = log
        self._index.add(self._arrived, _terms(log))

    def find(
        self, *, tags: Iterable[str] = (), attributes: Iterable[str] = (), limit: int = 100
    ) -> Sequence[Log]:
        """Return the logs with all those tags and attributes (`path.to.it:value`), newest first."""
        terms = [tagging.split(tag) for tag in tagging.normalised_all(tags)]
        terms += [tagging.split(_ATTRIBUTE_PREFIX + attribute) for attribute in attributes]
        numbers = self._index.having(terms) if terms else self._logs.keys()
        return [self._logs[number] for number in heapq.nlargest(limit, numbers)]

    def newest(self) -> Sequence[Log]:
        """Return a copy of all logs, last arrival first."""
        return list(self._logs.values())[::-1]

    def with_value(self, name: str, value: str, *, limit: int) -> tuple[int, Sequence[Log]]:
        """Return the number of logs with this tag or attribute, and the newest of them."""
        by_tag = self._index.having([tagging.split(tagging.normalised(f"{name}:{value}"))])
        numbers = by_tag | self._index.having([(_ATTRIBUTE_PREFIX + name, value)])
        newest = heapq.nlargest(limit, numbers)
        return len(numbers), [self._logs[number] for number in newest]

    def values(self, name: str) -> Iterable[str]:
        """Return all values of a tag or an attribute."""
        return {*self._index.values(name), *self._index.values(_ATTRIBUTE_PREFIX + name)}


def flattened(attributes: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    """Yield paths and values of nested attributes. A list yields one entry per item."""
    for name, value in attributes.items():
        path = f"{prefix}{name}"
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, Mapping):
                yield from flattened(item, f"{path}.")
            elif item is not None:
                yield path, _text(item)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _terms(log: Log) -> set[Term]:
    terms = {tagging.split(tag) for tag in log.tags}
    terms |= {
        tagging.split(tagging.normalised(tag))
        for tag in (f"service:{log.service}", f"host:{log.host}", f"status:{log.status}")
    }
    terms |= {
        (_ATTRIBUTE_PREFIX + path, value)
        for path, value in flattened(log.attributes)
        if len(value) <= _MAX_INDEXED_LENGTH
    }
    return terms
