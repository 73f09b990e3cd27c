import io

import pytest
from rich.console import Console

from purpleflea_sandbox.cluster.progress import NullProgress, TerminalProgress, format_duration


def said_by(*, heartbeat_s: float = 60.0) -> tuple[TerminalProgress, io.StringIO]:
    out = io.StringIO()
    console = Console(file=out, width=40)
    return TerminalProgress(console, heartbeat_s=heartbeat_s, clock=lambda: 0.0), out


def test_plain_output_tells_begin_with_expectation_and_end() -> None:
    terminal, out = said_by()

    with terminal.step("build 1 of 9: etcd", expected_s=70):
        assert out.getvalue() == "build 1 of 9: etcd (expect 70 s) ...\n"

    assert out.getvalue().splitlines()[-1] == "build 1 of 9: etcd: 0.0 s"


def test_long_plain_work_is_heard_of_now_and_then() -> None:
    terminal, out = said_by(heartbeat_s=0.01)

    with terminal.step("work"):
        while "so far" not in out.getvalue():
            pass

    assert "work ... 0.0 s so far" in out.getvalue()


def test_long_lines_are_not_broken_so_that_paths_can_be_copied() -> None:
    terminal, out = said_by()

    terminal.note("/a/very/long/path" * 10)

    assert len(out.getvalue().splitlines()) == 1


def test_words_in_brackets_are_no_markup() -> None:
    terminal, out = said_by()

    terminal.note("[red] stays")

    assert out.getvalue() == "[red] stays\n"


def test_a_failing_step_does_not_claim_its_end() -> None:
    terminal, out = said_by()

    with pytest.raises(RuntimeError), terminal.step("work"):
        raise RuntimeError

    assert out.getvalue() == ""


def test_silence_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with NullProgress().step("work", expected_s=1):
        NullProgress().note("words")

    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (10, "10 s"), (119, "119 s"), (125, "2 min 05 s")],
)
def test_durations_are_spoken(seconds: float, words: str) -> None:
    assert format_duration(seconds) == words
