"""The escrow desk: opens, releases and cancels escrows, journalled and observed until each has come to its end.

Like an order, an escrow is written before it is sent, and one whose answer was lost is asked for by its idempotency
key, never sent again blindly. Open escrows are asked for after a restart and now and then: what the other side did
is observed as well. While halted no money leaves; taking an escrow back stays possible.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from purpleflea_agent import logs, metrics, tracing
from purpleflea_agent.control import ControlFile
from purpleflea_agent.exchange.errors import ExchangeError, NeverSent, OutcomeUnknown, Refused
from purpleflea_agent.exchange.port import Escrow, EscrowRequest, Exchange
from purpleflea_agent.journal import Journal
from purpleflea_agent.journal_escrows import EscrowEntry
from purpleflea_agent.trading.absences import Absences
from purpleflea_agent.trading.errors import EscrowUnsettled, KeyReused, OrderRefused
from purpleflea_contract import spans

STATUS_TAGS = {"released": "completed"}
"""The published integration calls a released escrow completed."""
ASK_AFTER_S = (0.1, 0.4, 1.0, 2.0)
"""Waits before each question for an escrow whose answer was lost."""
ASK_FOR_S = 8.0
LOOK_EVERY_S = 60.0
"""Time between two questions for an open escrow."""
MOST_LOOKS = 20
"""Escrows asked for in one go: bounds what they cost the exchange, however many there are."""


class EscrowDesk:
    """Escrows of one agent."""

    def __init__(  # noqa: PLR0913 - its parts, by name
        self,
        *,
        exchange: Exchange,
        journal: Journal,
        control: ControlFile,
        ask_after_s: Sequence[float] = ASK_AFTER_S,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._exchange = exchange
        self._journal = journal
        self._control = control
        self._ask_after_s = ask_after_s
        self._clock = clock
        self._monotonic = monotonic
        self._absences = Absences(monotonic=monotonic)
        self._looked_at: dict[str, float] = {}
        self._sending: set[str] = set()
        self._releasing = 0

    @property
    def is_sending(self) -> bool:
        """Whether money is on its way, or about to be."""
        return bool(self._sending or self._releasing)

    async def create(self, request: EscrowRequest) -> Escrow:
        """Open an escrow; a key that was used for the same one before gives that one again."""
        key = request.idempotency_key
        if key in self._sending:
            raise EscrowUnsettled(key)
        self._sending.add(key)
        try:
            known = await self._journal.escrow(key)
            if known is not None:
                return _repeated(known, request)
            self._refuse_unless_active()
            return await self._open(request)
        finally:
            self._sending.discard(key)

    async def release(self, escrow_id: str) -> Escrow:
        """Pay an escrow out to its counterparty."""
        self._refuse_unless_active()
        self._releasing += 1
        try:
            return await self._move(escrow_id, spans.ESCROW_RELEASE, self._exchange.release_escrow)
        finally:
            self._releasing -= 1

    async def cancel(self, escrow_id: str) -> Escrow:
        """Take an escrow back."""
        return await self._move(escrow_id, spans.ESCROW_CANCEL, self._exchange.cancel_escrow)

    async def settle_unfinished(self) -> None:
        """Ask for the escrows of unknown outcome, and for open ones that were not asked for lately."""
        await self.settle_sent()
        open_ones = [entry.escrow_id for entry in await self._journal.unfinished_escrows()]
        for escrow_id in self._due([name for name in open_ones if name], every_s=LOOK_EVERY_S):
            self._looked_at[escrow_id] = self._monotonic()
            await self._look_at(escrow_id)

    async def settle_sent(self) -> None:
        """Ask for the escrows of unknown outcome."""
        unknown = {
            entry.request.idempotency_key: entry
            for entry in await self._journal.unfinished_escrows()
            if entry.is_unsettled
        }
        for key in self._due(list(unknown), every_s=0.0):
            if key not in self._sending:
                self._looked_at[key] = self._monotonic()
                await self._settle(unknown[key])

    async def _open(self, request: EscrowRequest) -> Escrow:
        with tracing.span(
            spans.ESCROW_CREATE,
            counterparty=request.counterparty_id,
            amount_usd=request.amount_usd,
        ) as span:
            escrow = await self._create(request)
            span.set(escrow_id=escrow.escrow_id)
            await self._opened(escrow, request.idempotency_key)
        return escrow

    async def _create(self, request: EscrowRequest) -> Escrow:
        await self._journal.write_escrow(request)
        try:
            return await self._exchange.create_escrow(request)
        except (NeverSent, Refused):
            await self._failed(request)
            raise
        except OutcomeUnknown as error:
            escrow = await self._ask(lambda: self._exchange.find_escrow(request.idempotency_key))
            if escrow is None:
                self._absences.begin(request.idempotency_key)
                raise EscrowUnsettled(request.idempotency_key) from error
            return escrow

    async def _settle(self, entry: EscrowEntry) -> None:
        key = entry.request.idempotency_key
        escrow = await self._exchange.find_escrow(key)
        if escrow is not None:
            await self._opened(escrow, key)
            return
        age_s = max(0.0, self._clock() - entry.written_at)
        if self._absences.is_lost(key, wall_age_s=age_s):
            self._done_with(key)
            await self._failed(entry.request)

    def _done_with(self, idempotency_key: str) -> None:
        self._absences.end(idempotency_key)
        self._looked_at.pop(idempotency_key, None)

    async def _look_at(self, escrow_id: str) -> None:
        try:
            escrow = await self._exchange.escrow(escrow_id)
        except (
            Refused
        ):  # gone, or not ours any more: it stays open in the journal and is asked for again
            return
        await self._moved(escrow)

    async def _move(
        self, escrow_id: str, kind: spans.Span, move: Callable[[str], Awaitable[Escrow]]
    ) -> Escrow:
        with tracing.span(kind, escrow_id=escrow_id):
            try:
                escrow = await move(escrow_id)
            except OutcomeUnknown:
                found = await self._ask(lambda: self._exchange.escrow(escrow_id))
                if found is None or found.status == "created":
                    raise
                escrow = found
            await self._moved(escrow)
        return escrow

    async def _ask(self, question: Callable[[], Awaitable[Escrow | None]]) -> Escrow | None:
        try:
            async with asyncio.timeout(ASK_FOR_S):
                for wait_s in self._ask_after_s:
                    await asyncio.sleep(wait_s)
                    try:
                        escrow = await question()
                    except ExchangeError:
                        continue
                    if escrow is not None:
                        return escrow
        except TimeoutError:
            pass
        return None

    async def _opened(self, escrow: Escrow, idempotency_key: str) -> None:
        is_news = await self._journal.open_escrow(escrow, idempotency_key)
        self._done_with(idempotency_key)
        if not is_news:
            return
        self._looked_at[escrow.escrow_id] = self._monotonic()
        _observe(escrow, "created")
        if escrow.status != "created":  # it went on while nobody listened
            _observe(escrow, escrow.status)

    async def _moved(self, escrow: Escrow) -> None:
        if await self._journal.move_escrow(escrow):
            self._looked_at.pop(escrow.escrow_id, None)
            _observe(escrow, escrow.status)

    async def _failed(self, request: EscrowRequest) -> None:
        if await self._journal.fail_escrow(request.idempotency_key):
            metrics.record_escrow_transaction(request.counterparty_id, "failed")
            logs.log_escrow_event(request.counterparty_id, request.amount_usd, "failed", "")

    def _due(self, names: Sequence[str], *, every_s: float) -> list[str]:
        """Those never asked for since the start, then those asked for longest ago."""
        before = self._monotonic() - every_s
        looked_at = {name: self._looked_at.get(name, float("-inf")) for name in names}
        due = [name for name in names if looked_at[name] <= before]
        return sorted(due, key=lambda name: looked_at[name])[:MOST_LOOKS]

    def _refuse_unless_active(self) -> None:
        self._control.refresh()
        reason = self._control.objection
        if reason is not None:
            metrics.record_risk_refusal(reason)
            raise OrderRefused(reason)


def _repeated(known: EscrowEntry, request: EscrowRequest) -> Escrow:
    same = (request.counterparty_id, request.amount_usd)
    if (known.request.counterparty_id, known.request.amount_usd) != same:
        raise KeyReused(f"the idempotency key {request.idempotency_key} belongs to another escrow")
    if known.escrow is not None:
        return known.escrow
    if known.is_unsettled:
        raise EscrowUnsettled(request.idempotency_key)
    raise NeverSent("the escrow had no effect")


def _observe(escrow: Escrow, reached: str) -> None:
    status = STATUS_TAGS.get(reached, reached)
    metrics.record_escrow_transaction(escrow.counterparty_id, status, escrow.amount_usd)
    logs.log_escrow_event(escrow.counterparty_id, escrow.amount_usd, status, escrow.escrow_id)
