"""Log lines beyond the limit of the node agent are cut and marked, and stay valid JSON with their important fields."""

import json
import logging
import sys
from collections.abc import Mapping

import pytest

from purpleflea_sdk.settings import read_environment
from purpleflea_sdk.telemetry import line_limit, logs, redaction
from support.agent_process import AgentFolder

LIMIT = line_limit.MAX_LINE_BYTES


def line(message: str = "message", extra: Mapping[str, object] | None = None) -> str:
    record = logging.LogRecord("pf", logging.INFO, "file.py", 1, message, None, None)
    vars(record).update(extra or {})
    return logs.JsonFormatter(read_environment()).format(record)


@pytest.fixture(autouse=True)
def environment(mounts: AgentFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in mounts.environment.items():
        monkeypatch.setenv(name, value)


LONG: dict[str, dict[str, object]] = {
    "a long message": {"message": "m" * 1_000_000},
    "a long text": {"text": "x" * 1_000_000},
    "many long texts": {f"text{n}": "x" * 20_000 for n in range(100)},
    "very many fields": {f"field{n}": n for n in range(100_000)},
    "very many long names": {f"{n}" + "n" * 5_000: n for n in range(200)},
    "one very long name": {"n" * 1_000_000: 1},
    "characters that take six bytes": {"text": "\N{SNOWMAN}" * 200_000},
    "pairs of escapes": {"text": "\N{PILE OF POO}" * 200_000},
    "quotes and backslashes": {"text": '"\\' * 400_000},
    "line breaks": {"text": "\n" * 400_000},
    "a long list": {"items": list(range(200_000))},
    "a deep object": {"tree": {"branch": {"leaf": ["x" * 1_000_000]}}},
    "a long number": {"number": 10**4_000, "text": "x" * 300_000},
}


@pytest.mark.parametrize("extra", LONG.values(), ids=LONG.keys())
def test_a_long_line_is_cut_and_stays_json(extra: dict[str, object]) -> None:
    message = str(extra.pop("message", "message"))
    text = line(message, {**extra, "event_type": "odd", "dd.trace_id": "6b" * 16})
    assert len(text.encode()) <= LIMIT
    assert "\n" not in text
    fields = json.loads(text)
    assert fields["message"].startswith(message[:7])
    assert (fields["level"], fields["event_type"]) == ("INFO", "odd")
    assert (fields["agent_id"], fields["dd.trace_id"]) == ("momentum-0", "6b" * 16)
    assert fields[line_limit.TRUNCATED]


def test_a_cut_field_is_marked_and_named() -> None:
    fields = json.loads(line(extra={"text": "x" * 1_000_000, "market": "BTC-USD"}))
    assert fields["text"].startswith("xxx")
    assert fields["text"].endswith(line_limit.MARK)
    assert fields[line_limit.TRUNCATED] == ["text"]
    assert fields["market"] == "BTC-USD"


def test_a_line_of_the_longest_length_is_not_cut() -> None:
    length = len(line(extra={"text": ""}))
    text = line(extra={"text": "x" * (LIMIT - length)})
    assert len(text) == LIMIT
    assert line_limit.TRUNCATED not in json.loads(text)
    assert line_limit.TRUNCATED in json.loads(line(extra={"text": "x" * (LIMIT - length + 1)}))


def test_a_deep_stack_is_cut() -> None:
    def fail(depth: int) -> None:
        if depth:
            fail(depth - 1)
        raise ValueError("x" * 300_000)

    try:
        fail(200)
    except ValueError:
        text = line(extra={"exc_info": sys.exc_info()})
    fields = json.loads(text)
    assert len(text) <= LIMIT
    assert fields["error.kind"] == "ValueError"
    assert "test_log_line_limit.py" in fields["error.stack"]


def test_a_secret_at_the_cut_is_masked_as_a_whole() -> None:
    redaction.register_secret("correct-horse-battery")
    for before in range(line_limit.FIRST_LIMIT - 25, line_limit.FIRST_LIMIT):
        text = line(extra={"text": "x" * before + "correct-horse-battery" + "y" * 300_000})
        assert "correct" not in text
