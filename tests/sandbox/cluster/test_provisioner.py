import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kubernetes import client

from purpleflea_sandbox.cluster import volumes
from purpleflea_sandbox.cluster.provisioner import Provisioner, list_and_watch


@dataclass
class MemoryCore:
    """In-memory implementation of the core API calls of the provisioner."""

    volumes: dict[str, Any] = field(default_factory=dict)
    claims: list[Any] = field(default_factory=list)

    def create_persistent_volume(self, body: Any) -> None:
        if body["metadata"]["name"] in self.volumes:
            raise client.ApiException(status=409)
        self.volumes[body["metadata"]["name"]] = body

    def delete_persistent_volume(self, name: str) -> None:
        if self.volumes.pop(name, None) is None:
            raise client.ApiException(status=404)

    def list_persistent_volume(self) -> Any:
        items = [SimpleNamespace(metadata=SimpleNamespace(name=name)) for name in self.volumes]
        return SimpleNamespace(items=items)

    def list_persistent_volume_claim_for_all_namespaces(self) -> Any:
        return SimpleNamespace(items=self.claims)


CLAIM = {
    "metadata": {
        "name": "data-agent-0",
        "namespace": "trading",
        "uid": "7c1",
        "annotations": {
            "volume.kubernetes.io/storage-provisioner": volumes.PROVISIONER,
            "volume.kubernetes.io/selected-node": "node-1",
        },
    },
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}


def released(volume: Any) -> Any:
    return {**volume, "status": {"phase": "Released"}}


def test_a_claim_gets_a_volume_and_a_folder_once(tmp_path: Path) -> None:
    core = MemoryCore()
    provisioner = Provisioner(core, tmp_path)

    for _ in range(2):
        provisioner.on_claim(CLAIM)

    assert list(core.volumes) == ["pvc-7c1"]
    assert [path.name for path in tmp_path.iterdir()] == ["pvc-7c1"]
    assert (tmp_path / "pvc-7c1").stat().st_mode & 0o777 == 0o777


def test_a_released_volume_is_deleted_with_its_data_once(tmp_path: Path) -> None:
    core = MemoryCore()
    provisioner = Provisioner(core, tmp_path)
    provisioner.on_claim(CLAIM)
    (tmp_path / "pvc-7c1" / "journal").write_text("old")
    volume = released(core.volumes["pvc-7c1"])

    for _ in range(2):
        provisioner.on_volume(volume)

    assert core.volumes == {}
    assert list(tmp_path.iterdir()) == []


def test_a_bound_volume_keeps_its_data(tmp_path: Path) -> None:
    core = MemoryCore()
    provisioner = Provisioner(core, tmp_path)
    provisioner.on_claim(CLAIM)

    provisioner.on_volume({**core.volumes["pvc-7c1"], "status": {"phase": "Bound"}})

    assert (tmp_path / "pvc-7c1").is_dir()
    assert "pvc-7c1" in core.volumes


def test_orphaned_folders_are_removed_at_the_start(tmp_path: Path) -> None:
    core = MemoryCore(claims=[SimpleNamespace(metadata=SimpleNamespace(uid="waits"))])
    provisioner = Provisioner(core, tmp_path)
    provisioner.on_claim(CLAIM)
    for name in ("pvc-waits", "pvc-orphan"):
        (tmp_path / name).mkdir()

    provisioner.remove_orphans()

    assert sorted(path.name for path in tmp_path.iterdir()) == ["pvc-7c1", "pvc-waits"]


def test_an_error_other_than_a_conflict_is_raised(tmp_path: Path) -> None:
    class Refusing(MemoryCore):
        def create_persistent_volume(self, body: Any) -> None:
            raise client.ApiException(status=403)

    with pytest.raises(client.ApiException):
        Provisioner(Refusing(), tmp_path).on_claim(CLAIM)


class Stream:
    """A list call that can be watched like those of the official client.

    The client detects this by the return type and `_preload_content`.
    """

    def __init__(self, lists: list[Any], watches: list[list[dict[str, Any]]]) -> None:
        self._lists = iter(lists)
        self._watches = iter(watches)
        self.resumed_from: list[str] = []
        self.__doc__ = ":return: object"

    def __call__(self, **keywords: Any) -> Any:
        if not keywords.get("watch"):
            return next(self._lists)
        self.resumed_from.append(keywords["resource_version"])
        lines = "".join(f"{json.dumps(event)}\n" for event in next(self._watches))
        return _Response(lines.encode())


class _Response:
    status = 200

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, *args: Any, **keywords: Any) -> Iterator[bytes]:
        del args, keywords
        yield self._content

    read_chunked = stream

    def close(self) -> None: ...

    def release_conn(self) -> None: ...


def change(name: str, version: str, kind: str = "MODIFIED") -> dict[str, Any]:
    return {"type": kind, "object": {"metadata": {"name": name, "resourceVersion": version}}}


def listing(version: str, *names: str) -> Any:
    items = [{"metadata": {"name": name, "resourceVersion": version}} for name in names]
    return SimpleNamespace(items=items, metadata=SimpleNamespace(resource_version=version))


def taken(count: int, read: Stream) -> list[str]:
    source = list_and_watch(read, lambda item: item)
    return [next(source)["metadata"]["name"] for _ in range(count)]


def test_all_objects_are_listed_before_every_change_except_deletions() -> None:
    read = Stream(
        [listing("5", "a", "b")],
        [[change("c", "6"), change("a", "7", "DELETED"), change("d", "8")]],
    )

    assert taken(4, read) == ["a", "b", "c", "d"]
    assert read.resumed_from[0] == "5"


def test_an_interrupted_watch_resumes_at_its_last_version() -> None:
    read = Stream([listing("5")], [[change("c", "6")], [change("d", "7")]])

    assert taken(2, read) == ["c", "d"]
    assert read.resumed_from == ["5", "6"]


def test_an_expired_watch_lists_again() -> None:
    gone = {"type": "ERROR", "object": {"code": 410, "reason": "Expired", "message": "too old"}}
    read = Stream([listing("5", "a"), listing("9", "b")], [[gone], [change("c", "10")]])

    assert taken(3, read) == ["a", "b", "c"]
