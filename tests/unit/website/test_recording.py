"""Recorded terminal sessions: real output, no font of another server, and the pictures of the README."""

import io
import re
import subprocess

import pytest
from rich.console import Console
from website import recording

PATH = {"PATH": "/usr/bin:/bin"}


def words_of(svg):
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", svg.replace("&#160;", " ")))


def test_commands_and_their_output_are_in_the_picture():
    found = recording.record(["echo one", "printf 'two\\n\\n'"], PATH, title="t")
    assert "$ echo one one $ printf" in words_of(found)


def test_a_command_runs_in_a_terminal_with_the_width_of_the_picture():
    found = recording.record(["test -t 1 && stty size < /dev/stdout"], PATH, title="t")
    assert f" {recording.WIDTH}" in words_of(found).partition("/dev/stdout")[2]


def test_the_colors_of_a_command_are_in_the_picture():
    found = recording.record([r"printf '\033[31mred\033[0m plain'"], PATH, title="t")
    style = re.search(r'class="(session-r\d+)"[^>]*>red<', found)[1]
    assert re.search(rf"\.{style} \{{ fill: #cc555a", found)


def test_a_command_that_fails_ends_the_recording():
    with pytest.raises(subprocess.CalledProcessError):
        recording.record(["false"], PATH, title="t")


def test_a_problem_that_the_plugin_reports_does_not_end_the_recording():
    command = "echo purpleflea; exit 20"
    assert "# exit code 20" in words_of(recording.record([command], PATH, title="t"))
    with pytest.raises(subprocess.CalledProcessError):
        recording.record(["exit 20"], PATH, title="t")


def test_a_command_that_does_not_end_is_killed(monkeypatch):
    monkeypatch.setattr(recording, "TIMEOUT_S", 0.2)
    with pytest.raises(subprocess.CalledProcessError):
        recording.record(["sleep 60"], PATH, title="t")


def test_a_picture_names_no_other_server():
    console = Console(record=True, width=40, file=io.StringIO())
    console.print("x")
    found = recording.svg(console, "t")
    assert "@font-face" not in found
    assert set(re.findall(r"https?://[^\"<\s]+", found)) <= {
        "http://www.w3.org/2000/svg",
        "https://www.textualize.io",
    }


@pytest.mark.parametrize("name", recording.SESSIONS)
def test_the_stored_picture_is_used_and_has_the_commands_of_its_script(repository, name):
    file = f"docs/images/{name}.svg"
    text = words_of((repository / file).read_text())
    for command in recording.SESSIONS[name][1]:
        assert " ".join(command.split()[:3]) in text
    assert file in (repository / "README.md").read_text()
    assert file in (repository / "Makefile").read_text()
    assert "@font-face" not in (repository / file).read_text()
