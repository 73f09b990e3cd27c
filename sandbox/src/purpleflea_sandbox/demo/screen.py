"""Prints the summary at the end of the demo: agents, addresses, durations, the real and the
simulated components, and the next commands.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from purpleflea_sandbox.demo.fleet_observer import ObservedAgent


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSummary:
    """Summary of one run of the demo."""

    agents: str
    observed_agents: Sequence[ObservedAgent]
    addresses: Sequence[tuple[str, str]]
    timings: Sequence[tuple[str, float]]
    operator_mib: float | None
    real: Sequence[str]
    simulated: Sequence[str]
    kubeconfig: Path
    kubectl: Path


def show(console: Console, summary: DemoSummary) -> None:
    """Print the summary."""
    _heading(console, "kubectl get pfa -A")
    console.print(summary.agents.rstrip(), soft_wrap=True, markup=False)
    if summary.observed_agents:
        _heading(console, "observed by the exchange and the Datadog stand-in")
        console.print(_fleet(summary.observed_agents))
    _heading(console, "addresses")
    _rows(console, summary.addresses)
    _heading(console, "seconds")
    _rows(console, [(f"{took:6.1f}", step) for step, took in summary.timings])
    if summary.operator_mib is not None:
        _rows(console, [(f"{summary.operator_mib:6.0f}", "MiB of memory used by the operator")])
    _heading(console, "real and simulated components")
    _rows(console, [("real     ", item) for item in summary.real])
    _rows(console, [("simulated", item) for item in summary.simulated])
    _heading(console, "next")
    console.print(_next(summary), soft_wrap=True, markup=False)


def _fleet(observed_agents: Sequence[ObservedAgent]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    table.add_column("agent", no_wrap=True)
    table.add_column("orders", justify="right")
    table.add_column("P&L (USD)", justify="right")
    table.add_column("last trace", no_wrap=True)
    table.add_column("last log line", no_wrap=True)
    for item in observed_agents:
        pnl = "-" if item.pnl_usd is None else f"{item.pnl_usd:+.4f}"
        trace, line = item.trace_id or "-", item.log_line or "-"
        table.add_row(item.agent_id, str(item.orders), pnl, trace, line)
    return table


def _heading(console: Console, text: str) -> None:
    console.print()
    console.rule(f"[bold]{text}[/]", align="left", style="dim")


def _rows(console: Console, rows: Sequence[tuple[str, str]]) -> None:
    """Print one line per row without wrapping, so that addresses can be clicked and commands
    copied.
    """
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        console.print(f"[bold]{escape(name):<{width}}[/]  {escape(value)}", soft_wrap=True)


def _next(summary: DemoSummary) -> str:
    halt = '{"spec":{"trading":{"mode":"Halted"}}}'
    return "\n".join(
        (
            f"export KUBECONFIG={summary.kubeconfig}",
            # The folder of this program also has the plugin `kubectl purpleflea`.
            f"export PATH={summary.kubectl.parent}:$PATH:{Path(sys.executable).parent}",
            "kubectl -n trading get pfa,pods",
            "kubectl -n trading scale pfa/momentum --replicas=5",
            f"kubectl -n trading patch pfa/momentum --type=merge -p '{halt}'",
            "make down",
        )
    )
