"""How many identities may run now, and which get a new revision: what the spec says, less what may not be started, what
has come to rest, and what a rollout that fails must not reach. Pure."""

from dataclasses import replace

from purpleflea_operator.reconcile import modes
from purpleflea_operator.reconcile.brake import partition
from purpleflea_operator.reconcile.checks.duplicates import is_refused
from purpleflea_operator.reconcile.world import World
from purpleflea_operator.render.identity import Agent


def replicas(world: World, agent: Agent) -> int:
    """The number of pods to ask for."""
    wanted = agent.spec.replicas
    if is_refused(world):
        # What runs is left alone: it may hold positions, and its rival may have come by a change of its env.
        wanted = min(wanted, modes.live_replicas(world))
    return 0 if modes.may_be_ended(world) else wanted


def as_allowed(world: World, agent: Agent) -> Agent:
    """The agent as it may run now."""
    count = replicas(world, agent)
    allowed = replace(agent, partition=min(partition(world), count))
    if count == agent.spec.replicas:
        return allowed
    return replace(allowed, spec=agent.spec.model_copy(update={"replicas": count}))
