import io

import pytest
from rich.console import Console

from purpleflea_sandbox.cluster.progress import NullProgress, TerminalProgress, format_duration


def terminal_with_output(*, heartbeat_s: float = 60.0) -> tuple[TerminalProgress, io.StringIO]:
    out = io.StringIO()
    console = Console(file=out, width=40)
    return TerminalProgress(console, heartbeat_s=heartbeat_s, clock=lambda: 0.0), out


def test_plain_output_shows_start_with_expected_time_and_end() -> None:
    terminal, out = terminal_with_output()

    with terminal.step("build 1 of 9: etcd", expected_s=70):
        assert out.getvalue() == "build 1 of 9: etcd (expect 70 s) ...\n"

    assert out.getvalue().splitlines()[-1] == "build 1 of 9: etcd: 0.0 s"


def test_a_long_step_reports_progress_in_plain_output() -> None:
    terminal, out = terminal_with_output(heartbeat_s=0.01)

    with terminal.step("work"):
        while "so far" not in out.getvalue():
            pass

    assert "work ... 0.0 s so far" in out.getvalue()


def test_long_lines_are_not_broken_so_that_paths_can_be_copied() -> None:
    terminal, out = terminal_with_output()

    terminal.note("/a/very/long/path" * 10)

    assert len(out.getvalue().splitlines()) == 1


def test_text_in_brackets_is_not_markup() -> None:
    terminal, out = terminal_with_output()

    terminal.note("[red] stays")

    assert out.getvalue() == "[red] stays\n"


def test_a_failing_step_reports_no_end() -> None:
    terminal, out = terminal_with_output()

    with pytest.raises(RuntimeError), terminal.step("work"):
        raise RuntimeError

    assert out.getvalue() == ""


def test_the_null_progress_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with NullProgress().step("work", expected_s=1):
        NullProgress().note("text")

    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (10, "10 s"), (119, "119 s"), (125, "2 min 05 s")],
)
def test_durations_are_formatted_for_people(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
