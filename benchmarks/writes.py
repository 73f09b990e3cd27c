"""What a write costs a real API server, by POST and by server-side apply; and who owns the fields then.

The controllers are frozen meanwhile, so that only our writes are measured. Each way has its turns, so that whatever
else the machine does meets all of them. Runs on the simulated cluster: only etcd, API server and client matter.
"""

import asyncio
import os
import signal
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from benchmarks import process
from purpleflea_operator.api.agent import AgentSpec
from purpleflea_operator.datadog.detection.connection import NO_CONNECTION
from purpleflea_operator.kube import credentials
from purpleflea_operator.kube.client import HttpKubeClient
from purpleflea_operator.kube.resources import ref_of
from purpleflea_operator.manifests.children import children
from purpleflea_operator.manifests.metadata import Agent, Defaults
from purpleflea_operator.parsing import Manifest
from purpleflea_sandbox.cluster import providers
from purpleflea_sandbox.cluster.port import Options
from purpleflea_sandbox.cluster.progress import TerminalProgress
from support.builders import a_spec

NAMESPACE = "default"
CLUSTER = "bench"
AT_ONCE = 8
LABEL = "purpleflea.com/bench"

Write = Callable[[HttpKubeClient, Manifest], Awaitable[object]]


@dataclass(slots=True)
class Cost:
    """What the writes of one way came to."""

    seconds: list[float] = field(default_factory=list)
    cpu_s: float = 0.0

    @property
    def p50_ms(self) -> float:
        """Median latency."""
        return statistics.median(self.seconds) * 1000

    @property
    def cpu_ms(self) -> float:
        """Time of the API server's processor per write."""
        return self.cpu_s / len(self.seconds) * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """Who owns the fields of an object that was made one way and applied afterwards without one of its labels."""

    managers: list[str]
    label_stays: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """All that was measured."""

    costs: dict[tuple[str, str], Cost]
    """By kind and way."""
    ownership: dict[str, Ownership]


def measured(turns: int, each: int) -> Found:
    """Measure on a cluster of its own."""
    provider = providers.provider(CLUSTER, "simulated")
    progress = TerminalProgress()
    provider.down(progress)
    seen = provider.up(Options(), progress)
    try:
        os.environ["KUBECONFIG"] = str(seen.kubeconfig)
        with _frozen(seen.pids["kube-controller-manager"]):
            return asyncio.run(_measured(seen.pids["kube-apiserver"], turns, each))
    finally:
        provider.down(progress)


@contextmanager
def _frozen(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def _measured(api_server: int, turns: int, each: int) -> Found:
    info = credentials.credentials()
    async with credentials.session(info) as session:
        cluster = HttpKubeClient(info.server, session)
        ownership = {
            "POST": await _ownership(cluster, "by-post", _post),
            "apply": await _ownership(cluster, "by-apply", _apply),
        }
        costs: dict[tuple[str, str], Cost] = {}
        for turn in range(turns + 1):
            batch = [children_of(f"t{turn}-{number}") for number in range(each)]
            for kind in ("ConfigMap", "StatefulSet"):
                made = [item for kids in batch for item in kids if item["kind"] == kind]
                await _turn(cluster, api_server, costs, kind, made)
            if not turn:
                # The first turn warms up caches and connections.
                costs.clear()
    return Found(costs=costs, ownership=ownership)


async def _turn(
    cluster: HttpKubeClient,
    api_server: int,
    costs: dict[tuple[str, str], Cost],
    kind: str,
    made: list[dict[str, Any]],
) -> None:
    half = len(made) // 2
    steps: list[tuple[str, Write, list[dict[str, Any]]]] = [
        ("POST", _post, made[:half]),
        ("apply, new", _apply, made[half:]),
        ("apply, no change", _apply, made[half:]),
        ("apply, changed", _apply, [_changed(item) for item in made[half:]]),
    ]
    for way, write, manifests in steps:
        cost = costs.setdefault((kind, way), Cost())
        before = process.cpu_s(api_server)
        cost.seconds += await _written(cluster, write, manifests)
        cost.cpu_s += process.cpu_s(api_server) - before


async def _written(
    cluster: HttpKubeClient, write: Write, manifests: list[dict[str, Any]]
) -> list[float]:
    """Write all of them, some at once; the seconds of each."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(manifest: dict[str, Any]) -> float:
        async with slots:
            began = time.perf_counter()
            await write(cluster, manifest)
            return time.perf_counter() - began

    return await asyncio.gather(*(one(item) for item in manifests))


async def _post(cluster: HttpKubeClient, manifest: Manifest) -> object:
    return await cluster.create(ref_of(manifest), manifest)


async def _apply(cluster: HttpKubeClient, manifest: Manifest) -> object:
    return await cluster.apply(manifest)


async def _ownership(cluster: HttpKubeClient, name: str, make: Write) -> Ownership:
    manifest = children_of(name)[0]
    labelled = deepcopy(manifest)
    labelled["metadata"]["labels"][LABEL] = "x"
    await make(cluster, labelled)
    stored = await cluster.apply(manifest)
    metadata = stored["metadata"]
    managers = [f"{item['manager']} ({item['operation']})" for item in metadata["managedFields"]]
    return Ownership(managers=sorted(managers), label_stays=LABEL in metadata["labels"])


def children_of(name: str) -> list[dict[str, Any]]:
    """What the operator makes for an agent without pods; without owner, as there is none."""
    spec = AgentSpec.model_validate(a_spec(replicas=0))
    agent = Agent(namespace=NAMESPACE, name=name, uid="none", generation=1, spec=spec)
    made = [deepcopy(item) for item in children(agent, Defaults(image="agent:1"), NO_CONNECTION)]
    for item in made:
        item["metadata"].pop("ownerReferences", None)
    return made


def _changed(manifest: dict[str, Any]) -> dict[str, Any]:
    changed = deepcopy(manifest)
    if changed["kind"] == "StatefulSet":
        changed["spec"]["template"]["metadata"].setdefault("labels", {})[LABEL] = "changed"
    else:
        changed["data"]["more"] = "x"
    return changed
