"""The parts that trade for one account, created together: for our agent, paper runs and agents of other teams.

They share one journal, one control file and one set of limits. Nothing runs until the caller starts it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from purpleflea_agent.exchange.port import Exchange
from purpleflea_agent.journal import Journal
from purpleflea_agent.trading.account import Account
from purpleflea_agent.trading.drain import DrainReporter
from purpleflea_agent.trading.escrows import EscrowManager
from purpleflea_agent.trading.faucet import FaucetClient
from purpleflea_agent.trading.order_manager import OrderManager
from purpleflea_agent.trading.order_reconciliation import OrderReconciler
from purpleflea_agent.trading.shutdown import Shutdown
from purpleflea_contract import quantities
from purpleflea_contract.settings import Settings
from purpleflea_sdk.control import ControlFile
from purpleflea_sdk.settings import Environment


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingParts:
    """The parts of one account."""

    exchange: Exchange
    """Prices, positions and balances. Send orders through `orders`, never through it."""
    journal: Journal
    """Orders and escrows on disk, each written before it is sent."""
    account: Account
    """Positions, equity and balances as last read, and the sizes by our own fills."""
    orders: OrderManager
    """Sends orders within the limits, and looks up the outcome of each."""
    escrows: EscrowManager
    """Opens, releases and cancels escrows within the limits."""
    faucet: FaucetClient
    """Claims from the faucet if the balance is low."""
    shutdown: Shutdown
    """Cancels resting orders and closes positions in the modes Halted and Stopped."""
    reconciler: OrderReconciler
    """Looks up unknown outcomes and resting orders in the background."""
    drain: DrainReporter
    """Reports whether a halt is complete."""


def create_parts(  # noqa: PLR0913 - the parts that differ between production, a paper run and a replay
    environment: Environment,
    settings: Settings,
    *,
    control: ControlFile,
    exchange: Exchange,
    clock: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
    is_durable: bool = True,
) -> TradingParts:
    """Create all parts around an exchange. The clocks are in seconds: since the epoch, and monotonic.

    Raises:
        JournalError: The journal in `environment.state_dir` cannot be opened; the text has the remedy.
    """
    limits, trading = settings.risk, settings.trading
    keep_resting = trading.resting_orders == "Keep"
    journal = Journal(
        environment.state_dir, clock=clock, monotonic=monotonic, is_durable=is_durable
    )
    account = Account(
        exchange=exchange,
        journal=journal,
        markets=settings.markets,
        balance_threshold_usd=quantities.decimal(limits.min_balance_usd),
        peak_reset_at=limits.peak_reset_at,
        monotonic=monotonic,
    )
    escrows = EscrowManager(
        exchange=exchange,
        journal=journal,
        control=control,
        limits=limits,
        trading=trading,
        monotonic=monotonic,
    )
    orders = OrderManager(
        exchange=exchange,
        journal=journal,
        account=account,
        control=control,
        limits=limits,
        trading=trading,
        clock=clock,
        monotonic=monotonic,
    )
    shutdown = Shutdown(
        orders=orders,
        escrows=escrows,
        journal=journal,
        account=account,
        control=control,
        flatten=trading.flatten_on_stop,
        limit_s=environment.drain_timeout_s,
        keep_resting=keep_resting,
        monotonic=monotonic,
    )
    return TradingParts(
        exchange=exchange,
        journal=journal,
        account=account,
        orders=orders,
        escrows=escrows,
        faucet=FaucetClient(
            settings.faucet, exchange=exchange, journal=journal, control=control, clock=clock
        ),
        shutdown=shutdown,
        reconciler=OrderReconciler(orders=orders, escrows=escrows, journal=journal),
        drain=DrainReporter(
            orders=orders,
            escrows=escrows,
            journal=journal,
            control=control,
            shutdown=shutdown,
            keep_resting=keep_resting,
        ),
    )
