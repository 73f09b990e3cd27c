"""The tree of agents and identities. Pure."""

from collections.abc import Sequence

from kubectl_purpleflea.decisions.finding import counted
from kubectl_purpleflea.decisions.fleet import AgentState, Identity, Problem
from kubectl_purpleflea.views.text import Line, Part, Style, line, styled, table

_MODES: dict[str, Style] = {"Active": "green", "Halted": "yellow", "Stopped": "yellow"}
_SEVERITIES: dict[str, Style] = {"Warning": "red", "InProgress": "yellow"}
SHOWN = 50
"""Identities of one agent that are shown; those that are not ready come first."""


def tree(agents: Sequence[AgentState], *, wide: bool = False, cluster: str = "") -> list[Line]:
    """Return the lines of all agents of one cluster."""
    found = [_summary(agents, cluster)]
    for agent in agents:
        found += [_head(agent), *_facts(agent), *_problems(agent.problems)]
        found += _identities(agent, wide=wide)
    return found


def _summary(agents: Sequence[AgentState], cluster: str) -> Line:
    failing = sum(item.severity == 0 for item in agents)
    ready, replicas = sum(item.ready for item in agents), sum(item.replicas for item in agents)
    where = [styled(f"{cluster}: ", "bold")] if cluster else []
    trouble = (
        styled(f"{failing} with problems", "red") if failing else styled("no problems", "green")
    )
    count = counted(len(agents), "agent")
    if not agents:
        return line(*where, f"{count}; other namespaces: kubectl purpleflea status -A")
    return line(*where, f"{count}, {ready}/{replicas} identities ready, ", trouble)


def _head(agent: AgentState) -> Line:
    marks: tuple[tuple[str, Style], ...] = (("✗", "red"), ("…", "yellow"), ("✓", "green"))
    mark, style = marks[agent.severity]
    acknowledged = f" ({agent.acknowledged} acknowledged)" if agent.acknowledged else ""
    source = f" by {agent.mode_source}" if agent.mode_source else ""
    return line(
        styled(mark, style),
        " ",
        styled(f"{agent.namespace}/{agent.name}", "bold"),
        "  ",
        styled(agent.mode, _MODES.get(agent.mode, "")),
        f"{acknowledged}{source}",
    )


def _facts(agent: AgentState) -> list[Line]:
    rollout = (
        f", {agent.updated}/{agent.replicas} updated" if agent.updated < agent.replicas else ""
    )
    if agent.partition:
        rollout += f", partition {agent.partition}"
    return [
        line(
            f"  {agent.ready}/{agent.replicas} ready{rollout}; {agent.strategy}; limits: {agent.limits}"
        ),
        line(f"  metrics {agent.dogstatsd}, traces {agent.apm}, logs {agent.logs}"),
    ]


def _problems(problems: Sequence[Problem]) -> list[Line]:
    return [
        line(
            "  ",
            styled(f"{item.condition}/{item.reason}", _SEVERITIES.get(item.severity, "")),
            f": {item.message}",
        )
        for item in problems
    ]


def _identities(agent: AgentState, *, wide: bool) -> list[Line]:
    found = sorted(agent.identities, key=lambda item: (item.is_ready, _ordinal(item.name)))
    rows: list[list[str | Part]] = []
    for item in found[:SHOWN]:
        last = item is found[:SHOWN][-1]
        rows.append(_row(item, "└─" if last else "├─", wide=wide))
    lines = table(rows)
    more = len(found) - SHOWN
    return [*lines, line(f"  … and {more} more")] if more > 0 else lines


def _row(item: Identity, branch: str, *, wide: bool) -> list[str | Part]:
    row: list[str | Part] = [
        f"  {branch} {item.name}",
        styled(item.state, "green" if item.is_ready else "red"),
        "ready" if item.is_ready else "not ready",
        f"{item.restarts} restarts" if item.restarts else "",
        f"drawdown {item.drawdown} %" if item.drawdown else "",
    ]
    return [*row, item.node] if wide else row


def _ordinal(name: str) -> tuple[int, str]:
    ordinal = name.rpartition("-")[2]
    return (int(ordinal) if ordinal.isascii() and ordinal.isdigit() else -1, name)
