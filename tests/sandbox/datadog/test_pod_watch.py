"""Pods of a node, from an API server with realistic failures."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from purpleflea_sandbox.datadog import servers
from purpleflea_sandbox.datadog.node_agent.kubernetes import PodWatch, ServiceAccount
from purpleflea_sandbox.datadog.node_agent.pods import PodMemory


def pod(name: str, version: int) -> dict[str, Any]:
    return {
        "metadata": {
            "uid": f"uid-{name}",
            "name": name,
            "namespace": "trading",
            "resourceVersion": str(version),
            "labels": {"v": str(version)},
            "ownerReferences": [{"kind": "StatefulSet", "name": "momentum", "controller": True}],
        },
        "spec": {"containers": [{"name": "agent", "image": "x/agent:1"}]},
        "status": {
            "containerStatuses": [{"name": "agent", "containerID": f"containerd://id-{name}"}]
        },
    }


class ApiServer:
    """API server that lists given pods; each watch plays the next script and then stays open."""

    def __init__(self) -> None:
        self.pods: list[dict[str, Any]] = []
        self.version = 1
        self.scripts: list[list[dict[str, Any]]] = []
        self.queries: list[dict[str, str]] = []
        self.tokens: list[str] = []
        self.failing = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.queries.append(dict(request.query))
        self.tokens.append(request.headers.get("Authorization", ""))
        if self.failing:
            self.failing -= 1
            raise web.HTTPInternalServerError
        if "watch" not in request.query:
            return web.json_response(
                {"metadata": {"resourceVersion": str(self.version)}, "items": self.pods}
            )
        response = web.StreamResponse()
        await response.prepare(request)
        if not self.scripts:
            await asyncio.Event().wait()
        for event in self.scripts.pop(0):
            await response.write(json.dumps(event).encode() + b"\n")
        return response

    def lists(self) -> int:
        return len([query for query in self.queries if "watch" not in query])


@pytest.fixture
def api() -> ApiServer:
    return ApiServer()


@pytest.fixture
async def watch(
    api: ApiServer, session, tmp_path: Path
) -> AsyncIterator[tuple[PodWatch, PodMemory]]:
    (tmp_path / "token").write_text("first\n")
    app = web.Application()
    app.router.add_get("/api/v1/pods", api.handle)
    memory = PodMemory()
    async with servers.served(app, "127.0.0.1", 0) as port:
        watch = PodWatch(
            session,
            url=f"http://127.0.0.1:{port}",
            account=ServiceAccount(tmp_path),
            node="node-1",
            memory=memory,
        )
        task = asyncio.create_task(watch.run())
        yield watch, memory
        task.cancel()
        await asyncio.wait([task])


async def test_pods_of_the_node_are_listed_once_and_then_watched(
    api: ApiServer, watch, eventually
) -> None:
    _, memory = watch
    api.pods = [pod("a", 1), pod("b", 1)]
    api.scripts = [
        [
            {"type": "MODIFIED", "object": pod("a", 2)},
            {"type": "DELETED", "object": pod("b", 3)},
            {"type": "ADDED", "object": pod("c", 4)},
            {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "9"}}},
        ]
    ]

    await eventually(lambda: len(api.queries) == 3)

    assert sorted(one.name for one in memory.running()) == ["a", "c"]
    stored = memory.by_uid("uid-a")
    assert stored is not None
    assert (stored.labels, stored.containers[0].id) == ({"v": "2"}, "id-a")
    assert (stored.owner_kind, stored.owner_name) == ("StatefulSet", "momentum")
    assert api.lists() == 1
    assert api.queries[2]["resourceVersion"] == "9"
    assert {query["fieldSelector"] for query in api.queries} == {"spec.nodeName=node-1"}


async def test_expired_resource_version_causes_one_new_list(
    api: ApiServer, watch, eventually
) -> None:
    _, memory = watch
    api.pods = [pod("a", 1)]
    api.scripts = [[{"type": "ERROR", "object": {"code": 410, "message": "too old"}}]]
    await eventually(lambda: api.lists() == 2 and len(api.queries) == 4)

    assert [one.name for one in memory.running()] == ["a"]


async def test_errors_are_retried_and_the_token_is_read_again(
    api: ApiServer, watch, eventually, tmp_path: Path
) -> None:
    pods, _ = watch
    api.failing = 1
    await eventually(lambda: pods.last_error)
    (tmp_path / "token").write_text("second\n")
    await eventually(lambda: pods.synced)

    assert api.tokens[0] == "Bearer first"
    assert api.tokens[-1] == "Bearer second"
