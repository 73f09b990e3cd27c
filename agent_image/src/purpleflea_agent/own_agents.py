"""`open_trading`: orders, limits and journal for an agent with its own loop, inside a function that `serve` runs.

docs/own-trading-agent.md explains it with an example. The loop, the strategies and the HTTP API of our agent are not
part of it.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

from purpleflea_agent.exchange.dialects import DIALECTS
from purpleflea_agent.exchange.key_file import KeyFile
from purpleflea_agent.exchange.port import Exchange
from purpleflea_agent.parts import TradingParts, create_parts
from purpleflea_sdk.control import Drain
from purpleflea_sdk.serving import Agent

CLOSE_TIMEOUT_S = 1.0
ENDED = Drain(
    is_drained=False,
    left_undone="trading has ended in this process; the next start looks up the open orders",
)
"""Report after the block ended with an error, when the journal is closed."""

logger = logging.getLogger("purpleflea.agent")


@contextlib.asynccontextmanager
async def open_trading(
    agent: Agent, *, exchange: Exchange | None = None, is_current: bool = False
) -> AsyncIterator[TradingParts]:
    """Open the journal, and look after orders in the background until the block ends; then drain and close.

    `exchange` is an adapter of the port `purpleflea_agent.exchange.Exchange`; without one the services of
    `settings.api` are used with the mounted key. `is_current` states that its reports are never older than our own
    fills, as for an exchange in this process; otherwise an empty journal waits until the first reports agree.

    In the block, orders of unknown outcome are looked up, resting orders are canceled in the modes Halted and Stopped,
    and positions are closed if `settings.trading.flatten_on_stop` or the control file requests it. The acknowledgement
    of a halt reports whether all that is done. At the end of the block, orders in flight get half of the grace period.

    Raises:
        SettingsError: settings.json cannot be read, or is not valid.
        JournalError: The journal cannot be opened; the text has the remedy.
    """
    parts = _parts(agent, exchange)
    agent.drain = parts.drain.report
    last = ENDED
    try:
        if is_current:
            await parts.journal.confirm_positions()
        with _single_error():
            async with asyncio.TaskGroup() as group:
                watching = group.create_task(parts.shutdown.watch(), name="shutdown")
                looking_up = group.create_task(parts.reconciler.run(), name="reconciliation")
                try:
                    yield parts
                    await parts.shutdown.run_at_exit()
                    last = await parts.drain.report()
                finally:
                    watching.cancel()
                    looking_up.cancel()
    finally:
        agent.drain = _constant(last)
        await _close(parts)


def _parts(agent: Agent, exchange: Exchange | None) -> TradingParts:
    settings, environment = agent.settings, agent.environment
    used = exchange or DIALECTS[settings.api.dialect](
        settings.api.endpoints,
        key_file=KeyFile(environment.api_key_file),
        agent_id=environment.agent_id,
    )
    return create_parts(environment, settings, control=agent.control, exchange=used)


@contextlib.contextmanager
def _single_error() -> Iterator[None]:
    """Raise the error of the block or of a background task itself, and not the group that contains it."""
    try:
        yield
    except BaseExceptionGroup as group:
        if len(group.exceptions) == 1:
            raise group.exceptions[0] from None
        raise


def _constant(drain: Drain) -> Callable[[], Awaitable[Drain]]:
    async def report() -> Drain:
        return drain

    return report


async def _close(parts: TradingParts) -> None:
    await parts.faucet.stop()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await parts.exchange.close()
    await parts.journal.close()
