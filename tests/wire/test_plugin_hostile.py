"""`kubectl purpleflea` in rare situations: each command ends with one line and the documented exit code."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from support.apiserver.faults import Fault
from support.builders import a_halt, an_agent
from support.plugin import Plugin, kubectl  # noqa: F401 - a fixture

NS, NAME = "trading", "momentum"
pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("kubectl")]
PROGRAM = Path(sys.executable).parent / "kubectl-purpleflea"
HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31mred\u202e\x00\x7f\ud800"


@pytest.fixture
def fleet(server_without_pods):
    server_without_pods.put(an_agent())
    return server_without_pods


@pytest.fixture
def plugin(fleet):
    return Plugin("--server", fleet.url, "--namespace", NS)


def program(server, *arguments, **options):
    flags = ("--server", server.url, "--namespace", NS)
    return subprocess.run(
        [PROGRAM, *arguments, *flags], capture_output=True, check=False, **options
    )


NAMES = ("..", "pods/x", "--all", "--output=yaml", "a,b", "", "momentum\n", "UPPER", "é", "x" * 254)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "command",
    [
        ("status",),
        ("why",),
        ("open",),
        ("halt", "--reason=x"),
        ("resume",),
    ],
    ids=lambda command: command[0],
)
def test_a_text_that_is_not_a_name_reaches_no_request(fleet, plugin, command, name):
    done = plugin.run_last(*command, "--", name)
    assert done.exit_code == 2, done.output
    assert "is not a name of an object" in done.output
    assert fleet.requests() == []


HALT = ("halt", "--all", "--reason=x", "--timeout=1", "--name=incident")
RESUME = ("resume", "incident", "--timeout=0")
COMMANDS = {"status": 1, "why": 1, "open": 1, "halt": 1, "resume": 1, "doctor": 1}
ARGUMENTS = {"why": ("why", NAME), "open": ("open", NAME), "halt": HALT, "resume": RESUME}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (("--context=nope",), "context"),
        (("--server=http://127.0.0.1:1",), "refused"),
        (("--kubeconfig=/no/file",), "no such file"),
    ],
    ids=["context", "away", "kubeconfig"],
)
def test_nothing_is_done_if_no_api_server_can_be_asked(command, flags, text):
    arguments = ARGUMENTS.get(command, (command,))
    done = subprocess.run(
        [PROGRAM, *arguments, *flags], capture_output=True, text=True, check=False
    )
    assert done.returncode == COMMANDS[command], done
    assert text in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    if command == "halt":
        assert "NOTHING WAS HALTED" in done.stderr


def test_a_halt_stays_unknown_if_a_later_attempt_is_refused(fleet, plugin):
    fleet.plan(Fault(effect="cut", where={"verb": "create", "resource": "purplefleahalts"}))
    fleet.fail_next(status=403, skip=1, times=None, verb="create", resource="purplefleahalts")
    done = plugin.run(*HALT)
    assert (done.exit_code, "it is unknown whether the halt exists" in done.output) == (3, True)


def test_a_resume_is_unknown_if_no_answer_shows_that_the_halt_is_deleted(fleet, plugin):
    fleet.put(a_halt())
    fleet.fail_next(status=503, times=None, verb="delete", resource="purplefleahalts")
    fleet.fail_next(status=503, times=None, verb="get", resource="purplefleahalts")
    done = plugin.run(*RESUME)
    assert (done.exit_code, "it is unknown whether the halt is deleted" in done.output) == (3, True)
    fleet.clear_faults()
    fleet.fail_next(status=403, times=None, verb="delete", resource="purplefleahalts")
    done = plugin.run(*RESUME)
    assert (done.exit_code, "Forbidden" in done.output) == (1, True)


@pytest.mark.parametrize("kind", ["PurpleFleaAgent", "PurpleFleaHalt"])
def test_a_crd_that_is_missing_is_named(fleet, kind):
    fleet.unregister(kind)
    command = ("why", NAME) if kind == "PurpleFleaAgent" else RESUME
    done = program(fleet, *command, text=True)
    assert done.returncode == 1
    assert "install the chart of the operator, which has the CRDs" in done.stderr


STATUSES = [
    {},
    {"conditions": None, "trading": None, "datadog": None},
    {"conditions": "x", "trading": [], "replicas": "3", "datadog": {"connection": 3}},
    {"conditions": [{}, {"type": 5}, {"type": "Ready"}]},
    {"conditions": [{"type": "Ready", "status": "Maybe", "reason": "FromTheFuture", "message": 7}]},
    {
        "conditions": [{"type": "New", "status": "False", "reason": "Soon", "message": "m"}],
        "observedGeneration": 99,
        "trading": {"mode": "Paused", "halts": {"a": 1}, "since": "yesterday"},
        "newField": {"a": [1]},
    },
]


def test_a_status_of_another_version_of_the_operator_is_shown(fleet, plugin):
    for number, status in enumerate(STATUSES):
        fleet.put({**an_agent(f"agent-{number}", uid=f"uid-{number}"), "status": status})
    fleet.put(a_halt())
    stories = [("why", f"agent-{number}") for number in range(len(STATUSES))]
    for command in (("status",), ("status", "-o", "json"), *stories, ("doctor",), RESUME):
        done = plugin.run(*command)
        assert isinstance(done.exception, SystemExit | None), (command, done.exception)


def test_a_thousand_agents_need_three_lists(fleet, plugin):
    for number in range(1000):
        fleet.put(an_agent(f"agent-{number:04}", uid=f"uid-{number}"))
    fleet.clear()
    done = plugin.run("status")
    assert (done.exit_code, done.output.startswith("1001 agents")) == (0, True)
    assert len(fleet.lists()) <= 9  # kubectl reads lists in chunks of 500.


def test_control_characters_of_users_do_not_reach_the_terminal(fleet, plugin):
    text = HOSTILE.replace("\ud800", "").replace("\x00", "")
    trading = {"mode": "Halted", "reason": text, "changedBy": text, "halts": [f"trading/{text}"]}
    condition = {"type": "Ready", "status": "False", "reason": text, "message": text}
    fleet.put({**an_agent(), "status": {"trading": trading, "conditions": [condition]}})
    for command in ("status", "why"):
        arguments = (NAME,) if command == "why" else ()
        for form in ((), ("-o", "json"), ("-o", "yaml")):
            shown = plugin.run(command, *arguments, *form).stdout
            assert "owned" in shown, command
            assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", shown), (command, form)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_without_the_symbols_gets_them_escaped(fleet, encoding):
    done = program(fleet, "status", env={**os.environ, "PYTHONIOENCODING": encoding})
    assert done.returncode == 0
    assert b"\\u2717 trading/momentum" in done.stdout


@pytest.mark.parametrize("command", [("status",), ("status", "-o", "yaml"), ("status", "--watch")])
def test_a_reader_that_ends_early_ends_the_command(fleet, command):
    flags = ("--server", fleet.url, "--namespace", NS)
    process = subprocess.Popen(
        [PROGRAM, *command, *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    assert process.wait(timeout=60) in (0, 1)
    with process.stderr as errors:
        assert b"Traceback" not in errors.read()


def test_render_prints_hostile_manifests_as_an_error(fleet, plugin, tmp_path):
    path = tmp_path / "a.yaml"
    for content in ("[" * 3000, "a: &a [*a]", "\x00", "kind: PurpleFleaAgent\nmetadata: 3\n", ""):
        path.write_text(content, encoding="utf-8")
        done = plugin.run("render", "-f", str(path))
        assert done.exit_code == 2, (content[:20], done.output)
        assert isinstance(done.exception, SystemExit)
    document = {
        "kind": "PurpleFleaAgent",
        "apiVersion": "purpleflea.com/v9",
        "metadata": {"name": "a"},
    }
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    assert plugin.run("render", "-f", str(path)).exit_code == 2
