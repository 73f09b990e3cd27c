"""The input of the agent: environment, settings.json, control.json."""

import asyncio
from pathlib import Path

import pytest

from purpleflea_contract.control import Mode
from purpleflea_sdk.control import UNUSABLE_S, ControlFile, Drain
from purpleflea_sdk.settings import SettingsError, read_environment, read_settings

HALTED = '{"mode": "Halted", "generation": 3}'
ACTIVE = '{"mode": "Active"}'


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PURPLEFLEA_CONFIG_DIR", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("environment", "metrics", "traces"),
    [
        ({}, False, False),
        ({"DD_AGENT_HOST": "10.0.0.1"}, True, True),
        ({"DD_AGENT_HOST": ""}, False, False),
        ({"DD_AGENT_HOST": "10.0.0.1", "DD_TRACE_ENABLED": "false"}, True, False),
        ({"DD_DOGSTATSD_URL": "unix:///dsd.socket"}, True, False),
        ({"DD_TRACE_AGENT_URL": "http://10.0.0.1:8126"}, False, True),
    ],
)
def test_the_environment_has_the_receivers_of_telemetry(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], metrics: bool, traces: bool
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    environment_read = read_environment()
    assert (environment_read.metrics_have_a_receiver, environment_read.traces_have_a_receiver) == (
        metrics,
        traces,
    )


def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PURPLEFLEA_HTTP_PORT", "http")
    with pytest.raises(SettingsError, match="PURPLEFLEA_HTTP_PORT"):
        read_environment()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"strategy": "momentum", "markets": []}', "markets:"),
        ('{"strategy": "momentum", "markets": ["BTC-USD"], "risk": {"maxDrawdownPct": 0}}', "risk"),
        ("{", "the whole document:"),
        (None, "mount the agent's ConfigMap there"),
    ],
)
def test_unusable_settings_are_one_line_with_the_field(
    config: Path, text: str | None, message: str
) -> None:
    path = config / "settings.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SettingsError, match=message) as caught:
        read_settings(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("texts", "mode"),
    [
        ([], Mode.ACTIVE),
        ([HALTED], Mode.HALTED),
        ([ACTIVE], Mode.ACTIVE),
        (["nonsense"], Mode.HALTED),
        (["{}"], Mode.HALTED),
        (['{"Mode": "Halted"}'], Mode.HALTED),
        ([HALTED, '{"generation": 4}'], Mode.HALTED),
        (["\ufeff" + ACTIVE], Mode.ACTIVE),
        (["\ufeff" + HALTED], Mode.HALTED),
        ([ACTIVE, "{}"], Mode.ACTIVE),
        ([ACTIVE, "nonsense"], Mode.ACTIVE),
        ([HALTED, '{"mode": "Maybe"}'], Mode.HALTED),
        ([ACTIVE, HALTED], Mode.HALTED),
        ([HALTED, None], Mode.HALTED),
    ],
)
def test_an_invalid_control_file_never_starts_trading(
    config: Path, texts: list[str | None], mode: Mode
) -> None:
    path = config / "control.json"
    if texts and texts[0] is not None:
        path.write_text(texts[0])
    control = ControlFile(path)
    for text in texts[1:]:
        path.unlink() if text is None else path.write_text(text)
        control.refresh()
    assert control.control.mode is mode


UNUSABLE = {
    "empty": b"",
    "truncated": b'{"mode": "Acti',
    "no mode": b'{"generation": 3}',
    "another mode": b'{"mode": "Paused"}',
    "other capitals": b'{"mode": "ACTIVE"}',
    "a list": b'["Active"]',
    "a number": b"1",
    "null": b"null",
    "UTF-16": '{"mode": "Active"}'.encode("utf-16"),
    "not UTF-8": b'{"mode": "Active", "x": "\xff"}',
    "YAML": b"mode: Active",
    "two objects": b'{"mode": "Active"}{"mode": "Active"}',
    "nested too deeply": b"[" * 10_000,
    "huge": b'{"mode": "Active", "x": "' + b"x" * 1_000_000 + b'"}',
    "a folder": None,
}


@pytest.mark.parametrize("content", UNUSABLE.values(), ids=UNUSABLE)
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Active", Mode.HALTED),
        ("Halted", Mode.HALTED),
        ("Stopped", Mode.STOPPED),
    ],
)
def test_an_active_agent_is_halted_while_its_control_file_is_unusable(
    config: Path, content: bytes | None, before: str, after: Mode
) -> None:
    path, clock, valid = config / "control.json", [100.0], f'{{"mode": "{before}"}}'
    path.write_text(valid)
    control = ControlFile(path, monotonic=lambda: clock[0])
    path.unlink()
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    control.refresh()
    assert control.mode == before  # a part of a file is there for a moment
    clock[0] += UNUSABLE_S
    control.refresh()
    assert control.mode is after
    clock[0] += 3600
    control.refresh()
    assert control.mode is after
    path.rmdir() if content is None else path.unlink()
    path.write_text(valid)
    control.refresh()
    assert control.mode == before


def test_a_control_file_that_is_unusable_again_and_again_for_a_moment_halts_no_agent(
    config: Path,
) -> None:
    path, clock = config / "control.json", [100.0]
    path.write_text(ACTIVE)
    control = ControlFile(path, monotonic=lambda: clock[0])
    for content in ("", ACTIVE) * 20:
        path.write_text(content)
        clock[0] += UNUSABLE_S / 2
        control.refresh()
        assert control.mode is Mode.ACTIVE


async def test_a_report_that_never_arrives_delays_no_acknowledgement(tmp_path: Path) -> None:
    path = tmp_path / "control.json"
    path.write_text('{"mode": "Halted"}')

    async def report() -> Drain:
        await asyncio.sleep(3600)
        return Drain(is_drained=True)

    async with asyncio.timeout(30):
        acknowledgement = await ControlFile(path).acknowledge(report)
    assert (acknowledgement.mode, acknowledgement.at_rest) == (Mode.HALTED, False)
    assert acknowledgement.left_undone is not None


def test_a_control_file_that_stays_unreadable_is_logged_once_and_again_after_it_was_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "control.json"
    path.mkdir()
    control = ControlFile(path)
    for _ in range(3):
        control.refresh()
    assert control.mode is Mode.HALTED
    path.rmdir()
    path.write_text('{"mode": "Active"}')
    control.refresh()
    assert control.mode is Mode.ACTIVE
    path.unlink()
    path.mkdir()
    for _ in range(3):
        control.refresh()
    assert control.mode is Mode.ACTIVE
    assert [r.levelname for r in caplog.records if "cannot be read" in r.getMessage()] == [
        *("WARNING", "WARNING")
    ]
