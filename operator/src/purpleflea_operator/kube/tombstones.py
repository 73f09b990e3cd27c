"""Deleted objects, by UID, because an event, a list or a response from before the deletion can arrive after it.

A watch with a selector also reports an object as deleted if its labels do not match any more, and they can match again.
So a tombstone with a version covers only older ones. UIDs are never used again, so one without a version covers all.
"""

import sys

MAX_TOMBSTONES = 10_000
"""Number of deleted objects that are remembered. Late versions arrive within seconds, so older ones are useless."""


class Tombstones:
    """The tombstones of one cache, at most MAX_TOMBSTONES."""

    def __init__(self) -> None:
        self._versions: dict[str, int] = {}

    def add(self, uid: str, *, version: int = 0) -> None:
        """Remember a deletion; `version` is that of its event, 0 if it is not known."""
        self._versions.pop(uid, None)
        self._versions[uid] = version or sys.maxsize
        if len(self._versions) > MAX_TOMBSTONES:
            del self._versions[next(iter(self._versions))]

    def covers(self, uid: str, version: int = 0) -> bool:
        """Return whether this version of an object is from before its deletion."""
        return version < self._versions.get(uid, 0)

    def discard(self, uid: str) -> None:
        """Forget a deletion, because a newer version of the object is known."""
        self._versions.pop(uid, None)
