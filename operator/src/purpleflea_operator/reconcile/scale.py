"""How many identities may run now: what the spec says, less what may not be started and what has come to rest. Pure."""

from dataclasses import replace

from purpleflea_operator.reconcile import modes
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
    if count == agent.spec.replicas:
        return agent
    return replace(agent, spec=agent.spec.model_copy(update={"replicas": count}))
