"""Pure decisions about persistent volumes: which claim gets a volume, the volume object, which
volume to delete, and which folders are orphans.

Objects are plain mappings in the format of the API; `provisioner` does the I/O.
"""

from collections.abc import Collection, Iterable, Mapping
from pathlib import PurePath
from typing import Any

VolumeObject = Mapping[str, Any]

PROVISIONER = "purpleflea.com/local"
STORAGE_CLASS = "standard"
CLASSES_PATH = "/apis/storage.k8s.io/v1/storageclasses"
_SELECTED_NODE = "volume.kubernetes.io/selected-node"
_ASKED = (
    "volume.kubernetes.io/storage-provisioner",
    "volume.beta.kubernetes.io/storage-provisioner",
)
_PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"


def storage_class() -> VolumeObject:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": STORAGE_CLASS,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": PROVISIONER,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
    }


def volume_name(claim: VolumeObject) -> str:
    """Return the volume name, which depends only on the claim, so a retry after a crash uses the
    same volume.
    """
    return f"pvc-{claim['metadata']['uid']}"


def waits_for_volume(claim: VolumeObject) -> bool:
    """Return whether the claim requests a volume from this provisioner and the scheduler has
    selected a node.
    """
    metadata, spec = claim["metadata"], claim["spec"]
    annotations = metadata.get("annotations") or {}
    return (
        not metadata.get("deletionTimestamp")
        and not spec.get("volumeName")
        and spec.get("volumeMode", "Filesystem") == "Filesystem"
        and any(annotations.get(key) == PROVISIONER for key in _ASKED)
        and _SELECTED_NODE in annotations
    )


def volume(claim: VolumeObject, root: PurePath) -> VolumeObject:
    """Return the volume of a claim: a folder of the selected node below `root`."""
    metadata, spec = claim["metadata"], claim["spec"]
    name = volume_name(claim)
    hostname = {
        "key": "kubernetes.io/hostname",
        "operator": "In",
        "values": [metadata["annotations"][_SELECTED_NODE]],
    }
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {_PROVISIONED_BY: PROVISIONER}},
        "spec": {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": spec["accessModes"],
            "storageClassName": spec.get("storageClassName", STORAGE_CLASS),
            "persistentVolumeReclaimPolicy": "Delete",
            "volumeMode": "Filesystem",
            # `local` instead of `hostPath`, because only `local` applies the fsGroup of a pod to
            # the folder.
            "local": {"path": str(root / name)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [hostname]}]}},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
        },
    }


def should_delete(candidate: VolumeObject) -> bool:
    """Return whether this provisioner created the volume, its claim has released it, and its data
    is to be deleted.
    """
    annotations = candidate["metadata"].get("annotations") or {}
    return (
        annotations.get(_PROVISIONED_BY) == PROVISIONER
        and candidate["spec"].get("persistentVolumeReclaimPolicy") == "Delete"
        and (candidate.get("status") or {}).get("phase") in ("Released", "Failed")
    )


def orphans(folders: Iterable[str], known: Collection[str]) -> list[str]:
    """Return the folders of this provisioner that have neither a volume nor a claim that waits for
    a volume.
    """
    return [name for name in folders if name.startswith("pvc-") and name not in known]
