"""Inverted index from tags to items. A query costs as much as its rarest tag, independent of the total number of
items.
"""

from collections.abc import Collection, Iterable, Set
from typing import Generic, TypeVar

Id = TypeVar("Id")
Term = tuple[str, str]


class TagIndex(Generic[Id]):
    """Ids by term; a term is a name and a value. Removed items leave no entries behind."""

    def __init__(self) -> None:
        self._ids: dict[str, dict[str, set[Id]]] = {}

    def add(self, item: Id, terms: Iterable[Term]) -> None:
        for name, value in terms:
            self._ids.setdefault(name, {}).setdefault(value, set()).add(item)

    def remove(self, item: Id, terms: Iterable[Term]) -> None:
        for name, value in terms:
            values = self._ids.get(name, {})
            ids = values.get(value)
            if ids is None:
                continue
            ids.discard(item)
            if not ids:
                del values[value]
            if not values:
                del self._ids[name]

    def values(self, name: str) -> Collection[str]:
        """Return all values of a name."""
        return tuple(self._ids.get(name, ()))

    def having(self, terms: Collection[Term]) -> Set[Id]:
        """Return the ids with every one of the terms. At least one term is required."""
        groups = sorted((self._ids.get(n, {}).get(v, set()) for n, v in terms), key=len)
        return groups[0].intersection(*groups[1:])
