"""What the reconciler needs of a cluster. The adapter is in http; tests bring one of their own."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from purpleflea_operator.kube.resources import ObjectRef, ResourceKind
from purpleflea_operator.parsing import Manifest

FIELD_MANAGER = "purpleflea-operator"


class KubeClient(Protocol):
    """A Kubernetes cluster. Every call may raise `cluster.errors.ApiError`."""

    async def get(self, ref: ObjectRef) -> Manifest | None:
        """Read one object; None where it does not exist."""

    async def list_all(
        self, kind: ResourceKind, *, selector: str = ""
    ) -> tuple[list[Manifest], str]:
        """Read all objects of a kind that the operator sees; with the resource version of the (oldest) list."""

    async def apply(self, manifest: Manifest) -> Manifest:
        """Server-side apply, forced, with our field manager; returns the object as stored."""

    async def apply_status(self, manifest: Manifest) -> Manifest:
        """Server-side apply of the status subresource; returns the object as stored."""

    async def annotate(self, ref: ObjectRef, annotations: Mapping[str, str]) -> None:
        """Merge annotations into an object."""

    async def set_finalizers(
        self, ref: ObjectRef, finalizers: Sequence[str], *, version: str
    ) -> Manifest:
        """Replace the finalizers of exactly this version of an object; returns it as stored."""

    async def grow(self, ref: ObjectRef, size: str) -> Manifest:
        """Ask for a larger volume; returns the claim as stored."""

    async def delete(self, ref: ObjectRef, *, uid: str, orphan: bool = False) -> bool:
        """Delete exactly the object with this uid; whether it is gone, now or already, and not only marked.

        With `orphan` its dependents stay and belong to nobody; it vanishes once that is done.
        """

    async def events_about(self, namespace: str, *, uid: str) -> list[Manifest]:
        """Events about one object (a diagnosis of what does not start)."""

    async def create_event(self, event: Manifest) -> None:
        """Post an Event."""
