"""Recorded terminal sessions: real output, no font of another server, and the pictures of the README."""

import io
import re
import subprocess

import pytest
from rich.console import Console
from website import recording

STORED = ("docs/images/halt.svg",)


def words_of(svg):
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", svg.replace("&#160;", " ")))


def test_commands_and_their_output_are_in_the_picture():
    found = recording.record(
        ["echo one", "printf 'two\\n\\n'"], {"PATH": "/usr/bin:/bin"}, title="t"
    )
    assert "$ echo one one $ printf" in words_of(found)


def test_a_command_that_fails_ends_the_recording():
    with pytest.raises(subprocess.CalledProcessError):
        recording.record(["false"], {"PATH": "/usr/bin:/bin"}, title="t")


def test_a_picture_names_no_other_server():
    console = Console(record=True, width=40, file=io.StringIO())
    console.print("x")
    found = recording.svg(console, "t")
    assert "@font-face" not in found
    assert set(re.findall(r"https?://[^\"<\s]+", found)) <= {
        "http://www.w3.org/2000/svg",
        "https://www.textualize.io",
    }


@pytest.mark.parametrize("name", STORED)
def test_the_stored_picture_is_used_and_has_the_commands_of_its_script(repository, name):
    text = words_of((repository / name).read_text())
    for command in recording.HALT:
        assert command.split()[1] in text
        assert " ".join(command.split()[:3]) in text
    assert name in (repository / "README.md").read_text()
    assert "@font-face" not in (repository / name).read_text()
