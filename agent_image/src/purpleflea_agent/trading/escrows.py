"""Escrows: opened, released and canceled here, written to the journal, and followed until each reaches its end.

As for orders, an escrow is written before it is sent. Without a usable answer it is looked up by its idempotency key
and never sent again. Open escrows are looked up after a restart and every minute, so changes by the counterparty are
recorded too. While the agent is Halted no money leaves, but an escrow can still be canceled.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal

from purpleflea_agent.exchange.errors import NeverSent, OutcomeUnknown, Refused
from purpleflea_agent.exchange.port import Escrow, EscrowRequest, Exchange
from purpleflea_agent.journal import Journal
from purpleflea_agent.journal.escrows import EscrowEntry
from purpleflea_agent.journal.key_values import GIVEN_UP, UNSENT
from purpleflea_agent.trading.errors import EscrowUnsettled, KeyReused, OrderRefused
from purpleflea_agent.trading.lookups import LOOKUP_DELAYS_S, look_up
from purpleflea_agent.trading.missing_orders import LateLookups, MissingOrderTracker
from purpleflea_agent.trading.request_checks import check_escrow
from purpleflea_agent.trading.safety_limits import GIVEN_UP_LOOKUP_S
from purpleflea_contract import quantities, spans
from purpleflea_contract.settings import Risk, TradingSettings
from purpleflea_sdk.control import ControlFile, SendBlocked
from purpleflea_sdk.telemetry import logs, metrics, tracing

STATUS_TAGS = {"released": "completed"}
"""The published integration calls a released escrow completed."""
MAX_ESCROW, COUNTERPARTY = "max_escrow", "counterparty"
"""Values of the contract's tag `reason`."""
LOOKUP_INTERVAL_S = 60.0
"""Time between two look-ups of an open escrow."""
MAX_LOOKUPS, MAX_GIVEN_UP = 20, 3
"""Escrows looked up per call. It bounds the requests to the exchange, however many escrows are open."""


class EscrowManager:
    """Escrows of one agent."""

    def __init__(  # noqa: PLR0913 - its parts, by name
        self,
        *,
        exchange: Exchange,
        journal: Journal,
        control: ControlFile,
        limits: Risk | None = None,
        trading: TradingSettings | None = None,
        lookup_delays_s: Sequence[float] = LOOKUP_DELAYS_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._exchange = exchange
        self._journal = journal
        self._control = control
        self._lookup_delays_s = lookup_delays_s
        self._monotonic = monotonic
        self._limits = limits or Risk()
        window = (trading or TradingSettings()).unknown_order_window
        self._missing_escrows = MissingOrderTracker(
            abandon_after_s=quantities.duration(window).total_seconds(), monotonic=monotonic
        )
        self._late_lookups = LateLookups(monotonic=monotonic)
        self._last_lookup_at: dict[str, float] = {}
        self._sending: set[str] = set()
        self._releasing = 0
        # Two escrows at the same time could both pass a limit that only one of them may pass.
        self._limit_lock = asyncio.Lock()

    @property
    def is_sending(self) -> bool:
        """True if money is being sent, or is about to be."""
        return bool(self._sending or self._releasing)

    async def create(self, request: EscrowRequest) -> Escrow:
        """Open an escrow; if the key was used for the same escrow before, return that escrow.

        Raises:
            KeyReused: The key belongs to a different escrow.
            OrderRefused: The trading mode or a limit forbids it.
            NeverSent, Refused: The escrow had no effect.
            EscrowUnsettled: The escrow may have had an effect; it is looked up later.
            ValueError: A field has a wrong form, or the amount is not above 0; nothing was sent.
        """
        check_escrow(request)
        key = request.idempotency_key
        if key in self._sending:
            raise EscrowUnsettled(key)
        self._sending.add(key)
        try:
            entry = await self._journal.escrow(key)
            if entry is not None:
                previous = _previous_escrow(entry, request)
                if previous is not None:
                    return previous
            self._refuse_unless_active()
            self._refuse_unless_allowed(request.counterparty_id)
            async with self._limit_lock:
                await self._refuse_beyond_limit(request)
                await self._journal.write_escrow(request)
            return await self._open(request)
        finally:
            self._sending.discard(key)

    async def release(self, escrow_id: str) -> Escrow:
        """Pay an escrow out to its counterparty."""
        self._refuse_unless_active()
        if self._limits.counterparties:
            self._refuse_unless_allowed(await self._counterparty_of(escrow_id))
        self._releasing += 1
        try:
            return await self._change(escrow_id, spans.ESCROW_RELEASE, self._release)
        except SendBlocked as blocked:
            raise _refused(blocked.reason) from None
        finally:
            self._releasing -= 1

    async def cancel(self, escrow_id: str) -> Escrow:
        """Cancel an escrow; its amount returns to the wallet."""
        return await self._change(escrow_id, spans.ESCROW_CANCEL, self._exchange.cancel_escrow)

    async def settle_unfinished(self) -> None:
        """Look up the escrows of unknown outcome, and the open escrows whose look-up is due."""
        await self.settle_sent()
        entries = await self._journal.unfinished_escrows()
        open_ids = [entry.escrow_id for entry in entries if entry.escrow_id]
        for escrow_id in self._due(open_ids, every_s=LOOKUP_INTERVAL_S):
            self._last_lookup_at[escrow_id] = self._monotonic()
            await self._refresh(escrow_id)
        await self._look_up_given_up()

    async def settle_sent(self) -> None:
        """Look up the escrows of unknown outcome."""
        unknown = {
            entry.request.idempotency_key: entry
            for entry in await self._journal.unfinished_escrows()
            if entry.is_unsettled
        }
        for key in self._due(list(unknown), every_s=0.0):
            if key not in self._sending:
                self._last_lookup_at[key] = self._monotonic()
                await self._settle(unknown[key])

    async def _release(self, escrow_id: str) -> Escrow:
        with self._control.sending(lambda: self._control.block_reason):
            return await self._exchange.release_escrow(escrow_id)

    async def _look_up_given_up(self) -> None:
        """Look up escrows that were given up: an escrow that appears late is recorded as it is."""
        given_up = {
            entry.request.idempotency_key: entry.request
            for entry in await self._journal.given_up_escrows(GIVEN_UP_LOOKUP_S)
        }
        for key in self._late_lookups.due(given_up.keys(), limit=MAX_GIVEN_UP):
            escrow = await self._find(given_up[key])
            if escrow is not None:
                await self._record_opened(escrow, key)

    async def _open(self, request: EscrowRequest) -> Escrow:
        with tracing.span(
            spans.ESCROW_CREATE,
            counterparty=request.counterparty_id,
            amount_usd=request.amount_usd,
        ) as span:
            escrow = await self._send(request)
            span.set(escrow_id=escrow.escrow_id)
            await self._record_opened(escrow, request.idempotency_key)
        return escrow

    async def _send(self, request: EscrowRequest) -> Escrow:
        try:
            # The mode is read after the write, because a slow disk may delay the write past a halt.
            with self._control.sending(lambda: self._control.block_reason):
                return _checked(await self._exchange.create_escrow(request), request)
        except SendBlocked as blocked:
            await self._journal.withdraw_escrow(request.idempotency_key)
            raise _refused(blocked.reason) from None
        except (NeverSent, Refused) as error:
            mark = UNSENT if error.was_before_any_effect else None
            await self._record_failed(request, mark)
            raise
        except OutcomeUnknown as error:
            escrow = await look_up(lambda: self._find(request), self._lookup_delays_s)
            if escrow is None:
                self._missing_escrows.track(request.idempotency_key)
                raise EscrowUnsettled(request.idempotency_key) from error
            return escrow

    async def _settle(self, entry: EscrowEntry) -> None:
        key = entry.request.idempotency_key
        escrow = await self._find(entry.request)
        if escrow is not None:
            await self._record_opened(escrow, key)
            return
        if self._missing_escrows.is_abandoned(key):
            self._forget_key(key)
            await self._record_failed(entry.request, GIVEN_UP)

    async def _find(self, request: EscrowRequest) -> Escrow | None:
        escrow = await self._exchange.find_escrow(request.idempotency_key)
        return None if escrow is None else _checked(escrow, request)

    def _forget_key(self, idempotency_key: str) -> None:
        self._missing_escrows.resolve(idempotency_key)
        self._last_lookup_at.pop(idempotency_key, None)

    async def _refresh(self, escrow_id: str) -> None:
        try:
            escrow = await self._exchange.escrow(escrow_id)
        except Refused:  # deleted, or owned by another key now: it stays open in the journal and is looked up again
            return
        await self._record_change(escrow)

    async def _change(
        self, escrow_id: str, kind: spans.Span, change: Callable[[str], Awaitable[Escrow]]
    ) -> Escrow:
        with tracing.span(kind, escrow_id=escrow_id):
            try:
                escrow = await change(escrow_id)
            except OutcomeUnknown:
                current = await look_up(
                    lambda: self._exchange.escrow(escrow_id), self._lookup_delays_s
                )
                if current is None or current.status == "created":
                    raise
                escrow = current
            await self._record_change(escrow)
        return escrow

    async def _record_opened(self, escrow: Escrow, idempotency_key: str) -> None:
        is_new = await self._journal.open_escrow(escrow, idempotency_key)
        self._forget_key(idempotency_key)
        if not is_new:
            return
        self._last_lookup_at[escrow.escrow_id] = self._monotonic()
        _report(escrow, "created")
        if escrow.status != "created":  # it changed before its first look-up
            _report(escrow, escrow.status)

    async def _record_change(self, escrow: Escrow) -> None:
        if await self._journal.finish_escrow(escrow):
            self._last_lookup_at.pop(escrow.escrow_id, None)
            _report(escrow, escrow.status)

    async def _record_failed(self, request: EscrowRequest, mark: str | None) -> None:
        if await self._journal.fail_escrow(request.idempotency_key, mark=mark):
            metrics.record_escrow_transaction(request.counterparty_id, "failed")
            logs.log_escrow_event(request.counterparty_id, request.amount_usd, "failed", "")

    def _due(self, names: Sequence[str], *, every_s: float) -> list[str]:
        """Return the names whose look-up is due: those never looked up first, then the oldest look-ups."""
        before = self._monotonic() - every_s
        last_lookup_at = {name: self._last_lookup_at.get(name, float("-inf")) for name in names}
        due = [name for name in names if last_lookup_at[name] <= before]
        return sorted(due, key=lambda name: last_lookup_at[name])[:MAX_LOOKUPS]

    async def _counterparty_of(self, escrow_id: str) -> str:
        entries = await self._journal.unfinished_escrows()
        known = (e.request.counterparty_id for e in entries if e.escrow_id == escrow_id)
        return next(known, None) or (await self._exchange.escrow(escrow_id)).counterparty_id

    def _refuse_unless_allowed(self, counterparty_id: str) -> None:
        allowed = self._limits.counterparties
        if allowed and counterparty_id not in allowed:
            raise _refused(COUNTERPARTY)

    async def _refuse_beyond_limit(self, request: EscrowRequest) -> None:
        """Refuse an escrow if the sum of it and all open ones is too large. Unknown outcomes count as open."""
        entries = await self._journal.unfinished_escrows()
        open_usd = sum((entry.request.amount_usd for entry in entries), Decimal(0))
        if open_usd + request.amount_usd > quantities.decimal(self._limits.max_escrow_usd):
            raise _refused(MAX_ESCROW)

    def _refuse_unless_active(self) -> None:
        self._control.refresh()
        reason = self._control.block_reason
        if reason is not None:
            raise _refused(reason)


def _checked(escrow: Escrow, request: EscrowRequest) -> Escrow:
    """Return the escrow if it is the one that was requested, because limits count it as the answer describes it."""
    answered = (escrow.counterparty_id, escrow.amount_usd)
    if answered != (request.counterparty_id, request.amount_usd):
        raise OutcomeUnknown("the answer is about another escrow", error_type="upstream")
    return escrow


def _refused(reason: str) -> OrderRefused:
    metrics.record_risk_refusal(reason)
    return OrderRefused(reason)


def _previous_escrow(entry: EscrowEntry, request: EscrowRequest) -> Escrow | None:
    """Return the escrow of a key; None if it never had an effect and may be sent again under its key."""
    same = (request.counterparty_id, request.amount_usd)
    if (entry.request.counterparty_id, entry.request.amount_usd) != same:
        raise KeyReused(f"the idempotency key {request.idempotency_key} belongs to another escrow")
    if entry.escrow is not None:
        return entry.escrow
    if entry.is_unsettled:
        raise EscrowUnsettled(request.idempotency_key)
    if entry.may_be_sent_again:
        return None
    raise NeverSent("the escrow had no effect")


def _report(escrow: Escrow, reached: str) -> None:
    status = STATUS_TAGS.get(reached, reached)
    metrics.record_escrow_transaction(escrow.counterparty_id, status, escrow.amount_usd)
    logs.log_escrow_event(escrow.counterparty_id, escrow.amount_usd, status, escrow.escrow_id)
