"""Alerts on money: drawdown, balance of the wallet, and positions that differ from the books of the agent."""

from purpleflea_contract import metrics, tags
from purpleflea_operator.datadog.definitions.alert_conditions import (
    AGENT,
    BY_AGENT,
    OPTIONS,
    OR_GONE,
    condition,
    scope,
)
from purpleflea_operator.datadog.definitions.monitor_builder import Alert, Audience
from purpleflea_operator.datadog.definitions.objects import ObjectKind, Reference
from purpleflea_operator.datadog.definitions.parameters import Parameters
from purpleflea_operator.datadog.definitions.queries import number, of_metric, series

WALLET = "wallet-balance"
LOW_BALANCE = Reference(kind=ObjectKind.MONITOR, key=WALLET)
UNFUNDED = Reference(kind=ObjectKind.MONITOR, key="wallet-unfunded")
FUNDED_WITHIN = "1w"
"""Longest window that Datadog evaluates."""


def alerts(parameters: Parameters) -> tuple[Alert, ...]:
    """Return the alerts. Those that others refer to come first."""
    return (
        drawdown(parameters),
        low_balance(parameters),
        unfunded(parameters),
        wallet_low(),
        position_mismatch(parameters),
    )


def drawdown(parameters: Parameters) -> Alert:
    """Return the alert on a fall of the equity from its peak. One point in the window above the level is enough."""
    thresholds = parameters.thresholds.drawdown
    worst = series(of_metric(metrics.DRAWDOWN), "max", scope(parameters), by=BY_AGENT)
    recovery = number(thresholds.critical_recovery)
    return Alert(
        key="drawdown",
        halts=True,
        name="high drawdown",
        query=condition("max", worst, thresholds),
        levels=thresholds.levels(),
        priority=1,
        audience=Audience.PAGING,
        text=f"Agent {AGENT}: the equity was up to {{{{value}}}} % below its peak in the last {thresholds.window}. The"
        " strategy is losing money, or money was withdrawn from the account.\n"
        "Review the open positions now, and halt the agent if the loss is real.",
        recovery=f"Agent {AGENT}: the drawdown has been below {recovery} % for {thresholds.window}."
        + OR_GONE,
        options={
            **OPTIONS,
            "evaluation_delay": 60,
            "renotify_interval": parameters.renotify_minutes,
        },
    )


def low_balance(parameters: Parameters) -> Alert:
    """Return the condition of a low balance. It notifies no one, because it is also true for an agent without funds."""
    thresholds = parameters.thresholds.balance
    return Alert(
        key=LOW_BALANCE.key,
        name="balance below the threshold (part of: wallet balance low)",
        query=condition("min", _balance(parameters, "min"), thresholds),
        levels=thresholds.levels(),
        above=thresholds.fires_above,
        priority=5,
        text=f"Agent {AGENT}: the wallet balance is ${{{{value}}}}.",
        options=OPTIONS,
    )


def unfunded(parameters: Parameters) -> Alert:
    """Return the condition that an agent had no money for a week. It notifies no one."""
    return Alert(
        key=UNFUNDED.key,
        name="never funded (part of: wallet balance low)",
        query=f"max(last_{FUNDED_WITHIN}):{_balance(parameters, 'max')} <= 0",
        levels={"critical": 0},
        above=False,
        priority=5,
        runbook=WALLET,
        text=f"Agent {AGENT} had no money in the last week, so its low balance is not an alert.",
        options=OPTIONS,
    )


def wallet_low() -> Alert:
    """Return the alert on the balance that pays for trades, for agents that had money within a week."""
    return Alert(
        key="wallet-low",
        name="wallet balance low",
        type="composite",
        query=f"{LOW_BALANCE.token} && !{UNFUNDED.token}",
        references=(LOW_BALANCE, UNFUNDED),
        warns=True,
        priority=2,
        runbook=WALLET,
        audience=Audience.TRADING,
        text=f"Agent {AGENT}: the wallet balance is ${{{{a.value}}}}, which is too low to fund new positions. The agent"
        " spent the money, or its claim from the faucet was refused.\n"
        "Top up at https://wallet.purpleflea.com or claim at https://faucet.purpleflea.com.",
        recovery=f"Agent {AGENT}: the wallet balance is sufficient again." + OR_GONE,
    )


def position_mismatch(parameters: Parameters) -> Alert:
    """Return the alert on positions that differ from the fills of an agent for the whole window."""
    thresholds = parameters.thresholds.position_mismatch
    differing = series(
        of_metric(metrics.POSITION_MISMATCHES), "max", scope(parameters), by=BY_AGENT
    )
    return Alert(
        key="position-mismatch",
        halts=True,
        name="positions differ from the books",
        query=condition("min", differing, thresholds),
        levels=thresholds.levels(),
        priority=1,
        audience=Audience.PAGING,
        text=f"Agent {AGENT}: in {{{{value}}}} markets the exchange reports another position than the fills of the"
        f" agent for {thresholds.window}. Another program uses the same API key, an order was placed by hand, or the"
        " journal was lost. The agent does not let these positions grow.\n"
        "Compare the positions of the exchange with the log event position_mismatch, then correct one of them.",
        recovery=f"Agent {AGENT}: the positions agree with the books again." + OR_GONE,
        options=OPTIONS,
    )


def _balance(parameters: Parameters, aggregator: str) -> str:
    return series(
        of_metric(metrics.WALLET_BALANCE),
        aggregator,
        scope(parameters),
        where={tags.CURRENCY: parameters.currency, tags.WALLET_TYPE: "trading"},
        by=BY_AGENT,
    )
