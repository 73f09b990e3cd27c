from decimal import Decimal

import pytest

from purpleflea_sandbox.exchange.core.escrows import EscrowStatus, NewEscrow
from purpleflea_sandbox.exchange.errors import (
    ConflictError,
    NotFoundError,
    SettingsError,
    TooManyError,
    UnauthorizedError,
)
from purpleflea_sandbox.exchange.storage import accounts
from purpleflea_sandbox.exchange.venue import access, escrow, funding
from purpleflea_sandbox.exchange.venue.access import KeyFile

KEY = "pf_paper_" + "1" * 32
NEW_KEY = "pf_paper_" + "3" * 32


def _wanted(amount="100", key="k", counterparty="momentum-1"):
    return NewEscrow(idempotency_key=key, counterparty_id=counterparty, amount_usd=Decimal(amount))


def _cash(exchange, agent="momentum-0"):
    known = accounts.find(exchange.state.venue.database, "fleet", agent)
    assert known is not None
    return known.cash_usd


def test_a_released_escrow_pays_another_agent_of_the_same_owner(exchange):
    venue = exchange.state.venue
    funding.account(venue, "fleet", "momentum-1")
    created, _ = escrow.create(venue, exchange.account, _wanted())
    assert (_cash(exchange), _cash(exchange, "momentum-1")) == (9_900, 10_000)
    assert (
        escrow.release(venue, exchange.account, created.escrow_id).status is EscrowStatus.RELEASED
    )
    assert (_cash(exchange), _cash(exchange, "momentum-1")) == (9_900, 10_100)


def test_money_released_to_an_external_counterparty_leaves_the_exchange(exchange):
    created, _ = escrow.create(
        exchange.state.venue, exchange.account, _wanted(counterparty="stranger")
    )
    escrow.release(exchange.state.venue, exchange.account, created.escrow_id)
    assert _cash(exchange) == 9_900
    assert accounts.find(exchange.state.venue.database, "fleet", "stranger") is None


def test_a_cancelled_escrow_refunds_the_creator(exchange):
    created, _ = escrow.create(exchange.state.venue, exchange.account, _wanted())
    escrow.cancel(exchange.state.venue, exchange.account, created.escrow_id)
    assert _cash(exchange) == 10_000


@pytest.mark.parametrize("first", [escrow.release, escrow.cancel])
@pytest.mark.parametrize("second", [escrow.release, escrow.cancel])
def test_an_escrow_has_only_one_transition(exchange, first, second):
    created, _ = escrow.create(exchange.state.venue, exchange.account, _wanted())
    first(exchange.state.venue, exchange.account, created.escrow_id)
    before = _cash(exchange)
    with pytest.raises(ConflictError, match="only a created escrow can change"):
        second(exchange.state.venue, exchange.account, created.escrow_id)
    assert _cash(exchange) == before


def test_the_same_key_is_the_same_escrow_and_locks_once(exchange):
    first, is_new = escrow.create(exchange.state.venue, exchange.account, _wanted("100"))
    again, is_new_again = escrow.create(exchange.state.venue, exchange.account, _wanted("100.0"))
    assert (first, is_new, is_new_again) == (again, True, False)
    assert _cash(exchange) == 9_900
    with pytest.raises(ConflictError) as refused:
        escrow.create(exchange.state.venue, exchange.account, _wanted("101"))
    assert refused.value.code == "idempotency_conflict"


def test_money_that_backs_a_position_cannot_be_locked(exchange):
    exchange.order("buy", "0.5")
    account = accounts.get(exchange.state.venue.database, exchange.account.account_id)
    with pytest.raises(ConflictError) as refused:
        escrow.create(exchange.state.venue, account, _wanted("5000"))
    assert refused.value.code == "insufficient_balance"
    assert escrow.create(exchange.state.venue, account, _wanted("3000"))[1]


def test_an_escrow_is_visible_only_to_its_creator(exchange):
    created, _ = escrow.create(exchange.state.venue, exchange.account, _wanted())
    other = funding.account(exchange.state.venue, "fleet", "momentum-1")
    with pytest.raises(NotFoundError):
        escrow.get(exchange.state.venue, other, created.escrow_id)


def test_the_faucet_pays_once_per_window(exchange):
    venue = exchange.state.venue
    assert funding.claim_faucet(venue, exchange.account).credited_usd == 100
    exchange.clock.advance(86_399)
    with pytest.raises(TooManyError) as refused:
        funding.claim_faucet(venue, exchange.account)
    assert refused.value.retry_after_s == 1
    exchange.clock.advance(1)
    funding.claim_faucet(venue, exchange.account)
    assert _cash(exchange) == 10_200


def test_a_registered_key_works_and_only_its_hash_is_stored(exchange):
    venue, key_file = exchange.state.venue, exchange.state.key_file
    key = access.register(venue)
    assert access.owner(venue, key_file, key).startswith("key-")
    stored = [tuple(row) for row in venue.database.rows("SELECT * FROM api_keys")]
    assert key not in str(stored)
    with pytest.raises(UnauthorizedError):
        access.owner(venue, key_file, NEW_KEY)


def test_a_key_added_to_the_file_works_immediately_for_its_owner(exchange, keys_file):
    venue, key_file = exchange.state.venue, exchange.state.key_file
    keys_file.write_text(f"{NEW_KEY} fleet\n")
    assert access.owner(venue, key_file, NEW_KEY) == "fleet"
    with pytest.raises(UnauthorizedError):
        access.owner(venue, key_file, KEY)


def test_a_broken_keys_file_leaves_the_previous_keys_valid(exchange, keys_file):
    keys_file.write_text("invalid\n")
    exchange.state.tick()
    assert access.owner(exchange.state.venue, exchange.state.key_file, KEY) == "fleet"


def test_an_error_names_the_number_of_a_bad_line_but_not_its_content(tmp_path):
    path = tmp_path / "keys"
    path.write_text(f"{KEY}\nsk_live_a_real_key\n")
    with pytest.raises(SettingsError, match="line 2") as refused:
        KeyFile(path)
    assert "sk_live" not in str(refused.value)
