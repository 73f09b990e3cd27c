from pathlib import PurePosixPath
from typing import Any

import pytest

from purpleflea_sandbox.cluster import volumes

ROOT = PurePosixPath("/state/volumes")


def a_claim(**changes: Any) -> dict[str, Any]:
    claim: dict[str, Any] = {
        "metadata": {
            "name": "data-agent-0",
            "namespace": "trading",
            "uid": "7c1",
            "annotations": {
                "volume.kubernetes.io/storage-provisioner": volumes.PROVISIONER,
                "volume.kubernetes.io/selected-node": "node-1",
            },
        },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": "standard",
            "volumeMode": "Filesystem",
        },
        "status": {"phase": "Pending"},
    }
    for path, value in changes.items():
        target = claim
        *parents, last = path.split("__")
        for key in parents:
            target = target[key]
        target[last] = value
    return claim


def a_volume(phase: str = "Released", policy: str = "Delete", by: str = volumes.PROVISIONER) -> Any:
    return {
        "metadata": {"name": "pvc-7c1", "annotations": {"pv.kubernetes.io/provisioned-by": by}},
        "spec": {"persistentVolumeReclaimPolicy": policy},
        "status": {"phase": phase},
    }


def test_a_claim_of_the_provisioner_with_a_selected_node_gets_a_volume() -> None:
    assert volumes.waits_for_volume(a_claim())


@pytest.mark.parametrize(
    "change",
    [
        {"metadata__deletionTimestamp": "2026-01-01T00:00:00Z"},
        {"spec__volumeName": "pvc-7c1"},
        {"spec__volumeMode": "Block"},
        {"metadata__annotations": None},
        {"metadata__annotations": {"volume.kubernetes.io/selected-node": "node-1"}},
        {
            "metadata__annotations": {
                "volume.kubernetes.io/storage-provisioner": "example.com/other",
                "volume.kubernetes.io/selected-node": "node-1",
            }
        },
        {
            "metadata__annotations": {
                "volume.kubernetes.io/storage-provisioner": volumes.PROVISIONER
            }
        },
    ],
    ids=[
        "deleted",
        "bound",
        "block",
        "bare",
        "without a provisioner",
        "of another provisioner",
        "unscheduled",
    ],
)
def test_any_other_claim_is_ignored(change: dict[str, Any]) -> None:
    assert not volumes.waits_for_volume(a_claim(**change))


def test_the_volume_is_a_folder_of_the_selected_node_bound_to_its_claim() -> None:
    volume = volumes.volume(a_claim(), ROOT)

    assert volume["metadata"]["name"] == "pvc-7c1"
    assert volume["spec"]["local"] == {"path": "/state/volumes/pvc-7c1"}
    assert volume["spec"]["capacity"] == {"storage": "1Gi"}
    assert volume["spec"]["claimRef"]["uid"] == "7c1"
    [term] = volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
    assert term["matchExpressions"][0]["values"] == ["node-1"]


def test_a_retry_creates_the_same_volume() -> None:
    assert volumes.volume(a_claim(), ROOT) == volumes.volume(a_claim(), ROOT)


@pytest.mark.parametrize("phase", ["Released", "Failed"])
def test_a_released_volume_of_the_provisioner_is_deleted(phase: str) -> None:
    assert volumes.should_delete(a_volume(phase))


@pytest.mark.parametrize(
    "volume",
    [a_volume("Bound"), a_volume("Available"), a_volume(policy="Retain"), a_volume(by="other")],
    ids=["bound", "available", "retained", "of another provisioner"],
)
def test_any_other_volume_is_kept(volume: Any) -> None:
    assert not volumes.should_delete(volume)


def test_only_folders_without_volume_and_claim_are_orphans() -> None:
    folders = ["pvc-1", "pvc-2", "lost+found"]

    assert volumes.orphans(folders, {"pvc-1"}) == ["pvc-2"]


def test_the_class_is_the_default_and_waits_for_the_first_consumer() -> None:
    described = volumes.storage_class()

    assert described["volumeBindingMode"] == "WaitForFirstConsumer"
    assert described["metadata"]["annotations"] == {
        "storageclass.kubernetes.io/is-default-class": "true"
    }
