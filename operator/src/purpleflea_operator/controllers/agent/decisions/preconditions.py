"""The preconditions of an apply, so that an outdated one is rejected with a conflict. Pure."""

from purpleflea_contract import kubernetes
from purpleflea_operator.kube import resources
from purpleflea_operator.parsing import Manifest

GUARDED_KINDS = (resources.STATEFUL_SET.kind, resources.NETWORK_POLICY.kind)
"""Children that are applied only over the version that the pass has seen."""

SELECTING_LABELS = (kubernetes.LABEL_INSTANCE, kubernetes.LABEL_MANAGED_BY)


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


def is_unlabelled(live: Manifest, manifest: Manifest) -> bool:
    """Return whether a live child lacks a label by which the operator finds it."""
    labels, wanted = live["metadata"].get("labels", {}), manifest["metadata"]["labels"]
    return any(labels.get(key) != wanted[key] for key in SELECTING_LABELS)


def may_repeat(seen: Manifest, newer: Manifest | None) -> bool:
    """Return whether an apply over the version `seen` may be repeated, because only the status is newer.

    If something else changed, the next pass has to decide again. If nothing changed, the conflict has another cause,
    such as a webhook, and an immediate repetition would have the same result.
    """
    return (
        newer is not None
        and newer["kind"] in GUARDED_KINDS
        and newer["metadata"].get("resourceVersion") != seen["metadata"].get("resourceVersion")
        and _desired_state(newer) == _desired_state(seen)
    )


def _desired_state(manifest: Manifest) -> tuple[object, ...]:
    metadata = manifest["metadata"]
    fields = ("uid", "generation", "labels", "annotations", "deletionTimestamp")
    return tuple(metadata.get(field) for field in fields)
