"""The preconditions of an apply, so that an outdated one is rejected with a conflict. Pure."""

from purpleflea_operator.kube import resources
from purpleflea_operator.parsing import Manifest

GUARDED_KINDS = (resources.STATEFUL_SET.kind, resources.NETWORK_POLICY.kind)
"""Children that are applied only over the version that the pass has seen."""


def guarded(manifest: Manifest, live: Manifest) -> Manifest:
    """Return the manifest with the UID of the live child and, if an older write could harm, with its version.

    Without the UID, a stale cache would create a deleted child again. An admission webhook can hold a write until
    another replica leads and has applied a newer spec. Without the version, the held write would then delete pods or
    change their traffic.
    """
    metadata = {**manifest["metadata"], "uid": live["metadata"]["uid"]}
    if manifest["kind"] in GUARDED_KINDS:
        metadata["resourceVersion"] = live["metadata"]["resourceVersion"]
    return {**manifest, "metadata": metadata}


def may_repeat(seen: Manifest, newer: Manifest | None) -> bool:
    """Return whether an apply over the version `seen` may be repeated, because only the status is newer.

    If something else changed, the next pass has to decide again.
    """
    return (
        newer is not None
        and newer["kind"] in GUARDED_KINDS
        and _desired_state(newer) == _desired_state(seen)
    )


def _desired_state(manifest: Manifest) -> tuple[object, ...]:
    metadata = manifest["metadata"]
    fields = ("uid", "generation", "labels", "annotations", "deletionTimestamp")
    return tuple(metadata.get(field) for field in fields)
