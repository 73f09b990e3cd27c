"""Cost of a write at a real API server, with POST and with server-side apply, and the field ownership afterwards.

The controllers are stopped meanwhile, so that only our writes are measured. The methods alternate, so that other load
on the machine affects all of them. The benchmark runs on the simulated cluster, because only etcd, API server and
client matter.
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
CONCURRENCY = 8
LABEL = "purpleflea.com/bench"

Write = Callable[[HttpKubeClient, Manifest], Awaitable[object]]


@dataclass(slots=True)
class Cost:
    """Results of the writes with one method."""

    seconds: list[float] = field(default_factory=list)
    cpu_s: float = 0.0

    @property
    def p50_ms(self) -> float:
        """Median latency."""
        return statistics.median(self.seconds) * 1000

    @property
    def cpu_ms(self) -> float:
        """CPU time of the API server per write."""
        return self.cpu_s / len(self.seconds) * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """Field owners of an object that was created and then applied without one of its labels."""

    managers: list[str]
    label_stays: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """All results."""

    costs: dict[tuple[str, str], Cost]
    """By kind and method."""
    ownership: dict[str, Ownership]


def measure(rounds: int, each: int) -> Measurements:
    """Measure on a separate cluster."""
    provider = providers.provider(CLUSTER, "simulated")
    progress = TerminalProgress()
    provider.down(progress)
    cluster = provider.up(Options(), progress)
    try:
        os.environ["KUBECONFIG"] = str(cluster.kubeconfig)
        with _frozen(cluster.pids["kube-controller-manager"]):
            return asyncio.run(_measure(cluster.pids["kube-apiserver"], rounds, each))
    finally:
        provider.down(progress)


@contextmanager
def _frozen(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def _measure(api_server: int, rounds: int, each: int) -> Measurements:
    info = credentials.credentials()
    async with credentials.session(info) as session:
        cluster = HttpKubeClient(info.server, session)
        ownership = {
            "POST": await _ownership(cluster, "by-post", _post),
            "apply": await _ownership(cluster, "by-apply", _apply),
        }
        costs: dict[tuple[str, str], Cost] = {}
        for number_of_round in range(rounds + 1):
            batch = [children_of(f"t{number_of_round}-{number}") for number in range(each)]
            for kind in ("ConfigMap", "StatefulSet"):
                created = [item for kids in batch for item in kids if item["kind"] == kind]
                await _round(cluster, api_server, costs, kind, created)
            if not number_of_round:
                # The first round warms up caches and connections.
                costs.clear()
    return Measurements(costs=costs, ownership=ownership)


async def _round(
    cluster: HttpKubeClient,
    api_server: int,
    costs: dict[tuple[str, str], Cost],
    kind: str,
    created: list[dict[str, Any]],
) -> None:
    half = len(created) // 2
    steps: list[tuple[str, Write, list[dict[str, Any]]]] = [
        ("POST", _post, created[:half]),
        ("apply, new", _apply, created[half:]),
        ("apply, no change", _apply, created[half:]),
        ("apply, changed", _apply, [_changed(item) for item in created[half:]]),
    ]
    for method, write, manifests in steps:
        cost = costs.setdefault((kind, method), Cost())
        before = process.cpu_s(api_server)
        cost.seconds += await _write_all(cluster, write, manifests)
        cost.cpu_s += process.cpu_s(api_server) - before


async def _write_all(
    cluster: HttpKubeClient, write: Write, manifests: list[dict[str, Any]]
) -> list[float]:
    """Write all manifests with limited concurrency. Return the seconds of each write."""
    slots = asyncio.Semaphore(CONCURRENCY)

    async def write_one(manifest: dict[str, Any]) -> float:
        async with slots:
            began = time.perf_counter()
            await write(cluster, manifest)
            return time.perf_counter() - began

    return await asyncio.gather(*(write_one(item) for item in manifests))


async def _post(cluster: HttpKubeClient, manifest: Manifest) -> object:
    return await cluster.create(ref_of(manifest), manifest)


async def _apply(cluster: HttpKubeClient, manifest: Manifest) -> object:
    return await cluster.apply(manifest)


async def _ownership(cluster: HttpKubeClient, name: str, create: Write) -> Ownership:
    manifest = children_of(name)[0]
    labelled = deepcopy(manifest)
    labelled["metadata"]["labels"][LABEL] = "x"
    await create(cluster, labelled)
    stored = await cluster.apply(manifest)
    metadata = stored["metadata"]
    managers = [f"{item['manager']} ({item['operation']})" for item in metadata["managedFields"]]
    return Ownership(managers=sorted(managers), label_stays=LABEL in metadata["labels"])


def children_of(name: str) -> list[dict[str, Any]]:
    """Return the children of an agent without pods. They have no owner, because the agent does not exist."""
    spec = AgentSpec.model_validate(a_spec(replicas=0))
    agent = Agent(namespace=NAMESPACE, name=name, uid="none", generation=1, spec=spec)
    created = [deepcopy(item) for item in children(agent, Defaults(image="agent:1"), NO_CONNECTION)]
    for item in created:
        item["metadata"].pop("ownerReferences", None)
    return created


def _changed(manifest: dict[str, Any]) -> dict[str, Any]:
    changed = deepcopy(manifest)
    if changed["kind"] == "StatefulSet":
        changed["spec"]["template"]["metadata"].setdefault("labels", {})[LABEL] = "changed"
    else:
        changed["data"]["more"] = "x"
    return changed
