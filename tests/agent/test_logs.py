"""The JSON lines: fields, unusual values, exceptions, secrets."""

import io
import json
import logging
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from purpleflea_contract import events
from purpleflea_sdk.settings import Environment, read_environment
from purpleflea_sdk.telemetry import logs, redaction
from support.agent_process import AgentFolder

PRIVATE_KEY = "0x" + "ab" * 32


class Hostile:
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.fixture
def environment(mounts: AgentFolder, monkeypatch: pytest.MonkeyPatch) -> Environment:
    for name, value in {**mounts.environment, "DD_SERVICE": "pf", "DD_ENV": "test"}.items():
        monkeypatch.setenv(name, value)
    return read_environment()


def line(environment: Environment, message: str = "message", *args: Any, **extra: Any) -> Any:
    record = logging.LogRecord("pf", logging.INFO, "file.py", 1, message, args, None)
    vars(record).update(extra)
    return json.loads(logs.JsonFormatter(environment).format(record))


def test_the_timestamp_is_the_time_of_the_record_in_milliseconds(environment: Environment) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC).timestamp()
    assert line(environment, created=moment)["timestamp"] == "2026-01-02T03:04:05.678Z"


def test_extras_are_attributes_and_numbers_stay_numbers(environment: Environment) -> None:
    fields = line(environment, market="BTC-USD", size=Decimal("0.01"), latency_ms=12.5)
    assert (fields["market"], fields["size"], fields["latency_ms"]) == ("BTC-USD", 0.01, 12.5)
    assert (fields["agent_id"], fields["strategy"]) == ("momentum-0", "momentum")


def test_trace_ids_are_in_lines_inside_of_spans_only(
    environment: Environment,
) -> None:
    outside = line(environment, **{"dd.trace_id": "0", "dd.span_id": "0"})
    assert not {"dd.trace_id", "dd.span_id"} & outside.keys()
    assert (outside["dd.service"], outside["dd.env"]) == ("pf", "test")
    inside = line(environment, **{"dd.trace_id": "6b" * 16, "dd.span_id": "42"})
    assert (inside["dd.trace_id"], inside["dd.span_id"]) == ("6b" * 16, "42")


def test_a_business_status_never_becomes_the_level(environment: Environment) -> None:
    fields = line(environment, status="failed", level="CRITICAL")
    assert fields["level"] == "INFO"
    assert fields["extra.status"] == "failed"
    assert "status" not in fields


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        Decimal("NaN"),
        Hostile(),
        b"\xff",
        {1, 2},
        {(1, 2): 3},
        datetime(2026, 1, 1, tzinfo=UTC),
        "\ud800",
        "line\nbreak",
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_unusual_value_does_not_lose_the_line(environment: Environment, value: object) -> None:
    fields = line(environment, odd=value, market="BTC-USD")
    assert fields["market"] == "BTC-USD"
    assert "odd" in fields


def test_a_circular_value_does_not_lose_the_other_values(environment: Environment) -> None:
    circle: list[object] = []
    circle.append(circle)
    fields = line(environment, odd=circle, amounts=[Decimal(1)])
    assert fields["amounts"] == [1.0]


def test_a_line_that_cannot_be_written_is_counted(
    environment: Environment,
) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    handler = logs.LineHandler(Full())
    handler.setFormatter(logs.JsonFormatter(environment))
    for _ in range(3):
        handler.handle(logging.makeLogRecord({"msg": "message"}))
    handler.close()
    assert handler.dropped == 3


def test_arguments_that_do_not_fit_do_not_lose_the_line(environment: Environment) -> None:
    assert line(environment, "%d orders", "many")["message"].startswith("%d orders")


def test_an_exception_has_kind_message_and_stack(environment: Environment) -> None:
    try:
        raise ValueError("no such market")
    except ValueError:
        fields = line(environment, exc_info=sys.exc_info())
    assert (fields["error.kind"], fields["error.message"]) == ("ValueError", "no such market")
    assert "test_logs.py" in fields["error.stack"]


def test_an_exception_whose_text_fails_does_not_lose_the_line(
    environment: Environment,
) -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    fields = line(environment, exc_info=(MuteError, MuteError(), None), market="BTC-USD")
    assert (fields["error.kind"].rpartition(".")[2], fields["market"]) == ("MuteError", "BTC-USD")
    record = logging.LogRecord("pf", logging.INFO, "file.py", 1, "message", None, None)
    vars(record)[42] = "odd"  # type: ignore[index] # what callers of `extra` can do
    assert json.loads(logs.JsonFormatter(environment).format(record))["42"] == "odd"


def test_a_message_whose_text_fails_does_not_lose_the_line(environment: Environment) -> None:
    fields = line(environment, Hostile())  # type: ignore[arg-type] # what callers of logging can do
    assert "arguments do not fit" in fields["message"]


@pytest.mark.parametrize(
    "secret",
    [
        "pf_live_0123456789abcdef",
        "pf_paper_0123456789abcdef0123456789abcdef",
        "sk_trade_0123456789abcdef",
        "pf_sk_0123456789abcdef",
        PRIVATE_KEY,
    ],
)
def test_secrets_are_redacted_in_every_field(environment: Environment, secret: str) -> None:
    fields = json.dumps(
        line(environment, f"key {secret}", header=f"Bearer {secret}", nested={"key": [secret]})
    )
    assert secret not in fields
    assert redaction.PLACEHOLDER in fields


def test_a_registered_secret_is_redacted(environment: Environment) -> None:
    redaction.register_secret("correct-horse-battery")
    assert "horse" not in json.dumps(line(environment, "it is correct-horse-battery"))


@pytest.mark.parametrize("secret", ['quo"ted\\secret', "unausgesprochen-ü", "tab\tsecret"])
def test_a_registered_secret_is_redacted_in_its_json_form(
    environment: Environment, secret: str
) -> None:
    redaction.register_secret(secret)
    fields = line(environment, f"it is {secret}", header=secret)
    assert fields["message"] == "it is [masked]"
    assert fields["header"] == "[masked]"


def test_every_uncaught_exception_is_one_line(mounts: AgentFolder) -> None:
    program = """
import threading
from purpleflea_sdk.telemetry import logs, redaction
from purpleflea_sdk.settings import read_environment
logs.configure(read_environment())
redaction.register_secret("correct-horse-battery")

class Failing:
    def __del__(self):
        raise ValueError("correct-horse-battery")

def fail():
    raise KeyError("correct-horse-battery")

Failing()
thread = threading.Thread(target=fail, name="worker")
thread.start()
thread.join()
raise RuntimeError("correct-horse-battery")
"""
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **mounts.environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (1, "")
    fields = [json.loads(text) for text in ended.stdout.splitlines()]
    assert [line["error.kind"] for line in fields] == ["ValueError", "KeyError", "RuntimeError"]
    assert [line["level"] for line in fields] == ["ERROR", "CRITICAL", "CRITICAL"]
    assert "worker" in fields[1]["message"]
    assert all("[masked]" in line["error.message"] for line in fields)
    assert "horse" not in ended.stdout


def test_every_event_of_the_page_has_its_function_and_attributes(
    environment: Environment, caplog: pytest.LogCaptureFixture
) -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    hooks = (sys.excepthook, threading.excepthook, sys.unraisablehook)
    logs.configure(environment)
    root.handlers = [caplog.handler]
    try:
        logs.log_trade_execution("BTC-USD", "buy", 0.01, 60000.0, 12.345, "ord_1")
        logs.log_signal_generated("BTC-USD", 0.00123456789, "momentum")
        logs.log_escrow_event("agent_b", Decimal(25), "completed", "esc_1")
        logs.log_balance_alert("USDC", 12.5, 50)
    finally:
        logging.captureWarnings(False)
        root.handlers = before
        sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
        root.setLevel(level)
    fields = {record.__dict__["event_type"]: vars(record) for record in caplog.records}
    for event in (
        events.TRADE_EXECUTED,
        events.SIGNAL_GENERATED,
        events.ESCROW_TRANSACTION,
        events.BALANCE_ALERT,
    ):
        assert set(event.attributes) <= fields[event.name].keys()
        assert fields[event.name]["levelname"] == event.level
    with pytest.raises(ValueError, match="has no attributes"):
        logs.log_event(events.BALANCE_ALERT, {"colour": "red"})


def test_a_request_of_the_http_client_is_not_a_line(environment: Environment) -> None:
    stream = io.StringIO()
    logs.configure(environment, stream)
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200))
    with httpx2.Client(transport=transport) as client:
        client.get("https://exchange/v1/orders?idempotency_key=k1")
    logging.getLogger("pf").info("last")
    logging.getLogger().handlers[0].close()
    assert [json.loads(text)["message"] for text in stream.getvalue().splitlines()] == ["last"]
