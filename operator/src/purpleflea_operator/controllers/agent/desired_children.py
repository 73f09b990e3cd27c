"""The children of an agent that a pass applies, in any state of its rollout: the composition of the pure decisions.

A pass and the preview of a manifest (`rendering`) both use it, so the preview shows what a pass would apply.
"""

from collections.abc import Callable

from purpleflea_operator.controllers.agent.decisions import (
    instrumentation,
    old_pods,
    rollout,
    upgrade,
)
from purpleflea_operator.controllers.agent.decisions.observed_state import (
    ObservedState,
    PassOutcome,
)
from purpleflea_operator.controllers.agent.rendered_children import RenderedChildren
from purpleflea_operator.controllers.agent.restart_turn import RestartTurn
from purpleflea_operator.manifests import collection
from purpleflea_operator.manifests.metadata import Agent, Defaults
from purpleflea_operator.parsing import Manifest, MutableManifest


class DesiredChildren:
    """Returns the desired children of agents.

    `is_served` returns whether the kind DatadogInstrumentation is used, and None if it is not known whether it is
    served.
    """

    def __init__(
        self, defaults: Defaults, is_served: Callable[[], bool | None], policy: upgrade.Policy
    ) -> None:
        self._children = RenderedChildren(defaults)
        self._is_served = is_served
        self._policy = policy

    def of(
        self, observed: ObservedState, agent: Agent, outcome: PassOutcome, restart: RestartTurn
    ) -> tuple[MutableManifest, ...]:
        """Return the children in the sequence in which they are applied. It records the wait of an upgrade."""
        agent = rollout.effective_agent(observed, agent)
        is_served = self._is_served()
        uses = instrumentation.is_wanted(observed, is_served)
        *others, rendered = self._children.of(agent, outcome.connection, uses_instrumentation=uses)
        workload = restart.workload(observed, rendered, outcome, self._policy)
        wanted: Manifest = workload
        used = collection.uses_instrumentation(workload)
        if restart.retries or used is not uses:
            # The policy keeps the rules of both connections, or each attempt would write it twice.
            connection = observed.connection if restart.retries else outcome.connection
            *others, desired = self._children.of(agent, connection, uses_instrumentation=used)
            wanted = desired if restart.retries else workload
        others = old_pods.with_rules_of_old_pods(others, observed, wanted)
        return (*instrumentation.writable(others, is_served), workload)
