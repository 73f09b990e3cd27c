"""Classes of values that would be tags without a bound."""

import httpx
import pytest
from fastapi import HTTPException

from purpleflea_contract import tags
from purpleflea_sdk.telemetry import tag_cardinality


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/v1/orders", "/v1/orders"),
        ("/v1/orders?idempotency_key=k1", "/v1/orders"),
        ("/v1/orders/ord_0123456789", "/v1/orders/:id"),
        ("/v1/orders/:id", "/v1/orders/:id"),
        ("/v1/markets/BTC-USD/candles", "/v1/markets/:market/candles"),
        ("/v1/escrow/esc_1/release/", "/v1/escrow/:id/release"),
        ("/v1/escrow/esc_1/burn", "other"),
        ("/v2/orders", "other"),
        ("", "other"),
    ],
)
def test_a_path_becomes_its_route_template(path: str, template: str) -> None:
    assert tag_cardinality.endpoint_template(path) == template
    assert template in tags.ENDPOINT.values


@pytest.mark.parametrize(
    ("counterparty", "expected"),
    [("agent_7", "agent"), ("ag_7", "agent"), ("0xabc", "external"), ("", "other")],
)
def test_a_counterparty_becomes_its_class(counterparty: str, expected: str) -> None:
    assert tag_cardinality.counterparty_class(counterparty) == expected


def answered(status: int) -> httpx.HTTPStatusError:
    request = httpx.Request("POST", "http://exchange/v1/orders")
    return httpx.HTTPStatusError("", request=request, response=httpx.Response(status))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (answered(429), "rate_limited"),
        (answered(404), "rejected"),
        (answered(503), "upstream"),
        (HTTPException(status_code=502), "upstream"),
        (httpx.ReadTimeout(""), "timeout"),
        (httpx.ConnectError(""), "connection"),
        (TimeoutError(), "timeout"),
        (BrokenPipeError(), "connection"),
        (KeyError("market"), "other"),
    ],
)
def test_an_error_becomes_its_class(error: Exception, expected: str) -> None:
    assert tag_cardinality.error_class(error) == expected
    assert expected in tags.ERROR_TYPE.values
