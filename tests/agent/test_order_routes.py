"""GET and DELETE of /v1/orders: every order that was sent can be seen, and a resting order canceled, in any mode."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from support.agent_process import TOKEN, AgentFolder, AgentProcess
from support.exchange_double import ExchangeDouble
from support.waiting import wait_for

KEEP = {"interval": "1h", "orderSize": "0.01", "signalThreshold": "1000", "restingOrders": "Keep"}
ORDER = {"market": "BTC-USD", "side": "buy", "size": "0.01"}
LIMIT = {**ORDER, "type": "limit", "price": "50000"}


class Client:
    """A user of a running agent with the token."""

    def __init__(self, agent: AgentProcess, folder: AgentFolder, exchange: ExchangeDouble) -> None:
        self.agent, self.folder, self.exchange = agent, folder, exchange

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        token: str = TOKEN,
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers |= {"Idempotency-Key": key} if key else {}
        return self.agent.http.request(method, path, json=body, headers=headers)

    def rest(self) -> str:
        """Leave a limit order at the exchange and return its id."""
        return str(self.request("POST", "/v1/trade", LIMIT).json()["order_id"])

    def orders(self, **query: Any) -> list[dict[str, Any]]:
        path = f"/v1/orders?{httpx.QueryParams(query)}"
        return list(self.request("GET", path).json()["orders"])


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with ExchangeDouble() as exchange:
        folder = AgentFolder(
            tmp_path_factory.mktemp("orders") / "agent", exchange.endpoints, trading=KEEP
        )
        with AgentProcess(folder, {}, is_traced=False) as agent:
            agent.wait_until_ready()
            yield Client(agent, folder, exchange)


@pytest.fixture
def client(shared: Client) -> Client:
    shared.folder.token_file.write_text(TOKEN)
    shared.folder.set_mode("Active")
    for order in shared.orders(state="open"):
        shared.request("DELETE", f"/v1/orders/{order['order_id']}?by=id")
    return shared


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("GET", "/ord_1"), ("DELETE", "/ord_1")])
def test_orders_are_neither_shown_nor_canceled_without_the_token(
    client: Client, method: str, path: str
) -> None:
    resting = client.rest()
    path = f"/v1/orders{path}".replace("ord_1", resting)
    for token in ("", "wrong"):
        refused = client.request(method, path, token=token)
        assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized")
    client.folder.token_file.unlink()
    assert client.request(method, path).status_code == 403
    client.folder.token_file.write_text(TOKEN)
    assert [order["order_id"] for order in client.orders(state="open")] == [resting]


def test_open_orders_come_first_and_then_the_newest(client: Client) -> None:
    resting = client.rest()
    newest = [client.request("POST", "/v1/trade", ORDER).json()["order_id"] for _ in range(2)]
    listed = client.orders()
    assert [order["order_id"] for order in listed[:3]] == [resting, *reversed(newest)]
    assert [order["status"] for order in listed[:3]] == ["open", "filled", "filled"]
    assert (listed[0]["limit_price"], listed[0]["price"]) == ("50000", None)
    assert [order["order_id"] for order in client.orders(limit=2)] == [resting, newest[1]]
    assert [order["order_id"] for order in client.orders(state="open")] == [resting]
    status = client.agent.status()
    assert [order["order_id"] for order in status["open_orders"]] == [resting]


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "state=closed", "limit=x"])
def test_a_query_out_of_range_is_refused(client: Client, query: str) -> None:
    assert client.request("GET", f"/v1/orders?{query}").status_code == 422


@pytest.mark.parametrize("mode", ["Active", "Halted", "Stopped"])
def test_a_resting_order_is_canceled_in_every_mode(client: Client, mode: str) -> None:
    resting = client.rest()
    client.folder.set_mode(mode)
    wait_for(lambda: client.agent.http.get("/v1/control").json()["mode"] == mode, what=mode)
    canceled = client.request("DELETE", f"/v1/orders/{resting}")
    assert (canceled.status_code, canceled.json()["status"]) == (200, "cancelled")
    assert client.request("GET", f"/v1/orders/{resting}").json() == canceled.json()
    again = client.request("DELETE", f"/v1/orders/{resting}")
    assert (again.status_code, again.json()["code"]) == (409, "order_done")


def test_an_order_that_was_filled_meanwhile_is_answered_as_filled(client: Client) -> None:
    resting = client.rest()
    order = next(o for o in client.exchange.orders.values() if o["order_id"] == resting)
    order |= {"status": "filled", "filled_size": "0.01", "price": "50000"}
    answer = client.request("DELETE", f"/v1/orders/{resting}")
    assert (answer.status_code, answer.json()["status"]) == (200, "filled")


def test_a_cancellation_that_the_exchange_refuses_is_an_error_and_may_be_repeated(
    client: Client,
) -> None:
    resting = client.rest()
    for status, code in ((409, 409), (403, 502)):
        client.exchange.faults.cancels_refused_with = status
        assert client.request("DELETE", f"/v1/orders/{resting}").status_code == code
    client.exchange.faults.cancels_refused_with = 0
    assert client.request("DELETE", f"/v1/orders/{resting}").status_code == 200


@pytest.mark.parametrize(
    ("method", "by", "status"),
    [
        ("GET", "", 409),
        ("DELETE", "", 409),
        ("GET", "id", 200),
        ("GET", "key", 200),
        ("DELETE", "id", 200),
        ("DELETE", "key", 409),
        ("DELETE", "name", 422),
    ],
)
def test_a_key_that_is_the_id_of_another_order_names_neither_of_them(
    client: Client, method: str, by: str, status: int
) -> None:
    resting = client.rest()
    filled = client.request("POST", "/v1/trade", ORDER, key=resting).json()
    answer = client.request(method, f"/v1/orders/{resting}" + (f"?by={by}" if by else ""))
    assert answer.status_code == status
    if not by:
        assert answer.json()["code"] == "order_ambiguous"
    if status == 200:
        wanted = resting if by == "id" else filled["order_id"]
        assert answer.json()["order_id"] == wanted
    if (method, by) == ("DELETE", "key"):
        assert answer.json()["code"] == "order_done"
    is_canceled = (method, by) == ("DELETE", "id")
    assert bool(client.orders(state="open")) is not is_canceled


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("by", ["id", "key"])
def test_a_name_of_the_other_kind_is_not_found(client: Client, method: str, by: str) -> None:
    answer = client.request("POST", "/v1/trade", LIMIT, key=f"mine-{method}-{by}").json()
    name = answer["idempotency_key"] if by == "id" else answer["order_id"]
    refused = client.request(method, f"/v1/orders/{name}?by={by}")
    assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
    assert [order["order_id"] for order in client.orders(state="open")] == [answer["order_id"]]


def test_an_order_of_unknown_outcome_is_found_by_its_key_and_cannot_be_canceled(
    client: Client,
) -> None:
    client.exchange.faults.lose_requests = 1
    assert client.request("POST", "/v1/trade", ORDER, key="lost").status_code == 504
    found = client.request("GET", "/v1/orders/lost").json()
    assert (found["status"], found["order_id"]) == ("unknown", None)
    refused = client.request("DELETE", "/v1/orders/lost")
    assert (refused.status_code, refused.json()["code"]) == (409, "order_pending")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("name", ["ord_999", "unknown-key"])
def test_an_order_that_was_never_sent_is_not_found(client: Client, method: str, name: str) -> None:
    answer = client.request(method, f"/v1/orders/{name}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert client.request(method, "/v1/orders/a%20b").status_code in (404, 422)
