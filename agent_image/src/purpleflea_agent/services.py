"""The parts of a running agent, made once from its environment, and how they start and stop together.

Nothing here decides anything; the HTTP surface is the api package.
"""

import asyncio
import logging
from dataclasses import dataclass

from purpleflea_agent import metrics
from purpleflea_agent.control import ControlFile
from purpleflea_agent.exchange.key_file import KeyFile
from purpleflea_agent.exchange.port import Exchange
from purpleflea_agent.exchange.seed import SeedExchange
from purpleflea_agent.journal import Journal
from purpleflea_agent.settings import Environment, read_settings
from purpleflea_agent.trading import strategies
from purpleflea_agent.trading.account import Account
from purpleflea_agent.trading.escrows import EscrowDesk
from purpleflea_agent.trading.faucet import FaucetDesk
from purpleflea_agent.trading.loop import TradingLoop
from purpleflea_agent.trading.orders import OrderDesk
from purpleflea_agent.trading.rest import Rest
from purpleflea_agent.trading.settling import Settling
from purpleflea_contract import quantities
from purpleflea_contract.settings import Settings

logger = logging.getLogger("purpleflea.agent")


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """A running agent."""

    environment: Environment
    settings: Settings
    control: ControlFile
    key_file: KeyFile
    token_file: KeyFile | None
    exchange: Exchange
    journal: Journal
    account: Account
    desk: OrderDesk
    escrows: EscrowDesk
    faucet: FaucetDesk
    rest: Rest
    settling: Settling
    loop: TradingLoop

    async def run(self, started: asyncio.Event) -> None:
        """Trade until cancelled; then settle what is under way, hand over telemetry, and close."""
        self._say_what_is_missing()
        trader = asyncio.create_task(self.loop.run(), name="trading")
        # Until the very end: a Halted that comes while positions are being closed stops that too.
        others = {
            asyncio.create_task(self.control.follow(), name="control"),
            asyncio.create_task(self.rest.watch(), name="rest"),
            asyncio.create_task(self.settling.run(), name="settling"),
        }
        started.set()
        try:
            # Not gather: its cancellation would cancel an order on its way.
            ended, _ = await asyncio.wait({trader, *others}, return_when=asyncio.FIRST_COMPLETED)
            if ended == {trader} and self.loop.is_stopping:
                # It was told to; what requests still need stays open until we are cancelled.
                ended, _ = await asyncio.wait(others, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                logger.critical("%s ended", task.get_name(), exc_info=task.exception())
        finally:
            await self._stop(trader, others)

    def end(self) -> None:
        """Begin the end: from this moment no money leaves. Safe in a handler of signals; run() then does the rest."""
        self.control.end()
        self.loop.stop()

    async def _stop(self, trader: asyncio.Task[None], others: set[asyncio.Task[None]]) -> None:
        self.end()
        await self.faucet.stop()
        end = asyncio.create_task(self._come_to_rest(trader), name="end")
        _, late = await asyncio.wait({end}, timeout=self.environment.rest_timeout_s)
        if late:
            logger.warning("Not at rest in time; the journal keeps what is open for the next start")
        for task in (end, trader, *others):
            task.cancel()
        await asyncio.wait({end, trader, *others}, timeout=1)
        await self.exchange.close()
        await self.journal.close()
        await asyncio.to_thread(metrics.emitter().close)
        logger.info("Stopped")

    async def _come_to_rest(self, trader: asyncio.Task[None]) -> None:
        await asyncio.wait({trader})
        await self.rest.come_at_the_end()

    def _say_what_is_missing(self) -> None:
        if self.key_file.key() is None:
            logger.warning(
                "No API key yet: waiting for it, and not ready", extra={"file": self.key_file.path}
            )


def assemble(environment: Environment) -> Services:
    """Make all parts; what the user got wrong is raised as one clear line."""
    settings = read_settings(environment.settings_file)
    strategy = strategies.find(settings.strategy)
    key_file = KeyFile(environment.api_key_file)
    exchange = SeedExchange(
        settings.api.endpoints, key_file=key_file, agent_id=environment.agent_id
    )
    control = ControlFile(environment.control_file)
    journal = Journal(environment.state_dir)
    account = Account(
        exchange=exchange,
        journal=journal,
        markets=settings.markets,
        balance_threshold_usd=quantities.decimal(settings.risk.min_balance_usd),
    )
    escrows = EscrowDesk(exchange=exchange, journal=journal, control=control)
    faucet = FaucetDesk(settings.faucet, exchange=exchange, journal=journal, control=control)
    desk = OrderDesk(
        exchange=exchange,
        journal=journal,
        account=account,
        control=control,
        limits=settings.risk,
    )
    return Services(
        environment=environment,
        settings=settings,
        control=control,
        key_file=key_file,
        token_file=KeyFile(environment.api_token_file) if environment.api_token_file else None,
        exchange=exchange,
        journal=journal,
        account=account,
        desk=desk,
        escrows=escrows,
        faucet=faucet,
        rest=Rest(
            desk=desk,
            escrows=escrows,
            journal=journal,
            account=account,
            control=control,
            flatten=settings.trading.flatten_on_stop,
            limit_s=environment.rest_timeout_s,
        ),
        settling=Settling(desk=desk, escrows=escrows, journal=journal),
        loop=TradingLoop(
            settings,
            strategy=strategy,
            exchange=exchange,
            account=account,
            desk=desk,
            faucet=faucet,
        ),
    )
