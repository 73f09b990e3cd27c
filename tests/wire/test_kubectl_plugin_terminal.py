"""`kubectl purpleflea status -w` in a terminal: colors, an update in place, and the end by Ctrl-C."""

import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.builders import an_agent
from support.plugin import kubectl  # noqa: F401 - a fixture

pytestmark = [pytest.mark.timeout(60), pytest.mark.usefixtures("kubectl")]
ALTERNATE_SCREEN, END_OF_SCREEN, ERASE = "\x1b[?1049h", "\x1b[?1049l", "\x1b[2J"


class Screen:
    """A terminal with the plugin in it."""

    def __init__(self, *arguments, env):
        self._terminal, inner = pty.openpty()
        program = Path(sys.executable).parent / "kubectl-purpleflea"
        self.process = subprocess.Popen(
            [program, *arguments], stdin=inner, stdout=inner, stderr=inner, env=env
        )
        os.close(inner)
        self.text = ""

    def read_until(self, condition, *, timeout_s=30.0):
        deadline = time.monotonic() + timeout_s
        while not condition(self.text):
            assert time.monotonic() < deadline, self.text
            if not select.select([self._terminal], [], [], 0.2)[0]:
                continue
            try:
                self.text += os.read(self._terminal, 65536).decode(errors="replace")
            except OSError:
                return  # The process has closed the terminal.

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self._terminal)


@pytest.fixture
def screen(server_without_pods):
    server = server_without_pods
    server.put(an_agent())
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "160", "LINES": "20"}
    env.pop("NO_COLOR", None)
    flags = ("--server", server.url, "--namespace=trading", "--interval=0.5")
    found = Screen("status", "--watch", *flags, env=env)
    yield found
    found.close()


def test_the_status_is_redrawn_in_place_until_ctrl_c(screen, server_without_pods, repository):
    screen.read_until(lambda text: "trading/momentum" in text)
    first = screen.text
    assert ALTERNATE_SCREEN in first
    assert "\x1b[31m" in first  # The agent has no status, which is red.
    server_without_pods.put(an_agent("breakout", uid="other"))
    screen.read_until(lambda text: "trading/breakout" in text)
    # The content is overwritten, and never erased first.
    assert ERASE not in screen.text[len(first) :]
    folder = repository / "test-results" / "cli"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "status-watch.ansi").write_text(screen.text, encoding="utf-8")
    screen.process.send_signal(signal.SIGINT)
    screen.read_until(lambda text: END_OF_SCREEN in text)
    assert screen.process.wait(timeout=10) == 0
