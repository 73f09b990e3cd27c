from collections.abc import Iterable
from contextlib import suppress
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from purpleflea_sandbox.exchange.core.escrows import EscrowStatus, NewEscrow
from purpleflea_sandbox.exchange.core.markets import MARKETS
from purpleflea_sandbox.exchange.core.orders import NewOrder, OrderStatus, OrderType, Side
from purpleflea_sandbox.exchange.errors import ExchangeError
from purpleflea_sandbox.exchange.storage import accounts, escrows, orders
from purpleflea_sandbox.exchange.storage.accounts import EntryKind
from purpleflea_sandbox.exchange.storage.database import Database
from purpleflea_sandbox.exchange.venue import escrow, funding, trading
from purpleflea_sandbox.exchange.venue.context import VenueContext

AGENTS = ("alpha", "beta", "gamma")
SOURCES = {EntryKind.OPENING_DEPOSIT, EntryKind.FAUCET, EntryKind.REALIZED_PNL, EntryKind.FEE}

agents = st.sampled_from(AGENTS)
trades = st.tuples(
    st.just("trade"),
    agents,
    st.sampled_from(sorted(MARKETS)),
    st.sampled_from(Side),
    st.integers(1, 300),
    st.sampled_from([None, "0.995", "0.9995", "1.0005", "1.005"]),
)
steps = st.one_of(
    trades,
    st.tuples(
        st.just("lock"), agents, st.sampled_from([*AGENTS, "outsider"]), st.integers(1, 9_000)
    ),
    st.tuples(st.sampled_from(["release", "cancel"]), st.integers(0, 5)),
    st.tuples(st.just("faucet"), agents),
    st.tuples(st.just("wait"), st.integers(1, 200_000)),
)


class _Scenario:
    def __init__(self) -> None:
        self.now_ms = 1_800_000_000_000
        self.venue = VenueContext(database=Database.in_memory(), clock=lambda: self.now_ms)
        self.number = 0

    def account(self, agent):
        return funding.account(self.venue, "fleet", agent)

    def trade(self, agent, name, side, lots, away):
        market = MARKETS[name]
        self.number += 1
        limit = None
        if away is not None:
            raw = self.venue.price(market) * Decimal(away)
            limit = raw.quantize(market.tick_size)
        # About 200 USD per lot, so that some orders exceed the leverage limit.
        lot = (200 / market.anchor_usd).quantize(market.size_step)
        request = NewOrder(
            idempotency_key=f"k{self.number}",
            market=market,
            side=side,
            size=lot * lots,
            type=OrderType.MARKET if limit is None else OrderType.LIMIT,
            price=limit,
        )
        trading.place(self.venue, self.account(agent).account_id, request)

    def lock(self, agent, counterparty, amount):
        self.number += 1
        request = NewEscrow(
            idempotency_key=f"k{self.number}",
            counterparty_id=counterparty,
            amount_usd=Decimal(amount),
        )
        escrow.create(self.venue, self.account(agent), request)

    def release(self, number):
        self._close(number, escrow.release)

    def cancel(self, number):
        self._close(number, escrow.cancel)

    def _close(self, number, step):
        known = escrows.every(self.venue.database)
        if number < len(known):
            owner = accounts.get(self.venue.database, known[number].account_id)
            step(self.venue, owner, known[number].escrow_id)

    def faucet(self, agent):
        funding.claim_faucet(self.venue, self.account(agent))

    def wait(self, milliseconds):
        self.now_ms += milliseconds
        trading.settle(self.venue)


@settings(max_examples=80, deadline=None)
@given(st.lists(steps, max_size=25))
def test_no_step_creates_or_loses_money(walk):
    scenario = _Scenario()
    for name, *arguments in walk:
        # A rejected step must change nothing; the assertions below verify this.
        with suppress(ExchangeError):
            getattr(scenario, name)(*arguments)
    database = scenario.venue.database
    all_accounts = accounts.every(database)
    for account in all_accounts:
        entries = accounts.entries(database, account.account_id)
        assert account.cash_usd == _total(entry.amount_usd for entry in entries)
        assert account.cash_usd >= 0
        _check_positions(database, account.account_id)
    deposited = [
        entry.amount_usd
        for account in all_accounts
        for entry in accounts.entries(database, account.account_id)
        if entry.kind in SOURCES
    ]
    cash = _total(account.cash_usd for account in all_accounts)
    assert cash + _locked_or_paid_out(database) == _total(deposited)
    database.close()


def _check_positions(database, account_id):
    """Check that size, cost and profit follow from the fills."""
    filled = orders.newest(database, account_id, status=OrderStatus.FILLED, limit=1000)
    for name, position in accounts.positions(database, account_id).items():
        mine = [order for order in filled if order.request.market.name == name]
        signed = [(o.request.size * o.request.side.sign, o.fill_price) for o in mine]
        assert position.size == _total(size for size, _ in signed)
        paid = _total(size * price for size, price in signed)
        assert position.realized_pnl_usd == position.cost_usd - paid
        assert position.realized_pnl_usd == _total(order.realized_pnl_usd for order in mine)


def _locked_or_paid_out(database):
    known = {account.agent_id for account in accounts.every(database)}
    return _total(
        held.request.amount_usd
        for held in escrows.every(database)
        if held.status is EscrowStatus.CREATED
        or (held.status is EscrowStatus.RELEASED and not _was_paid(database, held, known))
    )


def _was_paid(database, held, agents_known):
    return held.request.counterparty_id in agents_known and any(
        entry.kind is EntryKind.ESCROW_RECEIPT and entry.reference == held.escrow_id
        for account in accounts.every(database)
        for entry in accounts.entries(database, account.account_id)
    )


def _total(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, Decimal(0))
