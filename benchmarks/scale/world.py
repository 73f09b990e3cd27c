"""Observed state of the cluster during the benchmark, and the agents: one HTTP server at the addresses of all pods.

A simulated pod runs nothing. Therefore this module responds for it as an agent would: with the mode of its ConfigMap.
As in a real pod, a new mode arrives only after both the ConfigMap and the mount refresh annotation are written. The
delay of the kubelet and the agent itself are not simulated.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

from purpleflea_contract import environment, kubernetes, routes
from purpleflea_contract.control import Mode
from purpleflea_operator.controllers.agent.decisions.observed_state import CONTROL_ANNOTATION

Predicate = Callable[[dict[str, Any]], bool]
NO_LOSSES = orjson.dumps({"telemetry_dropped_by_signal": {"metrics": 0, "traces": 0, "logs": 0}})


@dataclass(slots=True)
class Expectation:
    """Objects that should satisfy a predicate, and the monotonic time at which each of them did."""

    predicate: Predicate
    remaining: set[str]
    times: dict[str, float] = field(default_factory=dict)
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def observe(self, name: str, manifest: dict[str, Any]) -> None:
        """Check an object."""
        if name in self.remaining and self.predicate(manifest):
            self.remaining.discard(name)
            self.times[name] = time.monotonic()
            if not self.remaining:
                self.done.set()


@dataclass(slots=True)
class _Pod:
    agent: str
    mode: str = ""
    refresh: str = ""


class World:
    """Receives the watch events, and serves as all agents."""

    def __init__(self) -> None:
        self._expectations: dict[str, list[Expectation]] = defaultdict(list)
        self._modes: dict[str, str] = {}
        self._pods: dict[str, _Pod] = {}
        self._addresses: dict[str, str] = {}

    def expect(self, kind: str, names: Iterable[str], predicate: Predicate) -> Expectation:
        """Expect that the named objects of a kind satisfy a predicate at an event after this call."""
        expectation = Expectation(predicate, set(names))
        if not expectation.remaining:
            expectation.done.set()
        self._expectations[kind] = [
            item for item in self._expectations[kind] if not item.done.is_set()
        ]
        self._expectations[kind].append(expectation)
        return expectation

    def receiver(self, kind: str) -> Callable[[str, dict[str, Any]], None]:
        """Return the receiver of the events of a kind."""
        special = {"configmaps": self._on_config_map, "pods": self._on_pod}.get(kind)

        def receive(event: str, manifest: dict[str, Any]) -> None:
            if special is not None:
                special(event, manifest)
            if event != "DELETED":
                for expectation in self._expectations[kind]:
                    expectation.observe(manifest["metadata"]["name"], manifest)

        return receive

    def respond(self, address: str, path: str) -> bytes | None:
        """Return the body with which the agent at an address responds; None if no pod has the address."""
        pod = self._pods.get(self._addresses.get(address, ""))
        if pod is None:
            return None
        if path == routes.STATUS.path:
            return NO_LOSSES
        mode = pod.mode or self._modes.get(pod.agent, Mode.ACTIVE)
        return orjson.dumps(
            {"mode": mode, "generation": 0, "sending": False, "at_rest": mode != Mode.ACTIVE}
        )

    def _on_config_map(self, _: str, manifest: dict[str, Any]) -> None:
        mode = mode_of(manifest)
        if mode:
            name = manifest["metadata"]["name"]
            self._modes[name] = mode
            for pod in self._pods_of(name):
                _refresh(pod, mode)

    def _pods_of(self, agent: str) -> list[_Pod]:
        # Each agent of the benchmark has one pod.
        pod = self._pods.get(f"{agent}-0")
        return [] if pod is None else [pod]

    def _on_pod(self, event: str, manifest: dict[str, Any]) -> None:
        metadata = manifest["metadata"]
        name, labels = metadata["name"], metadata.get("labels", {})
        agent = labels.get(kubernetes.LABEL_INSTANCE, "")
        address = manifest.get("status", {}).get("podIP", "")
        if not agent:
            return
        if event == "DELETED":
            self._pods.pop(name, None)
            if self._addresses.get(address) == name:
                del self._addresses[address]
            return
        pod = self._pods.setdefault(name, _Pod(agent))
        mode = self._modes.get(agent, "")
        if address and self._addresses.get(address) != name:
            # A container that starts reads the present content of the ConfigMap.
            self._addresses[address] = name
            pod.mode = mode
        pod.refresh = metadata.get("annotations", {}).get(CONTROL_ANNOTATION, "").partition(".")[0]
        _refresh(pod, mode)


def _refresh(pod: _Pod, mode: str) -> None:
    if pod.refresh == mode:
        pod.mode = mode


def mode_of(config_map: dict[str, Any]) -> str:
    """Return the mode in a ConfigMap of an agent; empty if there is none."""
    content = config_map.get("data", {}).get(environment.CONTROL_FILE)
    return "" if content is None else str(orjson.loads(content)["mode"])


class _Responder(asyncio.Protocol):
    """One connection to one agent: one request, one response."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        if b"\r\n\r\n" not in self._received or not isinstance(
            self._transport, asyncio.WriteTransport
        ):
            return
        path = self._received.split(b" ", 2)[1].decode()
        address = self._transport.get_extra_info("sockname")[0]
        body = self._world.respond(address, path)
        status = "404 Not Found" if body is None else "200 OK"
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\n"
        self._transport.write(
            f"{head}Content-Length: {len(body or b'')}\r\n\r\n".encode() + (body or b"")
        )
        self._transport.close()


async def serve(world: World) -> asyncio.Server:
    """Respond at all addresses of this network namespace."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(
        lambda: _Responder(world),
        "0.0.0.0",  # noqa: S104 - the namespace has only a loopback interface
        environment.HTTP_PORT,
        backlog=4096,
    )
