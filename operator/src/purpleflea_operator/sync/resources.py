"""The PurpleFleaObservability resources as the watch shows them, and which events are worth a pass.

A change of nothing but the status is our own echo, and none.
"""

from collections.abc import Iterable
from typing import Any

from purpleflea_operator.cluster.cache import Key
from purpleflea_operator.cluster.kinds import Manifest

Resource = dict[str, Any]


class Resources:
    """The newest known version of each resource."""

    def __init__(self) -> None:
        self._known: dict[Key, Resource] = {}

    def __len__(self) -> int:
        return len(self._known)

    def get(self, key: Key) -> Resource | None:
        """A resource by its address."""
        return self._known.get(key)

    def keys(self) -> list[Key]:
        """All addresses, sorted."""
        return sorted(self._known)

    def uids(self) -> frozenset[str]:
        """Uids of all resources."""
        return frozenset(item["metadata"]["uid"] for item in self._known.values())

    def put(self, manifest: Manifest) -> bool:
        """Remember a resource; whether it asks for a pass."""
        metadata = manifest["metadata"]
        key = Key(metadata["namespace"], metadata["name"])
        known = self._known.get(key)
        if known is not None and _version(known) >= _version(manifest):
            return False
        slim = {name: value for name, value in metadata.items() if name != "managedFields"}
        self._known[key] = {**manifest, "metadata": slim}
        return known is None or _essence(known) != _essence(manifest)

    def drop(self, key: Key, uid: str) -> None:
        """Forget a resource that is gone, unless another has taken its name."""
        known = self._known.get(key)
        if known is not None and known["metadata"]["uid"] == uid:
            del self._known[key]

    def keep_only(self, alive: Iterable[str], *, version: int) -> None:
        """Forget what a list of `version` no longer shows."""
        uids = set(alive)
        for key, known in tuple(self._known.items()):
            if known["metadata"]["uid"] not in uids and _version(known) <= version:
                del self._known[key]


def _version(manifest: Manifest) -> int:
    return int(manifest["metadata"].get("resourceVersion") or 0)


def _essence(manifest: Manifest) -> tuple[Any, ...]:
    metadata = manifest["metadata"]
    return (
        metadata["uid"],
        metadata.get("generation"),
        metadata.get("deletionTimestamp"),
        metadata.get("finalizers"),
    )
