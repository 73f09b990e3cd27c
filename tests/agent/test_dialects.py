from typing import get_args

from purpleflea_agent.exchange.dialects import DIALECTS
from purpleflea_contract.settings import ApiSettings


def test_every_dialect_of_the_contract_has_an_adapter() -> None:
    assert set(get_args(ApiSettings.model_fields["dialect"].annotation)) == set(DIALECTS)
