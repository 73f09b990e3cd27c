"""The metrics of the published integration, under its function names, and the metrics that our agent adds.

Names, types and tags come from the contract; dogstatsd sends. Values without a bound (ids, error texts) are mapped to
a class: put the full value in spans and logs.
"""

import functools
import time
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from purpleflea_contract import metrics as contract
from purpleflea_sdk.settings import read_environment
from purpleflea_sdk.telemetry import published, tag_cardinality
from purpleflea_sdk.telemetry.dogstatsd import Emitter, Value, create_emitter, warn_if_no_receiver
from purpleflea_sdk.telemetry.guard import guarded

P = ParamSpec("P")
T = TypeVar("T")

METRICS = "metrics"
"""Value of the contract's tag `signal`."""

_emitter: Emitter | None = None

PUBLISHED_NAMES = ("AGENT_ID", "STRATEGY", "BASE_TAGS", "statsd")
"""Names of the published module agent_metrics, for code that was written for it: see docs/published-page.md."""


def __getattr__(name: str) -> object:
    """Return a published name; the first use reads the environment."""
    if name not in PUBLISHED_NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return published.names(read_environment(), lambda: emitter().client)[name]


def install(emitter: Emitter) -> None:
    """Set the emitter that the functions below use."""
    global _emitter
    _emitter = emitter


def emitter() -> Emitter:
    """Return the emitter in use; the first call creates it from the environment."""
    if _emitter is None:
        environment = read_environment()
        warn_if_no_receiver(environment)
        install(create_emitter(environment))
    assert _emitter is not None  # noqa: S101 - for the type checker
    return _emitter


@guarded(METRICS)
def record_pnl(market: str, pnl_usd: Value, realized: bool = False) -> None:
    """Record the profit and loss of a market, after each change of the position. Realized profit is net of fees."""
    emitter().send(contract.PNL, pnl_usd, market=market, realized="true" if realized else "false")


@guarded(METRICS)
def record_fees(market: str, fees_usd: Value) -> None:
    """Record the fees of all fills of a market."""
    emitter().send(contract.FEES, fees_usd, market=market)


@guarded(METRICS)
def record_drawdown(drawdown_pct: Value) -> None:
    """Record the fall of the equity from its peak, in percent."""
    emitter().send(contract.DRAWDOWN, drawdown_pct)


@guarded(METRICS)
def record_open_positions(market: str, count: int) -> None:
    """Record the open positions of a market."""
    emitter().send(contract.OPEN_POSITIONS, count, market=market)


@guarded(METRICS)
def record_position_mismatches(count: int) -> None:
    """Record the number of markets whose reported position differs from our own fills."""
    emitter().send(contract.POSITION_MISMATCHES, count)


@guarded(METRICS)
def record_order_latency(market: str, order_type: str, latency_ms: Value) -> None:
    """Record the time from sending an order to its answer."""
    emitter().send(contract.ORDER_LATENCY, latency_ms, market=market, order_type=order_type)


@guarded(METRICS)
def record_signal_compute_time(duration_seconds: Value, model_version: str = "v1") -> None:
    """Record the time to compute a signal."""
    emitter().send(contract.SIGNAL_COMPUTE, duration_seconds, model_version=model_version)


@guarded(METRICS)
def record_order_execution(market: str, error_type: str | None = None) -> None:
    """Count an order: a success, or a failure if there is an `error_type`."""
    if error_type is None:
        emitter().send(contract.ORDER_EXECUTIONS, market=market, status="success")
    else:
        emitter().send(
            contract.ORDER_EXECUTIONS, market=market, status="error", error_type=error_type
        )


def timed_order_execution(
    market: str, order_type: str = "market"
) -> Callable[[Callable[P, Awaitable[T]]], Callable[P, Awaitable[T]]]:
    """Decorate an async function that sends one order, to record its latency and outcome."""

    def decorator(function: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        @functools.wraps(function)
        async def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
            started = time.monotonic()
            try:
                result = await function(*args, **kwargs)
            except Exception as error:
                record_order_execution(market, tag_cardinality.error_class(error))
                raise
            record_order_latency(market, order_type, (time.monotonic() - started) * 1000)
            record_order_execution(market)
            return result

        return wrapper

    return decorator


@guarded(METRICS)
def record_wallet_balance(currency: str, balance_usd: Value, wallet_type: str = "trading") -> None:
    """Record the balance of a wallet, in US dollars."""
    emitter().send(contract.WALLET_BALANCE, balance_usd, currency=currency, wallet_type=wallet_type)


@guarded(METRICS)
def record_api_call(endpoint: str, method: str, status_code: int) -> None:
    """Count a call to the Purple Flea API, by path or route template; the code is 0 if there was no answer."""
    emitter().send(
        contract.API_REQUESTS,
        endpoint=tag_cardinality.endpoint_template(endpoint),
        method=method,
        status_code=str(status_code),
        success="true" if 200 <= status_code < 300 else "false",
    )


@guarded(METRICS)
def record_escrow_transaction(counterparty: str, status: str, amount_usd: Value = 0) -> None:
    """Count an escrow transaction by its new state, and record the amount of a completed transaction."""
    counterparty_tag = tag_cardinality.counterparty_class(counterparty)
    emitter().send(contract.ESCROW_TRANSACTIONS, counterparty=counterparty_tag, status=status)
    if status == "completed" and amount_usd > 0:
        emitter().send(
            contract.ESCROW_AMOUNT, amount_usd, counterparty=counterparty_tag, status=status
        )


@guarded(METRICS)
def record_faucet_claim(status: str) -> None:
    """Count a faucet claim."""
    emitter().send(contract.FAUCET_CLAIMS, status=status)


@guarded(METRICS)
def record_risk_refusal(reason: str) -> None:
    """Count an order that a risk limit or the trading mode forbade."""
    emitter().send(contract.RISK_REFUSALS, reason=reason)


@guarded(METRICS)
def record_heartbeat() -> None:
    """Count a completed trading interval, and report telemetry that was dropped since the last report."""
    emitter().send(contract.HEARTBEAT)
    report_dropped_telemetry()


@guarded(METRICS)
def record_idle_heartbeat() -> None:
    """Send a heartbeat while the agent waits for its next interval. The last one was completed."""
    emitter().send(contract.HEARTBEAT)


@guarded(METRICS)
def record_interval_failure(error_type: str) -> None:
    """Count a failure in a trading interval."""
    emitter().send(contract.INTERVAL_FAILURES, error_type=error_type)


@guarded(METRICS)
def report_dropped_telemetry() -> None:
    """Report telemetry that was dropped since the last report, if an interval was not completed."""
    emitter().report_drops()
