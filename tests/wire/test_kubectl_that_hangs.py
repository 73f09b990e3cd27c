"""`kubectl purpleflea` with a kubectl that hangs, floods or leaves processes behind: each command ends and cleans up.

The programs in the place of kubectl are real processes. They write their process ids, so that the tests see which ones
are left.
"""

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from kubectl_purpleflea.application import cli
from kubectl_purpleflea.decisions.failures import KubectlError, explained
from kubectl_purpleflea.kubectl import agents as agents_module
from kubectl_purpleflea.kubectl.agents import AgentError, ForwardedAgents
from kubectl_purpleflea.kubectl.client import Kubectl
from support.waiting import wait_for

pytestmark = pytest.mark.timeout(180)
PROGRAM = Path(sys.executable).parent / "kubectl-purpleflea"
AGENT = "apiVersion: purpleflea.com/v1alpha1\nkind: PurpleFleaAgent\nmetadata: {name: momentum}\n"
COMMANDS = {
    "status": (("status",), 1),
    "status of names": (("status", "momentum"), 1),
    "status of contexts": (("status", "--contexts=a,b"), 1),
    "why": (("why", "momentum"), 1),
    "doctor": (("doctor",), 1),
    "open": (("open", "momentum"), 1),
    "bundle": (("bundle", "--file=bundle.tar.gz"), 1),
    "render": (("render", "-f", "agent.yaml"), 2),
    "resume": (("resume", "--all"), 1),
    "halt": (("halt", "--all", "--reason=test", "--timeout=1"), 3),
    "stop": (("stop", "momentum", "--reason=test", "--timeout=1"), 3),
}
"""Arguments, and the exit code if no request is known to be performed."""
HANG = "while :; do sleep 1000 & echo $! >>$PIDS; wait; done"
FAULTS = {
    "prints nothing": HANG,
    "ignores signals": f"trap '' TERM INT HUP; {HANG}",
    "prints slowly": "while :; do printf '{'; sleep 0.1; done",
    "prints without an end": "exec yes",
    "reports errors without an end": "exec yes >&2",
    "leaves a process that prints": "yes & echo $! >>$PIDS; exit 1",
    "reads no input and hangs": "exec 0<&-; sleep 1000",
}


@pytest.fixture
def kubectl_that(tmp_path, monkeypatch):
    """Put a script in the place of kubectl, with short limits."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "agent.yaml").write_text(AGENT, encoding="utf-8")
    monkeypatch.setenv("PIDS", str(tmp_path / "pids"))
    monkeypatch.setattr("kubectl_purpleflea.kubectl.client.PROCESS_TIMEOUT_S", 0.5)
    monkeypatch.setattr("kubectl_purpleflea.kubectl.processes.MAX_OUTPUT", 1024 * 1024)

    def replace(script):
        program = tmp_path / "kubectl"
        program.write_text(f"#!/bin/sh\necho $$ >>$PIDS\n{script}\n", encoding="utf-8")
        program.chmod(0o755)
        monkeypatch.setenv("PURPLEFLEA_KUBECTL", str(program))
        return tmp_path / "pids"

    return replace


def running(pids):
    """Return the recorded processes that run. A process that nothing has reaped yet does not."""
    found = pids.read_text().split() if pids.exists() else []
    return [pid for pid in found if state(pid) not in ("", "Z", "X")]


def state(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def assert_nothing_runs(pids):
    wait_for(lambda: not running(pids), what="the end of all processes", timeout_s=170.0)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_ends_with_one_line_and_leaves_no_process(kubectl_that, command, fault):
    pids = kubectl_that(FAULTS[fault])
    arguments, code = COMMANDS[command]
    done = CliRunner().invoke(cli, arguments)
    error = done.exception
    text = explained(error) if isinstance(error, KubectlError) else done.output.strip()
    assert isinstance(error, SystemExit | KubectlError), error
    assert (1 if isinstance(error, KubectlError) else done.exit_code) == code, done.output
    assert text.count("\n") <= (1 if command == "status of contexts" else 0), text
    assert re.search("kubectl (did not end within|printed more than|reported no)", text), text
    assert "; " in text, "no remedy"
    assert not Path("bundle.tar.gz").exists()
    assert_nothing_runs(pids)


ANSWER = '{"apiVersion":"v1","kind":"List","items":[]}'


@pytest.mark.parametrize(
    "script",
    [
        f"sleep 1000 & echo $! >>$PIDS; echo '{ANSWER}'",
        f"(trap '' TERM; sleep 1000) & echo $! >>$PIDS; echo '{ANSWER}'",
        f"sleep 1000 >/dev/null 2>&1 & echo $! >>$PIDS; echo '{ANSWER}'",
    ],
    ids=["with the pipes", "without SIGTERM", "without the pipes"],
)
def test_an_answer_is_complete_although_a_credential_plugin_keeps_the_pipes_open(
    kubectl_that, monkeypatch, script
):
    pids = kubectl_that(script)
    monkeypatch.setattr("kubectl_purpleflea.kubectl.client.PROCESS_TIMEOUT_S", 170.0)
    assert Kubectl().items("pfa") == []
    assert_nothing_runs(pids)


FORWARDS = {
    "opens no port": HANG,
    "prints a line without an end": "exec tr '\\0' x </dev/zero",
    "leaves a process and ends": "sleep 1000 & echo $! >>$PIDS; exit 1",
    "serves one byte per second": "exec python3 -c '{}'".format(
        "import socket, time\n"
        'server = socket.create_server(("127.0.0.1", 0))\n'
        'print("Forwarding from 127.0.0.1:%d -> 8080" % server.getsockname()[1], flush=True)\n'
        "client, _ = server.accept()\n"
        "while True:\n"
        '    client.sendall(b"H")\n'
        "    time.sleep(0.05)\n"
    ),
    "serves a body without an end": "exec python3 -c '{}'".format(
        "import socket\n"
        'server = socket.create_server(("127.0.0.1", 0))\n'
        'print("Forwarding from 127.0.0.1:%d -> 8080" % server.getsockname()[1], flush=True)\n'
        "client, _ = server.accept()\n"
        "client.recv(65536)\n"
        'client.sendall(b"HTTP/1.1 200 OK\\r\\n\\r\\n")\n'
        "while True:\n"
        '    client.sendall(b"x" * 65536)\n'
    ),
}


@pytest.mark.parametrize("fault", FORWARDS)
def test_an_agent_behind_a_port_that_hangs_gives_no_answer(kubectl_that, monkeypatch, fault):
    pids = kubectl_that(FORWARDS[fault])
    limit_s = 60.0 if fault.startswith("serves") else 0.5
    monkeypatch.setattr(agents_module, "OPEN_TIMEOUT_S", limit_s)
    monkeypatch.setattr(agents_module, "ANSWER_TIMEOUT_S", 0.5)
    with pytest.raises(AgentError):
        ForwardedAgents(Kubectl()).read("trading", "momentum-0", "/control")
    assert_nothing_runs(pids)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("command", ["status", "halt"])
def test_a_signal_ends_all_processes(kubectl_that, command, number):
    pids = kubectl_that(f"trap '' TERM INT HUP; {HANG}")
    arguments, _ = COMMANDS[command]
    process = subprocess.Popen(
        [PROGRAM, *arguments], env=dict(os.environ), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    wait_for(lambda: len(running(pids)) >= 2, timeout_s=170.0)
    process.send_signal(number)
    errors = process.communicate()[1].decode()
    assert process.returncode == (3 if command == "halt" else 1), errors
    assert "Traceback" not in errors
    if command == "halt":
        assert "NOT PROVEN: interrupted; it is unknown whether PurpleFleaHalt" in errors
    assert_nothing_runs(pids)


def test_a_signal_that_the_parent_ignores_stays_ignored(kubectl_that):
    pids = kubectl_that(f"sleep 1; echo '{ANSWER}'")
    process = subprocess.Popen(
        ["nohup", PROGRAM, "status"],
        env=dict(os.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    wait_for(lambda: running(pids), timeout_s=170.0)
    process.send_signal(signal.SIGHUP)
    process.communicate()
    assert process.returncode == 0


def test_a_client_in_another_thread_needs_no_signal_handler(kubectl_that):
    kubectl_that(f"echo '{ANSWER}'")
    found = []
    thread = threading.Thread(target=lambda: found.append(CliRunner().invoke(cli, ["status"])))
    thread.start()
    thread.join()
    assert isinstance(found[0].exception, SystemExit | None)
