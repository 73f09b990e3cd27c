"""Cache of the PurpleFleaObservability resources. It decides which watch events need a pass.

A change of only the status needs no pass, because the operator itself wrote it. A deleted resource leaves a tombstone,
because a list that was in flight or the response to a write can arrive after the DELETED event.
"""

from collections.abc import Iterator
from typing import Any

from purpleflea_operator.kube.kept_metadata import reduced
from purpleflea_operator.kube.listing import Listing
from purpleflea_operator.kube.object_cache import NamespacedName
from purpleflea_operator.kube.tombstones import Tombstones
from purpleflea_operator.parsing import Manifest, mapping, resource_version

Resource = dict[str, Any]


class ResourceCache:
    """Newest known version of each resource."""

    def __init__(self) -> None:
        self._resources: dict[NamespacedName, Resource] = {}
        self._observed: dict[NamespacedName, tuple[Any, ...]] = {}
        self._tombstones = Tombstones()

    def __iter__(self) -> Iterator[NamespacedName]:
        """Iterate over all names, sorted."""
        return iter(sorted(self._resources))

    def get(self, key: NamespacedName) -> Resource | None:
        """Return a resource, None if it is unknown."""
        return self._resources.get(key)

    def all(self) -> Iterator[Resource]:
        """Iterate over all resources."""
        return iter(self._resources.values())

    def uids(self) -> frozenset[str]:
        """Return the uids of all resources."""
        return frozenset(item["metadata"]["uid"] for item in self._resources.values())

    def adopters(self, uid: str) -> list[NamespacedName]:
        """Return the resources whose spec.adoptFrom names a uid."""
        return [
            key
            for key, item in self._resources.items()
            if uid in (mapping(item.get("spec")).get("adoptFrom") or ())
        ]

    def observe(self, manifest: Manifest) -> bool:
        """Store a manifest of a watch or a list. Return True if it needs a pass.

        It is compared with the last observed manifest, not with the stored one. The response to a write may have
        stored the same change before, without a pass.
        """
        if self._tombstones.covers(manifest["metadata"]["uid"]):
            return False
        self.store(manifest)
        key, relevant = _key(manifest), _relevant(manifest)
        previous = self._observed.get(key)
        self._observed[key] = relevant
        return previous != relevant

    def store(self, manifest: Manifest) -> None:
        """Store a version, unless a newer one is stored or the resource is deleted."""
        if self._tombstones.covers(manifest["metadata"]["uid"]):
            return
        key = _key(manifest)
        stored = self._resources.get(key)
        if stored is None or _version(stored) < _version(manifest):
            self._resources[key] = {**manifest, "metadata": reduced(manifest["metadata"])}

    def delete(self, key: NamespacedName, uid: str) -> None:
        """Delete a resource, unless another resource with the same name has replaced it."""
        self._tombstones.add(uid)
        stored = self._resources.get(key)
        if stored is not None and stored["metadata"]["uid"] == uid:
            self._delete(key)

    def prune(self, listing: Listing) -> list[NamespacedName]:
        """Delete the resources that a list does not contain, except newer ones. Return them and their adopters."""
        gone = [
            key
            for key, stored in self._resources.items()
            if stored["metadata"]["uid"] not in listing.uids
            and _version(stored) <= listing.version
            and listing.namespace in ("", key.namespace)
        ]
        affected = list(gone)
        for key in gone:
            uid = self._resources[key]["metadata"]["uid"]
            self._tombstones.add(uid)
            self._delete(key)
            affected += self.adopters(uid)
        return affected

    def _delete(self, key: NamespacedName) -> None:
        del self._resources[key]
        self._observed.pop(key, None)


def _key(manifest: Manifest) -> NamespacedName:
    return NamespacedName(manifest["metadata"]["namespace"], manifest["metadata"]["name"])


def _version(manifest: Manifest) -> int:
    return resource_version(manifest["metadata"].get("resourceVersion"))


def _relevant(manifest: Manifest) -> tuple[Any, ...]:
    """Return the part of a manifest whose changes need a pass."""
    metadata = manifest["metadata"]
    return (metadata["uid"], metadata.get("generation"), metadata.get("deletionTimestamp"))
