"""Notifications of all generated monitors in situations that are no fault of one agent, and in larger faults.

A row has the change, its duration, and everything that is notified in that time: each recipient is notified once.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from support.fleet_scenario import AGENTS, CLUSTER, Agent, Scenario

ONE = "momentum-1"
DEATHS = frozenset(("heartbeat", name) for name in AGENTS)
SILENT = ("operator-silent", CLUSTER)


@dataclass(frozen=True, kw_only=True)
class Situation:
    """A change of the fleet, the minutes for which it lasts, and the notifications as (monitor, group)."""

    name: str
    change: Callable[[Scenario], None]
    minutes: float
    notified: frozenset[tuple[str, str]] = frozenset()

    def __str__(self) -> str:
        return self.name


def setting(**values: object) -> Callable[[Scenario], None]:
    """Return a change of one agent."""

    def change(scenario: Scenario) -> None:
        for name, value in values.items():
            setattr(scenario.agents[ONE], name, value)

    return change


def all_agents_die(scenario: Scenario) -> None:
    for agent in scenario.agents.values():
        agent.is_alive = False


def operator_is_lost(scenario: Scenario) -> None:
    scenario.operator.is_scraped = False


def everything_is_lost(scenario: Scenario) -> None:
    all_agents_die(scenario)
    operator_is_lost(scenario)


def agents_are_removed(scenario: Scenario) -> None:
    scenario.agents.clear()


def an_agent_is_added(scenario: Scenario) -> None:
    scenario.agents["momentum-2"] = Agent(balance=0.0)


SITUATIONS = (
    Situation(name="an agent is halted", change=setting(calls=0), minutes=30),
    Situation(name="an agent is paused for a restart", change=setting(is_alive=False), minutes=4),
    Situation(
        name="an agent waits for its next interval", change=setting(beats_every_s=60), minutes=30
    ),
    Situation(
        name="an agent dies",
        change=setting(is_alive=False),
        minutes=60,
        notified=frozenset({("heartbeat", ONE)}),
    ),
    Situation(name="a new agent has no money yet", change=an_agent_is_added, minutes=30),
    Situation(name="the operator is rolled out", change=operator_is_lost, minutes=9),
    Situation(
        name="the operator is lost",
        change=operator_is_lost,
        minutes=60,
        notified=frozenset({SILENT}),
    ),
    Situation(
        name="the node of all agents is lost",
        change=all_agents_die,
        minutes=60,
        notified=DEATHS,
    ),
    Situation(
        name="the telemetry of the cluster is lost",
        change=everything_is_lost,
        minutes=60,
        notified=DEATHS | {SILENT},
    ),
    Situation(
        name="all agents are deleted without the operator",
        change=agents_are_removed,
        minutes=60,
        notified=DEATHS,
    ),
)


@pytest.mark.parametrize("situation", SITUATIONS, ids=str)
async def test_a_situation_notifies_each_recipient_once(repository, situation):
    scenario = Scenario.of(repository / "observability")
    await scenario.minutes(6)
    assert scenario.notified() == []
    situation.change(scenario)
    await scenario.minutes(situation.minutes, step_s=20)
    assert sorted(scenario.notified()) == sorted(situation.notified)


async def test_an_organization_without_data_notifies_no_recipient(repository):
    scenario = Scenario.of(repository / "observability")
    everything_is_lost(scenario)
    scenario.agents.clear()
    await scenario.minutes(60, step_s=60)
    assert scenario.notified() == []
