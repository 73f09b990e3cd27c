"""The PurpleFleaObservability resources as the watch shows them, and which events are worth a pass.

A change of nothing but the status is our own echo, and none.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from purpleflea_operator.kube.object_cache import NamespacedName
from purpleflea_operator.parsing import Manifest, resource_version

Resource = dict[str, Any]


class ResourceCache:
    """The newest known version of each resource."""

    def __init__(self) -> None:
        self._known: dict[NamespacedName, Resource] = {}
        self._seen: dict[NamespacedName, tuple[Any, ...]] = {}

    def __iter__(self) -> Iterator[NamespacedName]:
        """All addresses, sorted."""
        return iter(sorted(self._known))

    def get(self, key: NamespacedName) -> Resource | None:
        """A resource by its address."""
        return self._known.get(key)

    def uids(self) -> frozenset[str]:
        """Uids of all resources."""
        return frozenset(item["metadata"]["uid"] for item in self._known.values())

    def see(self, manifest: Manifest) -> bool:
        """Take in what a watch or a list shows; whether it asks for a pass.

        The answer to a write of ours may have shown the same change already: that was no pass over it.
        """
        self.keep(manifest)
        key, essence = _key(manifest), _essence(manifest)
        known = self._seen.get(key)
        self._seen[key] = essence
        return known != essence

    def keep(self, manifest: Manifest) -> None:
        """Remember a version, unless a newer one is known."""
        key = _key(manifest)
        known = self._known.get(key)
        if known is None or _version(known) < _version(manifest):
            metadata = manifest["metadata"].items()
            slim = {name: value for name, value in metadata if name != "managedFields"}
            self._known[key] = {**manifest, "metadata": slim}

    def drop(self, key: NamespacedName, uid: str) -> None:
        """Forget a resource that is gone, unless another has taken its name."""
        known = self._known.get(key)
        if known is not None and known["metadata"]["uid"] == uid:
            self._forget(key)

    def keep_only(self, alive: Iterable[str], *, version: int) -> None:
        """Forget what a list of `version` no longer shows."""
        uids = set(alive)
        for key, known in tuple(self._known.items()):
            if known["metadata"]["uid"] not in uids and _version(known) <= version:
                self._forget(key)

    def _forget(self, key: NamespacedName) -> None:
        del self._known[key]
        self._seen.pop(key, None)


def _key(manifest: Manifest) -> NamespacedName:
    return NamespacedName(manifest["metadata"]["namespace"], manifest["metadata"]["name"])


def _version(manifest: Manifest) -> int:
    return resource_version(manifest["metadata"].get("resourceVersion"))


def _essence(manifest: Manifest) -> tuple[Any, ...]:
    metadata = manifest["metadata"]
    return (metadata["uid"], metadata.get("generation"), metadata.get("deletionTimestamp"))
