"""Errors that a chaos run has to find: each takes one fix out of the agent again.

An error has the plan in which it is found soon, and the invariants that do not hold then.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from purpleflea_agent.exchange.errors import NeverSent, OutcomeUnknown, Refused
from purpleflea_agent.exchange.port import Order, OrderRequest
from purpleflea_agent.exchange.seed import SeedExchange, wire
from purpleflea_agent.trading import (
    account,
    exposure,
    loop,
    market_data,
    order_checks,
    order_execution,
    order_manager,
    order_rate,
)
from purpleflea_agent.trading.account import Account
from purpleflea_agent.trading.escrows import EscrowManager
from purpleflea_agent.trading.missing_orders import MissingOrderTracker
from purpleflea_agent.trading.order_rate import OrderRate
from purpleflea_agent.trading.position_discrepancies import PositionDiscrepancies
from purpleflea_agent.trading.shutdown import Shutdown
from purpleflea_sdk.control import ControlFile

Patch = pytest.MonkeyPatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """One error."""

    plant: Callable[[Patch], None]
    found: tuple[str, ...]
    plan: dict[str, Any] = field(default_factory=dict)


def _positions_as_reported(patch: Patch) -> None:
    patch.setattr(Account, "possible_sizes", lambda self, market: (self.portfolio.size_of(market),))
    patch.setattr(PositionDiscrepancies, "is_mismatch", lambda *_, **__: False)


def _any_4xx_is_a_refusal(patch: Patch) -> None:
    def problem(status: int, *_: object) -> wire.ProblemPayload | None:
        return wire.ProblemPayload(type="", title="", status=status, detail="", code="")

    patch.setattr(wire, "venue_problem", problem)


def _no_look_at_the_mode_before_the_send(patch: Patch) -> None:
    @contextlib.contextmanager
    def sending(_: ControlFile, block_reason: object) -> Iterator[None]:
        yield

    patch.setattr(ControlFile, "sending", sending)


def _a_limited_key_is_used_up(patch: Patch) -> None:
    patch.setattr(Refused, "was_before_any_effect", False)


def _rate_by_the_wall_clock(patch: Patch) -> None:
    async def last_minute(self: OrderRate) -> int:
        return await self._journal.orders_since(self._clock() - order_rate.MINUTE_S)

    patch.setattr(OrderRate, "last_minute", last_minute)


def _rate_of_this_process_only(patch: Patch) -> None:
    async def earlier(_: OrderRate) -> list[float]:
        return []

    patch.setattr(OrderRate, "_earlier", earlier)


def _resting_orders_stay(patch: Patch) -> None:
    patch.setattr(Shutdown, "_cancels", lambda *_, **__: False)


def _fees_left_out(patch: Patch) -> None:
    patch.setattr(Account, "fees_usd", {})


def _any_price(patch: Patch) -> None:
    for module in (account, market_data, order_checks):
        patch.setattr(module, "price_problem", lambda _: None)
    patch.setattr(market_data, "_jump", lambda *_: None)
    patch.setattr(loop, "candles_problem", lambda *_, **__: None)


def _any_answer_is_booked(patch: Patch) -> None:
    patch.setattr(order_execution, "_checked", lambda order, _: order)


def _given_up_after_30_s(patch: Patch) -> None:
    create = MissingOrderTracker.__init__

    def short(self: MissingOrderTracker, **more: Any) -> None:
        create(self, **{**more, "abandon_after_s": 30.0})

    patch.setattr(MissingOrderTracker, "__init__", short)


def _an_unknown_order_is_ignored(patch: Patch) -> None:
    for module in (order_checks, order_manager):
        patch.setattr(module, "is_pending", lambda *_: False)


def _no_limit_of_escrows(patch: Patch) -> None:
    async def anything(*_: object) -> None:
        return None

    patch.setattr(EscrowManager, "_refuse_beyond_limit", anything)


def _no_answer_is_no_effect(patch: Patch) -> None:
    place = SeedExchange.place_order

    async def placed(self: SeedExchange, request: OrderRequest) -> Order:
        try:
            return await place(self, request)
        except OutcomeUnknown as error:
            raise NeverSent(str(error)) from error

    patch.setattr(SeedExchange, "place_order", placed)


def _open_orders_without_a_size(patch: Patch) -> None:
    patch.setattr(exposure, "open_size", lambda _: exposure.ZERO)


def _closing_by_the_report(patch: Patch) -> None:
    patch.setattr(Account, "safe_close_size", lambda self, market: self.portfolio.size_of(market))


RESTARTS, NO_NETWORK = ("kill", "restart"), ()
QUIET: dict[str, Any] = {"faults": (), "network_faults": (), "events": ()}

PLANTED = {
    "positions as they are reported": Planted(
        plant=_positions_as_reported,
        found=("maxPositionUsd", "maxExposureUsd"),
        plan={**QUIET, "faults": ("stale by 4 min",), "fault_share": 0.8},
    ),
    "a 4xx of a gateway is a refusal": Planted(
        plant=_any_4xx_is_a_refusal,
        found=("journal = exchange", "maxEscrowUsd", "maxExposureUsd", "maxPositionUsd"),
        plan={**QUIET, "faults": ("gateway after commit",), "fault_share": 0.3},
    ),
    "the mode is not read between journal and send": Planted(
        plant=_no_look_at_the_mode_before_the_send,
        found=("no order after a halt is acknowledged",),
        plan={**QUIET, "events": ("halt", "slow disk"), "event_every_s": 2.0, "operations": 300},
    ),
    "a key answered 429 is used up": Planted(
        plant=_a_limited_key_is_used_up,
        found=("a key refused with 401 or 429 can be used again",),
        plan={**QUIET, "faults": ("429 for an order",), "fault_share": 0.6},
    ),
    "the rate uses the wall clock": Planted(
        plant=_rate_by_the_wall_clock,
        found=("maxOrdersPerMinute",),
        plan={**QUIET, "events": ("clock step",), "event_every_s": 10.0},
    ),
    "the rate forgets earlier processes": Planted(
        plant=_rate_of_this_process_only,
        found=("maxOrdersPerMinute",),
        plan={**QUIET, "events": RESTARTS, "event_every_s": 10.0},
    ),
    "resting orders stay in a halt": Planted(
        plant=_resting_orders_stay,
        found=("a halt cancels resting orders", "no open order of an idle agent"),
        plan={**QUIET, "operations": 30, "settled_within_s": 60.0},
    ),
    "the P&L is before fees": Planted(
        plant=_fees_left_out,
        found=("P&L metric = books",),
        plan={**QUIET, "operations": 30},
    ),
    "any price is used": Planted(
        plant=_any_price,
        found=("maxOrderUsd", "no unexpected exception", "maxPositionUsd", "maxExposureUsd"),
        plan={**QUIET, "faults": ("odd price",), "fault_share": 0.8},
    ),
    "any answer about an order is booked": Planted(
        plant=_any_answer_is_booked,
        found=("positions = exchange", "journal = exchange", "P&L metric = books"),
        plan={**QUIET, "faults": ("odd name in an order",), "fault_share": 0.7},
    ),
    "an order is given up after 30 s": Planted(
        plant=_given_up_after_30_s,
        found=("no order while another of its market is unknown",),
        plan={**QUIET, "network_faults": ("delivered minutes later",), "network_share": 0.2},
    ),
    "an order of unknown outcome does not block its market": Planted(
        plant=_an_unknown_order_is_ignored,
        found=("no order while another of its market is unknown",),
        plan={**QUIET, "network_faults": ("silent server",), "network_share": 0.3},
    ),
    "escrows have no limit": Planted(
        plant=_no_limit_of_escrows, found=("maxEscrowUsd",), plan=QUIET
    ),
    "no answer counts as no effect": Planted(
        plant=_no_answer_is_no_effect,
        found=("no order twice", "journal = exchange", "maxPositionUsd", "maxExposureUsd"),
        plan={**QUIET, "faults": ("no answer after commit",), "fault_share": 0.4},
    ),
    "open orders have no size": Planted(
        plant=_open_orders_without_a_size,
        found=("maxPositionUsd", "maxExposureUsd"),
        plan={**QUIET, "faults": ("late fill",), "fault_share": 0.9},
    ),
    "positions are closed as they are reported": Planted(
        plant=_closing_by_the_report,
        found=("no order after a halt is acknowledged",),
        plan={
            **QUIET,
            "faults": ("stale by 1 min",),
            "fault_share": 0.6,
            "events": ("stop and flatten",),
            "event_every_s": 15.0,
        },
    ),
}
