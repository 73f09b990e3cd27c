import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import kopf
import pytest

from support.apiserver import ApiServer, Obj
from support.kopf_thread import KopfThread

GROUP = ("purpleflea.com", "v1alpha1", "purplefleaagents")


def an_agent(name: str, **spec: Any) -> Obj:
    return {
        "apiVersion": "purpleflea.com/v1alpha1",
        "kind": "PurpleFleaAgent",
        "metadata": {"name": name},
        "spec": spec,
    }


class Seen:
    """Events that a kopf operator received, as (type, name, spec)."""

    def __init__(self) -> None:
        self.events: list[tuple[str | None, str, Obj]] = []
        self.written: list[str] = []

    def names(self) -> set[str]:
        return {name for _, name, _ in self.events}


def operator(server: ApiServer, seen: Seen, *, high_level: bool = False) -> KopfThread:
    registry = kopf.OperatorRegistry()

    async def login(**_: Any) -> kopf.ConnectionInfo:
        return kopf.ConnectionInfo(server=server.url)

    async def on_event(type: str | None, name: str, spec: Any, **_: Any) -> None:  # noqa: A002
        seen.events.append((type, name, dict(spec)))

    async def on_change(name: str, patch: Any, spec: Any, **_: Any) -> None:
        patch.status["seen"] = spec["replicas"]
        seen.written.append(name)

    async def on_delete(name: str, **_: Any) -> None:
        seen.written.append(f"-{name}")

    kopf.on.login(registry=registry)(login)
    kopf.on.event(*GROUP, registry=registry)(on_event)
    if high_level:
        kopf.on.create(*GROUP, registry=registry)(on_change)
        kopf.on.update(*GROUP, registry=registry)(on_change)
        kopf.on.delete(*GROUP, registry=registry)(on_delete)
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.scanning.disabled = True
    settings.watching.chunk_size = 2

    async def main(stop_flag: threading.Event) -> None:
        await kopf.operator(
            registry=registry, settings=settings, clusterwide=True, stop_flag=stop_flag
        )

    return KopfThread(main)


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def watched(apiserver: ApiServer, seen: Seen) -> Iterator[ApiServer]:
    for name in ("a", "b", "c"):
        apiserver.put(an_agent(name, replicas=1))
    with operator(apiserver, seen):
        apiserver.wait_until(lambda: seen.names() == {"a", "b", "c"} and is_watched(apiserver))
        yield apiserver


def is_watched(server: ApiServer) -> bool:
    return server.open_watches("purplefleaagents") == 1


def saw(server: ApiServer, seen: Seen, event: tuple[str | None, str, Obj]) -> None:
    server.wait_until(lambda: event in seen.events)


def test_kopf_receives_listed_created_changed_and_deleted_objects(
    watched: ApiServer, seen: Seen
) -> None:
    watched.put(an_agent("d", replicas=1))
    saw(watched, seen, ("ADDED", "d", {"replicas": 1}))
    watched.patch("PurpleFleaAgent", "default", "d", {"spec": {"replicas": 2}})
    saw(watched, seen, ("MODIFIED", "d", {"replicas": 2}))
    watched.delete("PurpleFleaAgent", "default", "d")
    saw(watched, seen, ("DELETED", "d", {"replicas": 2}))
    assert watched.writes() == []
    assert len(watched.lists(resource="purplefleaagents")) == 2, "three objects in chunks of two"


def test_kopf_resumes_after_its_watches_were_dropped(watched: ApiServer, seen: Seen) -> None:
    watched.clear()
    watched.drop_watches(cut=True)
    watched.wait_until(lambda: len(watched.watches()) == 1)
    watched.put(an_agent("late", replicas=1))
    saw(watched, seen, ("ADDED", "late", {"replicas": 1}))
    assert watched.lists() == []


def test_kopf_lists_again_after_its_history_was_compacted(watched: ApiServer, seen: Seen) -> None:
    watched.clear()
    watched.compact()
    watched.drop_watches()
    watched.wait_until(lambda: bool(watched.lists()) and is_watched(watched))
    watched.put(an_agent("late", replicas=1))
    saw(watched, seen, ("ADDED", "late", {"replicas": 1}))
    assert [e for e in seen.events if e[1] == "a"] == [(None, "a", {"replicas": 1})] * 2


def test_kopfs_own_handlers_write_status_annotation_and_finalizer(
    apiserver: ApiServer, seen: Seen
) -> None:
    def live() -> Obj:
        return apiserver.get("PurpleFleaAgent", "default", "a") or {"metadata": {}}

    def is_handled(replicas: int) -> bool:
        done = "kopf.zalando.org/last-handled-configuration"
        text = live()["metadata"].get("annotations", {}).get(done, "")
        return f'"replicas":{replicas}' in text and live().get("status") == {"seen": replicas}

    with operator(apiserver, seen, high_level=True):
        apiserver.put(an_agent("a", replicas=1))
        apiserver.wait_until(lambda: is_handled(1))
        assert live()["metadata"]["finalizers"] == ["kopf.zalando.org/KopfFinalizerMarker"]
        assert live()["metadata"]["generation"] == 1
        apiserver.patch("PurpleFleaAgent", "default", "a", {"spec": {"replicas": 2}})
        apiserver.wait_until(lambda: is_handled(2))
        apiserver.delete("PurpleFleaAgent", "default", "a")
        apiserver.wait_until(lambda: apiserver.count("PurpleFleaAgent") == 0)
    assert seen.written == ["a", "a", "-a"]


def test_an_error_of_the_thread_is_raised_by_join() -> None:
    async def main(stop_flag: threading.Event) -> None:
        await asyncio.sleep(0)
        raise ValueError("no rights")

    thread = KopfThread(main).start()
    with pytest.raises(ValueError, match="no rights"):
        thread.join()


def test_a_thread_that_ignores_its_stop_flag_is_named_in_the_error() -> None:
    release = threading.Event()

    async def main(stop_flag: threading.Event) -> None:
        await asyncio.to_thread(release.wait, 10)

    thread = KopfThread(main, name="blocked").start()
    with pytest.raises(TimeoutError, match="blocked did not end"):
        thread.stop(timeout=0.05)
    release.set()
    thread.join()
