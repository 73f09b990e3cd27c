import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from decimal import Decimal

import httpx
import pytest

from purpleflea_sandbox.exchange.errors import SettingsError
from purpleflea_sandbox.exchange.server import listener
from purpleflea_sandbox.exchange.storage.database import Database

KEY = "pf_paper_" + "1" * 32
COMMAND = [sys.executable, "-m", "purpleflea_sandbox.exchange"]


def _environment(keys_file, **more):
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("EXCHANGE_")
    }
    mine = {
        "EXCHANGE_HOST": "127.0.0.1",
        "EXCHANGE_PORT": "0",
        "EXCHANGE_KEYS_FILE": str(keys_file),
    }
    return {**inherited, **mine, **more}


@contextlib.contextmanager
def _exchange(keys_file, folder):
    """Run the exchange as a separate process; it is killed, not stopped, at the end."""
    environment = _environment(keys_file, EXCHANGE_DATA_DIR=str(folder))
    with subprocess.Popen(COMMAND, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = json.loads(process.stdout.readline())["port"]
            headers = {"Authorization": f"Bearer {KEY}"}
            url = f"http://127.0.0.1:{port}"
            transport = httpx.HTTPTransport(retries=5)
            with httpx.Client(base_url=url, headers=headers, transport=transport) as client:
                yield process, client
        finally:
            process.kill()


def _buy(client, key):
    body = {"market": "BTC-USD", "side": "buy", "size": "0.01"}
    return client.post("/v1/orders", json=body, headers={"Idempotency-Key": key})


def test_acknowledged_changes_survive_a_kill(keys_file, tmp_path):
    folder = tmp_path / "data"
    with _exchange(keys_file, folder) as (_, client):
        first = _buy(client, "k").json()
        registered = client.post("/v1/auth/register").json()["api_key"]
        escrow = client.post(
            "/v1/escrow",
            json={"counterparty_id": "x", "amount_usd": "5"},
            headers={"Idempotency-Key": "e"},
        ).json()
        balance = client.get("/v1/balance").json()["balances"]
    with _exchange(keys_file, folder) as (_, client):
        again = _buy(client, "k")
        assert (again.status_code, again.json()) == (200, first)
        assert client.get("/v1/balance").json()["balances"] == balance
        assert client.get(f"/v1/escrow/{escrow['escrow_id']}").json() == escrow
        other = client.get("/v1/balance", headers={"Authorization": f"Bearer {registered}"})
        assert Decimal(other.json()["equity_usd"]) == 10_000


def test_a_stop_signal_ends_the_process_without_an_error(keys_file, tmp_path):
    with _exchange(keys_file, tmp_path) as (process, client):
        assert client.get("/readyz").status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) in (0, -signal.SIGTERM)


@pytest.mark.parametrize(
    ("name", "value"),
    [("EXCHANGE_SEED", "x"), ("EXCHANGE_KEYS_FILE", "/none"), ("EXCHANGE_DATA_DIR", "/proc/none")],
)
def test_an_invalid_setting_ends_the_process_with_one_line(keys_file, name, value):
    ended = subprocess.run(
        COMMAND,
        env=_environment(keys_file, **{name: value}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"exchange: {name}: ")
    assert ended.stderr.count("\n") == 1


def test_connections_use_tcp_nodelay_and_a_taken_port_is_an_error():
    with listener("127.0.0.1", 0) as bound:
        with socket.create_connection(bound.getsockname()):
            accepted, _ = bound.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        with pytest.raises(SettingsError, match="choose another port"):
            listener("127.0.0.1", bound.getsockname()[1])


def test_a_second_exchange_on_the_same_folder_is_an_error(tmp_path):
    first = Database.in_folder(tmp_path)
    with pytest.raises(SettingsError, match="another exchange is using"):
        Database.in_folder(tmp_path)
    first.close()
    Database.in_folder(tmp_path).close()


def test_an_error_names_a_file_that_is_not_a_database(tmp_path):
    (tmp_path / "exchange.db").write_text("not a database, but long enough to be read" * 40)
    with pytest.raises(SettingsError, match=r"exchange\.db is not usable"):
        Database.in_folder(tmp_path)
