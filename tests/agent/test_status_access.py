"""Access to the account's data in /v1/status: by token, from the pod, or from the network, as a table of requests."""

import json
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from purpleflea_agent import application
from purpleflea_agent.api.app import create_app
from purpleflea_agent.api.bodies import PublicStatusAnswer, StatusAnswer
from purpleflea_contract.status_report import StatusReport
from purpleflea_sdk.settings import read_environment
from support.agent_process import TOKEN, AgentFolder, settings

OPERATOR, LOCAL = "10.1.2.3", "127.0.0.1"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
HIDDEN = StatusAnswer.model_fields.keys() - PublicStatusAnswer.model_fields.keys()


class Agents:
    """An application for each combination of settings, of agents that do not trade."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._apps: dict[tuple[bool, str], FastAPI] = {}

    def client(
        self, address: str = OPERATOR, *, has_token: bool = True, access: str = "Token"
    ) -> httpx.AsyncClient:
        """Return a client at an address."""
        if (has_token, access) not in self._apps:
            self._apps[has_token, access] = self._app(has_token=has_token, access=access)
        transport = httpx.ASGITransport(self._apps[has_token, access], client=(address, 40_000))
        return httpx.AsyncClient(transport=transport, base_url="http://localhost:8000")

    def _app(self, *, has_token: bool, access: str) -> FastAPI:
        folder = AgentFolder(self._root / f"{access}-{has_token}", {})
        api = {"endpoints": {"trading": "http://127.0.0.1:1"}, "statusAccess": access}
        document = settings({}, api=api)
        (folder.config / "settings.json").write_text(json.dumps(document))
        environment = folder.environment
        if not has_token:
            del environment["PURPLEFLEA_API_TOKEN_FILE"]
        with pytest.MonkeyPatch.context() as patched:
            for name, value in environment.items():
                patched.setenv(name, value)
            return create_app(application.assemble(read_environment()))


@pytest.fixture(scope="module")
def agents(tmp_path_factory: pytest.TempPathFactory) -> Agents:
    return Agents(tmp_path_factory.mktemp("agents"))


@pytest.mark.parametrize(
    ("address", "has_token", "headers", "is_shown"),
    [
        pytest.param(OPERATOR, True, {}, False, id="the operator"),
        pytest.param(OPERATOR, True, BEARER, True, id="the token"),
        pytest.param(LOCAL, True, {}, False, id="the pod if there is a token"),
        pytest.param(LOCAL, True, BEARER, True, id="the pod with the token"),
        pytest.param(OPERATOR, False, {}, False, id="the network without a token"),
        pytest.param(OPERATOR, False, BEARER, False, id="any token if none is mounted"),
        pytest.param(LOCAL, False, {}, True, id="the pod if there is no token"),
        pytest.param("::1", False, {}, True, id="the pod by IPv6"),
        pytest.param("::ffff:127.0.0.1", False, {}, True, id="the pod by IPv4 on an IPv6 socket"),
        pytest.param("::ffff:10.1.2.3", False, {}, False, id="the network on an IPv6 socket"),
        pytest.param("127.0.0.6", False, {}, False, id="the proxy of a mesh"),
        pytest.param(
            LOCAL, False, {"X-Forwarded-For": OPERATOR}, False, id="a proxy that adds a header"
        ),
        pytest.param(LOCAL, False, {"X-Forwarded-For": LOCAL}, False, id="a header that lies"),
        pytest.param(LOCAL, False, {"Forwarded": "for=127.0.0.1"}, False, id="RFC 7239"),
        pytest.param(OPERATOR, False, {"Host": "127.0.0.1"}, False, id="a Host that lies"),
        pytest.param(LOCAL, False, {"Host": "evil.example:8000"}, False, id="DNS rebinding"),
        pytest.param(LOCAL, False, {"Host": "127.0.0.1:8000"}, True, id="by address"),
        pytest.param(LOCAL, False, {"Host": "[::1]:8000"}, True, id="by IPv6 address"),
        pytest.param("", False, {}, False, id="no address"),
    ],
)
async def test_the_account_is_shown_to(
    agents: Agents, address: str, has_token: bool, headers: dict[str, str], is_shown: bool
) -> None:
    async with agents.client(address, has_token=has_token) as client:
        answer = await client.get("/v1/status", headers=headers)
    assert answer.status_code == 200
    assert answer.json()["account_data"] == ("shown" if is_shown else "hidden")
    assert bool(answer.json().keys() & HIDDEN) is is_shown
    StatusReport.model_validate_json(answer.content)  # all that the operator reads


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], f"{TOKEN}x", "ünïcode"])
async def test_a_wrong_token_is_an_error_and_not_an_answer_without_data(
    agents: Agents, token: str
) -> None:
    async with agents.client() as client:
        answer = await client.get("/v1/status", headers=_bearer(token))
    assert answer.status_code == (401 if token else 200)
    assert not answer.json().keys() & HIDDEN


def _bearer(token: str) -> dict[str, bytes]:
    return {"Authorization": b"Bearer " + token.encode()}


@pytest.mark.parametrize("has_token", [True, False])
async def test_the_network_gets_the_account_if_the_spec_says_so(
    agents: Agents, has_token: bool
) -> None:
    async with agents.client(has_token=has_token, access="Network") as client:
        answer = await client.get("/v1/status")
    assert answer.json().keys() == StatusAnswer.model_fields.keys()


@pytest.mark.parametrize("content", ["", " \n", None])
async def test_a_token_file_without_a_token_closes_the_account(
    tmp_path: Path, content: str | None
) -> None:
    agents = Agents(tmp_path)
    async with agents.client(LOCAL) as client:
        token_file = tmp_path / "Token-True" / "token"
        token_file.unlink()
        if content is not None:
            token_file.write_text(content)
        answer = await client.get("/v1/status", headers=_bearer(content or ""))
    assert answer.json()["account_data"] == "hidden"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/trade"),
        ("GET", "/v1/orders"),
        ("GET", "/v1/orders/ord_1"),
        ("DELETE", "/v1/orders/ord_1"),
        ("POST", "/v1/escrow/create"),
        ("POST", "/v1/escrow/esc_1/release"),
        ("POST", "/v1/escrow/esc_1/cancel"),
    ],
)
@pytest.mark.parametrize("access", ["Token", "Network"])
async def test_routes_that_move_money_need_the_token_from_any_client(
    agents: Agents, method: str, path: str, access: str
) -> None:
    async with agents.client(LOCAL, has_token=False, access=access) as client:
        assert (await client.request(method, path, headers=BEARER)).status_code == 403
    async with agents.client(LOCAL, access=access) as client:
        assert (await client.request(method, path)).status_code == 401
