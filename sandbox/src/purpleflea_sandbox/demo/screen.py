"""What the demo shows at its end: made to be looked at, with what to do next."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from purpleflea_sandbox.cluster.port import Cluster
from purpleflea_sandbox.demo.observed import Identity


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the demo came to."""

    cluster: Cluster
    agents: str
    identities: Sequence[Identity]
    addresses: Sequence[tuple[str, str]]
    timings: Sequence[tuple[str, float]]
    operator_mib: float | None
    kubectl: Path


def show(console: Console, outcome: Outcome) -> None:
    """Print the outcome."""
    console.print(Panel(Text(outcome.agents.rstrip()), title="kubectl get pfa -A", expand=False))
    if outcome.identities:
        console.print(_fleet(outcome.identities))
    console.print(_pairs("Addresses", outcome.addresses), soft_wrap=True, crop=False)
    console.print(_pairs("Seconds", [(what, f"{took:.1f}") for what, took in outcome.timings]))
    if outcome.operator_mib is not None:
        console.print(f"operator memory: {outcome.operator_mib:.0f} MiB")
    console.print(_pairs("What is real", [("real", item) for item in outcome.cluster.real]))
    console.print(
        _pairs("What is not", [("simulated", item) for item in outcome.cluster.simulated])
    )
    console.rule("next", align="left")
    # Lines to copy: no frame, no folding.
    console.print(_next(outcome), soft_wrap=True, markup=False)


def _fleet(identities: Sequence[Identity]) -> Table:
    table = Table(
        title="As seen from outside: exchange and Datadog's stand-in", title_justify="left"
    )
    for column in ("agent", "orders", "P&L (USD)", "last trace", "last log line"):
        right = column in ("orders", "P&L (USD)")
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    for item in identities:
        pnl = "-" if item.pnl_usd is None else f"{item.pnl_usd:+.4f}"
        table.add_row(
            item.agent_id, str(item.orders), pnl, item.trace_id or "-", item.log_line or "-"
        )
    return table


def _pairs(title: str, rows: Sequence[tuple[str, str]]) -> Table:
    # One line each, however long: addresses are to be clicked.
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(no_wrap=True, overflow="ignore")
    table.add_row(f"[underline]{title}[/]")
    for row in rows:
        table.add_row(*row)
    return table


def _next(outcome: Outcome) -> str:
    return "\n".join(
        (
            f"export KUBECONFIG={outcome.cluster.kubeconfig}",
            f"export PATH={outcome.kubectl.parent}:$PATH",
            "kubectl -n trading get pfa,pods",
            "kubectl -n trading scale pfa/momentum --replicas=5",
            'kubectl -n trading patch pfa/momentum --type=merge -p \'{"spec":{"trading":{"mode":"Halted"}}}\'',
            "make down",
        )
    )
