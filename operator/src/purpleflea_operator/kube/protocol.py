"""Protocol of the Kubernetes API for the controllers. The implementation is in `client`; tests use their own."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from purpleflea_operator.kube.resources import ObjectRef, ResourceKind
from purpleflea_operator.parsing import Manifest


class ObjectList(NamedTuple):
    """Result of a list. If there is a list per namespace, `version` is the lowest resource version of all."""

    manifests: list[Manifest]
    version: str
    refused: frozenset[str] = frozenset()
    """The watched namespaces that the API server refused to list. Their objects are unknown, not absent."""


FIELD_MANAGER = "purpleflea-operator"


class KubeClient(Protocol):
    """Kubernetes API. Every call may raise `kube.errors.ApiError`."""

    async def get(self, ref: ObjectRef) -> Manifest | None:
        """Return the object, or None if it does not exist."""

    async def find(self, ref: ObjectRef) -> Manifest | None:
        """Return the object, or None if it does not exist. It needs the right to list, and not the right to get."""

    async def served_plurals(self, api_version: str) -> frozenset[str]:
        """Return the plural names of the kinds that the API server serves in a version of a group."""

    async def list_all(self, kind: ResourceKind, *, selector: str = "") -> ObjectList:
        """Return all objects of a kind in the watch scope.

        If there is a list per namespace, a namespace that the API server refuses is skipped, unless it refuses all.
        """

    async def list_in(self, kind: ResourceKind, namespace: str, *, selector: str) -> list[Manifest]:
        """Return the objects of a kind with these labels in one namespace."""

    async def apply(self, manifest: Manifest) -> Manifest:
        """Force server-side apply with our field manager and return the object as stored."""

    async def create(self, ref: ObjectRef, manifest: Manifest) -> Manifest:
        """Create an object and return it as stored.

        Raises:
            AlreadyExists: An object with this name exists.
        """

    async def set_managed_fields(self, live: Manifest, entries: Sequence[Manifest]) -> Manifest:
        """Replace the managedFields of this version of an object and return the object as stored."""

    async def apply_status(self, manifest: Manifest) -> Manifest:
        """Force server-side apply of the status subresource and return the object as stored."""

    async def annotate(self, ref: ObjectRef, annotations: Mapping[str, str]) -> Manifest:
        """Merge annotations into an object and return it as stored."""

    async def set_labels(self, ref: ObjectRef, labels: Mapping[str, str], *, uid: str) -> Manifest:
        """Merge labels into the object with this UID and return the object as stored."""

    async def set_finalizers(
        self, ref: ObjectRef, finalizers: Sequence[str], *, version: str
    ) -> Manifest:
        """Replace the finalizers of this version of an object and return the object as stored."""

    async def expand_volume(self, ref: ObjectRef, size: str) -> Manifest:
        """Request a larger volume and return the PersistentVolumeClaim as stored."""

    async def delete(self, ref: ObjectRef, *, uid: str, orphan: bool = False) -> bool:
        """Delete the object if it has this UID. Return True if it no longer exists, False if it is only terminating.

        With `orphan` the dependents stay, without an owner. The object exists until they are released.
        """

    async def events_with_reason(self, namespace: str, *, reason: str) -> list[Manifest]:
        """Return the Events of a namespace with one reason, at most 2,000, to diagnose why pods do not start."""

    async def create_event(self, event: Manifest) -> None:
        """Create an Event."""
