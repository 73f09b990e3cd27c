"""The subject of a run: a variant on its control plane, with the loader and the observed world."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from benchmarks.scale import api, building, operators, workloads
from benchmarks.scale.api import Api
from benchmarks.scale.operators import Operator
from benchmarks.scale.plane import LOADER, Plane
from benchmarks.scale.results import Variant
from benchmarks.scale.world import Expectation, World, serve

LIMIT_S = 120.0
LIMIT_PER_AGENT_S = 0.25
"""A phase that does not finish at a rate of 4 agents per second fails."""


class PhaseTimeoutError(Exception):
    """A phase did not reach its end within its limit."""


@dataclass(slots=True, kw_only=True)
class Subject:
    """One run. `operator` is None for raw StatefulSets."""

    variant: Variant
    agents: int
    plane: Plane
    api: Api
    world: World
    progress: Callable[[str], None]
    operator: Operator | None = None
    replicas: list[Operator] = field(default_factory=list)

    @property
    def names(self) -> Sequence[str]:
        """Names of all agents."""
        return api.names(self.agents)

    @property
    def kind(self) -> str:
        """Kind of the objects that the loader creates."""
        return "statefulsets" if self.variant == "raw" else "agents"

    @property
    def leader(self) -> Operator:
        """The operator; raw StatefulSets have none."""
        if self.operator is None:
            raise RuntimeError(f"the variant {self.variant} has no operator")
        return self.operator

    async def start_operator(self) -> Operator:
        """Start another replica of the variant's operator and return it when it is ready."""
        if self.variant == "baseline":
            children = self.plane.folder / "children.json"
            children.write_text(workloads.children_file())
            replica = operators.baseline(self.plane, building.BASELINE, children)
        else:
            replica = operators.ours(self.plane)
        self.replicas.append(replica)
        await replica.wait_until_ready()
        return replica

    async def wait(self, *expectations: Expectation) -> None:
        """Wait until the expectations are met.

        Raises:
            PhaseTimeoutError: They are not met within the limit.
        """
        limit_s = LIMIT_S + LIMIT_PER_AGENT_S * self.agents
        deadline = time.monotonic() + limit_s
        for expectation in expectations:
            while not expectation.done.is_set():
                if time.monotonic() > deadline:
                    some = ", ".join(sorted(expectation.remaining)[:3])
                    raise PhaseTimeoutError(
                        f"{len(expectation.remaining)} objects did not get there in {limit_s:.0f} s, such as {some}"
                    )
                if self.operator is not None:
                    self.operator.check()
                self.progress(f"{len(expectation.times)}/{self.agents}")
                try:
                    await asyncio.wait_for(expectation.done.wait(), 1)
                except TimeoutError:
                    continue

    async def stop(self) -> None:
        """Stop all replicas."""
        for replica in self.replicas:
            await replica.stop()
        self.replicas.clear()


@asynccontextmanager
async def subject(
    variant: Variant,
    agents: int,
    plane: Plane,
    progress: Callable[[str], None],
) -> AsyncIterator[Subject]:
    """Connect the loader, follow the cluster, and start the operator."""
    async with AsyncExitStack() as stack:
        server, session = api.session(plane.kubeconfig(LOADER))
        await stack.enter_async_context(session)
        world, client = World(), Api(server, session)
        result = Subject(
            variant=variant,
            agents=agents,
            plane=plane,
            api=client,
            world=world,
            progress=progress,
        )
        responder = await serve(world)
        stack.callback(responder.close)
        for kind in _followed(variant):
            path = workloads.PATHS[kind]
            task = asyncio.create_task(client.follow(path, world.receiver(kind)), name=kind)
            stack.callback(task.cancel)
        stack.push_async_callback(result.stop)
        if variant != "raw":
            result.operator = await result.start_operator()
        yield result


def _followed(variant: Variant) -> Iterable[str]:
    return ("statefulsets", "pods") if variant == "raw" else ("agents", "configmaps", "pods")
