"""`kubectl purpleflea` in a terminal: the visible screen, colors, updates in place, resizing, and Ctrl-C.

The screens are kept in test-results/cli.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.apiserver.faults import Fault
from support.builders import a_halt, an_agent
from support.paper_agents import PaperAgents
from support.plugin import kubectl  # noqa: F401 - a fixture
from support.terminal import Terminal

NS, NAME = "trading", "momentum"
pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("kubectl")]
PROGRAM = Path(sys.executable).parent / "kubectl-purpleflea"
CTRL_C = "\x03"


@pytest.fixture
def screens(repository):
    return repository / "test-results" / "cli"


@pytest.fixture
def open_terminal():
    """Start the plugin in a terminal."""
    terminals = []

    def start(server, *arguments, columns=100, lines=24, **variables):
        env = {
            key: value
            for key, value in os.environ.items()
            if key not in ("NO_COLOR", "COLUMNS", "LINES")
        }
        flags = ("--server", server.url, f"--namespace={NS}")
        found = Terminal(
            [PROGRAM, *arguments, *flags],
            env={**env, "TERM": "xterm-256color", **variables},
            columns=columns,
            lines=lines,
        )
        terminals.append(found)
        return found

    yield start
    for terminal in terminals:
        terminal.close()


@pytest.fixture
def fleet(server_without_pods):
    server_without_pods.put(an_agent())
    return server_without_pods


class Flicker:
    """Records rows that are empty for a moment although they have a text before and after it."""

    def __init__(self, terminal, text):
        self._terminal, self._text = terminal, text
        self.seen = 0
        terminal.on_byte = self._look

    def _look(self):
        # Row 0 is the summary, whose text stays the same.
        row = self._terminal.screen.buffer[0]
        shown = "".join(row[at].data for at in range(1, 1 + len(self._text)))
        self.seen += shown != self._text


def test_the_status_is_redrawn_in_place_until_ctrl_c(fleet, open_terminal, screens):
    terminal = open_terminal(fleet, "status", "--watch", "--interval=0.5")
    terminal.read_until(lambda: "trading/momentum" in terminal.text)
    assert "red" in terminal.colors("trading/momentum")  # The agent has no status.
    flicker = Flicker(terminal, " agent")
    fleet.put(an_agent("breakout", uid="other"))
    terminal.read_until(lambda: "trading/breakout" in terminal.text)
    assert terminal.rows[0].startswith("2 agents")
    fleet.delete("PurpleFleaAgent", NS, "breakout")
    terminal.read_until(lambda: "trading/breakout" not in terminal.text)
    assert flicker.seen == 0
    terminal.save(screens / "status-watch.txt")
    terminal.type(CTRL_C)
    assert terminal.wait() == 0
    assert "Traceback" not in terminal.output.decode()


def test_the_status_fits_into_a_small_window(fleet, open_terminal, screens):
    for number in range(30):
        fleet.put(an_agent(f"agent-with-a-long-name-{number:02}", uid=f"uid-{number}"))
    terminal = open_terminal(fleet, "status", "--watch", "--interval=0.5", lines=12)
    terminal.read_until(lambda: "31 agents" in terminal.rows[0])
    terminal.resize(40, 10)
    terminal.read_until(
        lambda: "agent-with-a-long-name" in terminal.text and len(terminal.rows) == 10
    )
    before = len(terminal.output)
    terminal.read_until(lambda: len(terminal.output) > before + 300)
    assert terminal.rows[0].startswith("31 agents")
    terminal.save(screens / "status-40-columns.txt")


def test_a_halt_shows_its_progress_and_its_proof(server, an_operator, open_terminal, screens):
    server.put(an_agent(replicas=2))
    agents = PaperAgents(server)
    agents.unresponsive = {"momentum-1"}
    with an_operator(agents=agents):
        server.wait_until(lambda: server.get("StatefulSet", NS, NAME))
        server.wait_until(lambda: len(server.objects("Pod")) == 2)
        terminal = open_terminal(
            server, "halt", "--all", "--reason=wrong prices", "--name=incident"
        )
        terminal.read_until(lambda: "1/2 acknowledged" in terminal.text)
        terminal.save(screens / "halt-progress.txt")
        agents.unresponsive = set()
        assert terminal.wait() == 0
        assert "PROVEN: 2/2 running agents" in terminal.text
        assert "green" in terminal.colors("PROVEN")
        terminal.save(screens / "halt-proven.txt")
        for command, code in (("why", 0), ("doctor", 10)):
            terminal = open_terminal(
                server, command, *([NAME] if command == "why" else []), lines=40
            )
            assert terminal.wait() in (0, code, 10, 20), terminal.text
            terminal.save(screens / f"{command}.txt")
            assert "Traceback" not in terminal.text


@pytest.mark.parametrize(
    ("variables", "is_colored"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
    ids=["terminal", "NO_COLOR", "dumb"],
)
def test_colors_are_used_only_where_they_are_shown(fleet, open_terminal, variables, is_colored):
    terminal = open_terminal(fleet, "status", **variables)
    assert terminal.wait() == 0
    assert ("\x1b[" in terminal.output.decode()) is is_colored


def test_a_wait_that_is_interrupted_is_not_proven(fleet, open_terminal):
    terminal = open_terminal(fleet, "halt", "--all", "--reason=test", "--name=incident")
    terminal.read_until(lambda: fleet.get("PurpleFleaHalt", NS, "incident") is not None)
    terminal.read_until(lambda: "incident" in terminal.text)
    terminal.type(CTRL_C)
    assert terminal.wait() == 3
    assert "NOT PROVEN: interrupted; PurpleFleaHalt trading/incident exists" in terminal.text
    assert "Traceback" not in terminal.text


@pytest.mark.parametrize(
    ("verb", "command", "text"),
    [
        ("create", ("halt", "--all", "--reason=test", "--name=incident"), "it is unknown whether"),
        ("delete", ("resume", "incident"), "some of the halts may be deleted"),
    ],
    ids=["halt", "resume"],
)
def test_a_request_that_is_interrupted_is_unknown(fleet, open_terminal, verb, command, text):
    if verb == "delete":
        fleet.put(a_halt())
    fault = fleet.plan(Fault(effect="hang", where={"verb": verb, "resource": "purplefleahalts"}))
    terminal = open_terminal(fleet, *command)
    terminal.read_until(lambda: fault.hits == 1)
    terminal.type(CTRL_C)
    assert terminal.wait() == 3
    assert f"NOT PROVEN: interrupted; {text}" in terminal.text


class Shell:
    """An interactive bash that completes the plugin."""

    def __init__(self, terminal):
        self._terminal = terminal

    def completed(self, line):
        """Return the line after Tab."""
        self._terminal.type("\x15")  # Ctrl-U deletes the line.
        self._terminal.read_until(lambda: self._row == "$")
        self._terminal.type(f"{line}\t")
        self._terminal.read_until(lambda: self._row != f"$ {line}" and self._row.startswith("$ "))
        return self._row.removeprefix("$ ")

    @property
    def _row(self):
        return next((row for row in reversed(self._terminal.rows) if row), "")


def test_bash_completes_commands_and_options(fleet, screens):
    path = os.pathsep.join([str(PROGRAM.parent), os.environ["PATH"]])
    env = {**os.environ, "PATH": path, "PS1": "$ ", "TERM": "xterm", "INPUTRC": "/dev/null"}
    terminal = Terminal(["bash", "--norc", "--noprofile", "-i"], env=env, columns=100, lines=24)
    try:
        terminal.read_until(lambda: terminal.rows[0].startswith("$"))
        terminal.type('eval "$(kubectl-purpleflea completion bash)"; echo installed\n')
        terminal.read_until(lambda: "installed" in terminal.rows)
        shell = Shell(terminal)
        assert shell.completed("kubectl-purpleflea ha") == "kubectl-purpleflea halt"
        assert (
            shell.completed("kubectl-purpleflea halt --rea") == "kubectl-purpleflea halt --reason"
        )
        assert (
            shell.completed("kubectl-purpleflea status -o j") == "kubectl-purpleflea status -o json"
        )
        terminal.save(screens / "completion-bash.txt")
    finally:
        terminal.close()


def test_kubectl_completes_the_plugin(kubectl, tmp_path, open_terminal):  # noqa: F811
    program = tmp_path / "kubectl_complete-purpleflea"
    content = subprocess.run([PROGRAM, "completion", "kubectl"], capture_output=True, check=True)
    program.write_bytes(content.stdout)
    program.chmod(0o755)
    path = os.pathsep.join([str(tmp_path), str(PROGRAM.parent), os.environ["PATH"]])
    for words, expected in ((["ha"], "halt"), (["halt", "--rea"], "--reason")):
        done = subprocess.run(
            [kubectl, "__complete", "purpleflea", *words],
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split() == [expected, ":4"]


@pytest.mark.parametrize(
    ("shell", "registration", "expected"),
    [
        ("zsh", "compdef _kubectl_purpleflea_completion kubectl-purpleflea", "plain\nhalt\n"),
        ("fish", "complete --no-files --command kubectl-purpleflea", "plain,halt"),
    ],
)
def test_other_shells_get_the_same_words(shell, registration, expected):
    env = {
        **os.environ,
        "COMP_WORDS": "kubectl-purpleflea ha",
        "COMP_CWORD": "1" if shell == "zsh" else "ha",
    }
    script = subprocess.run(
        [PROGRAM, "completion", shell], capture_output=True, text=True, check=True
    )
    assert registration in script.stdout
    env["_KUBECTL_PURPLEFLEA_COMPLETE"] = f"{shell}_complete"
    done = subprocess.run([PROGRAM], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(expected)


FISH = shutil.which("fish")


def test_fish_shows_whole_descriptions(tmp_path):
    script = subprocess.run([PROGRAM, "completion", "fish"], capture_output=True, check=True).stdout
    # Without a limit, fish would cut a description at its first comma.
    assert b'string split --max 1 "," $completion' in script
    if FISH is None:
        return
    path = os.pathsep.join([str(PROGRAM.parent), os.environ["PATH"]])
    env = {**os.environ, "PATH": path, "HOME": str(tmp_path)}
    source = f"{PROGRAM} completion fish | source; complete -C 'kubectl-purpleflea ha'"
    done = subprocess.run([FISH, "-c", source], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("halt\tHalt agents: they run, send no orders")
