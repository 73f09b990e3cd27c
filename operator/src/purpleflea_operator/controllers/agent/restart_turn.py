"""The use of the restart budget in one pass over an agent: requests before the writes, the result after them."""

from collections.abc import Sequence
from dataclasses import dataclass

from purpleflea_contract import kubernetes
from purpleflea_operator.controllers.agent.agent_memory import AgentMemory
from purpleflea_operator.controllers.agent.decisions import (
    connection_choice,
    rollout,
    upgrade,
    write_failures,
)
from purpleflea_operator.controllers.agent.decisions.conditions.progressing import (
    is_upgrading,
    progressing,
)
from purpleflea_operator.controllers.agent.decisions.observed_state import (
    ObservedState,
    PassOutcome,
    UpgradeWait,
)
from purpleflea_operator.controllers.agent.decisions.write_failures import WriteFailure
from purpleflea_operator.controllers.agent.restart_budget import RestartBudget
from purpleflea_operator.datadog.detection.connection import Connection
from purpleflea_operator.kube.object_cache import NamespacedName
from purpleflea_operator.manifests import template_record
from purpleflea_operator.parsing import Manifest, MutableManifest, mapping, text


def env_of_pods(stateful_set: Manifest) -> str:
    """Return the env of the pods of a StatefulSet, which the spec may have changed meanwhile."""
    return text(mapping(stateful_set["metadata"].get("labels")).get(kubernetes.DD_LABEL_ENV))


@dataclass(slots=True, kw_only=True)
class RestartTurn:
    """The restart slot of an agent in one pass."""

    budget: RestartBudget
    key: NamespacedName
    env: str
    """The env in the spec; empty if the spec is invalid."""
    memory: AgentMemory
    is_requested: bool = False
    has_slot: bool = False
    wanted: Manifest | None = None
    """The StatefulSet to apply."""
    kept: Connection | None = None
    """The connection that the pods keep if the write that switches it fails."""

    @property
    def retries(self) -> bool:
        """Return whether the agent waits for another slot, because the write that used the last one failed."""
        return self.is_requested and not self.has_slot and bool(self.memory.held_back)

    def connection(self, observed: ObservedState) -> Connection:
        """Return the connection for this pass: the best one if the agent needs no slot, or has one."""
        use = connection_choice.slot_use(observed)
        is_free = self.budget.update(self.key, use, env=self.env)
        if use is connection_choice.SlotUse.ACQUIRE:
            self.is_requested, self.has_slot = True, is_free
            self.kept = connection_choice.decide(observed, slot_free=False)
        return connection_choice.decide(observed, slot_free=is_free)

    def workload(
        self,
        observed: ObservedState,
        rendered: Manifest,
        outcome: PassOutcome,
        policy: upgrade.Policy,
    ) -> MutableManifest:
        """Return the StatefulSet to apply. If the operator has changed its pod template, a slot is required."""
        decision = upgrade.decide(observed, rendered, outcome.connection, policy)
        step, outcome.upgrade = decision.step, decision.wait
        if step is upgrade.Step.UPGRADE:
            self.is_requested = True
            self.has_slot = self.budget.try_acquire(self.key, env=self.env)
            step = upgrade.Step.UPGRADE if self.has_slot else upgrade.Step.KEEP
            outcome.upgrade = UpgradeWait.NOTHING if self.has_slot else UpgradeWait.TURN
        manifest = upgrade.manifest(observed, rendered, step)
        self.wanted = manifest
        self._set_pending(outcome)
        return manifest

    def settle(
        self, outcome: PassOutcome, failures: Sequence[WriteFailure]
    ) -> Sequence[WriteFailure]:
        """Give back a slot that a failed write left unused. Return the failures to report.

        An agent that waits for another slot still reports the failure because of which it waits. Only a failure that
        is reported ends the slot, because the write of one that is not may have succeeded.
        """
        if not self.is_requested or (self.has_slot and self._is_stored(outcome)):
            self.memory.held_back = ()
            return failures
        if not any(write_failures.is_reported(item) for item in failures):
            return (*self.memory.held_back, *failures)
        if self.has_slot:
            self.memory.held_back = tuple(failures)
            self.budget.give_back(self.key)
            outcome.upgrade = UpgradeWait.TURN
            outcome.connection = self.kept or outcome.connection
            self._set_pending(outcome)
        return failures

    def end(self, observed: ObservedState) -> None:
        """Keep the slot of an agent whose upgrade is not complete. If it fails, other agents do not restart."""
        stateful_set = observed.stateful_set
        if stateful_set is None or not (
            is_upgrading(observed) and rollout.has_restarting_pods(observed)
        ):
            self.budget.end_pass(self.key, is_requested=self.is_requested)
            return
        is_failing = progressing(observed).status == "False"
        self.budget.hold(self.key, env=env_of_pods(stateful_set), is_failing=is_failing)

    def _is_stored(self, outcome: PassOutcome) -> bool:
        stored = outcome.stateful_set
        if stored is None or self.wanted is None:
            return False
        return template_record.template_hash(stored) == template_record.template_hash(self.wanted)

    def _set_pending(self, outcome: PassOutcome) -> None:
        is_pending = outcome.upgrade is not UpgradeWait.NOTHING
        self.budget.set_pending(self.key, self.env, is_pending=is_pending)
