"""The functions of the contract."""

import re

import pytest

from purpleflea_contract import secrets, spans
from purpleflea_contract.control import ACKNOWLEDGEMENT, Acknowledgement, Mode


@pytest.mark.parametrize("tag", ["balance_usd", "balance_USDC_usd", "agent_id", "strategy"])
def test_a_span_accepts_its_tags_the_common_tags_and_values_of_a_part(tag: str) -> None:
    assert spans.WALLET_BALANCE_FETCH.takes(tag)


@pytest.mark.parametrize("tag", ["market", "balance__usd", "balance_a.b_usd", "balance_usd_more"])
def test_a_span_accepts_no_other_tag(tag: str) -> None:
    assert not spans.WALLET_BALANCE_FETCH.takes(tag)


@pytest.mark.parametrize(
    "key", ["pf_live_0123456789", "sk_trade_0123456789", "pk_live_0123456789", "pf_sk_0123456789"]
)
def test_a_key_of_every_service_matches(key: str) -> None:
    assert re.fullmatch(secrets.API_KEY, key)


@pytest.mark.parametrize("text", ["pf_paper", "risk_live_trading_mode", "sk_test_short"])
def test_ordinary_words_do_not_match(text: str) -> None:
    assert not re.search(secrets.API_KEY, text)


def test_an_acknowledgement_may_have_two_fields_and_unknown_fields() -> None:
    acknowledgement = Acknowledgement.model_validate(
        {"mode": "Halted", "at_rest": True, "mood": "calm"}
    )
    assert (acknowledgement.mode, acknowledgement.at_rest, acknowledgement.flattened) == (
        Mode.HALTED,
        True,
        None,
    )
    assert Acknowledgement.model_validate(ACKNOWLEDGEMENT).flattened is True
