import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from purpleflea_sandbox.cluster import processes, waiting
from purpleflea_sandbox.cluster.processes import ProcessHandle

SLEEP = (sys.executable, "-c", "import time; time.sleep(600)")


@pytest.fixture
def child() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(SLEEP, start_new_session=True) as process:
        yield process
        process.kill()


def handle(pid: int) -> ProcessHandle:
    known = processes.handle(pid)
    assert known is not None
    return known


def test_a_saved_handle_identifies_the_same_process(
    child: "subprocess.Popen[bytes]", tmp_path: Path
) -> None:
    handle(child.pid).save(tmp_path / "pid")

    loaded = processes.load(tmp_path / "pid")

    assert loaded == handle(child.pid)
    assert loaded is not None
    assert loaded.is_alive()


def test_a_reused_pid_is_not_the_same_process_and_is_not_killed(
    child: "subprocess.Popen[bytes]",
) -> None:
    earlier = dataclasses.replace(handle(child.pid), started=1)

    earlier.kill()

    assert not earlier.is_alive()
    assert child.poll() is None


def test_a_pid_of_another_boot_is_not_the_same_process(child: "subprocess.Popen[bytes]") -> None:
    other = dataclasses.replace(handle(child.pid), boot="another")

    assert not other.is_alive()
    assert processes.session_members(other) == ()


def test_a_killed_process_counts_as_exited_before_it_is_reaped(
    child: "subprocess.Popen[bytes]",
) -> None:
    mine = handle(child.pid)

    mine.kill()

    assert mine.wait_until_exited(10.0)
    assert waiting.until(lambda: not mine.is_alive(), timeout_s=10.0)


def test_waiting_for_a_running_process_returns_false(child: "subprocess.Popen[bytes]") -> None:
    assert not handle(child.pid).wait_until_exited(0.05)


@pytest.mark.parametrize("content", ["", "{}", "nonsense", '{"pid": 1}'])
def test_a_truncated_file_is_not_a_handle(tmp_path: Path, content: str) -> None:
    (tmp_path / "pid").write_text(content)

    assert processes.load(tmp_path / "pid") is None


def test_members_of_a_session_are_listed_after_their_leader_exited() -> None:
    code = f"import subprocess, time; print(subprocess.Popen({SLEEP!r}).pid, flush=True); time.sleep(600)"
    with subprocess.Popen(
        [sys.executable, "-c", code], start_new_session=True, stdout=subprocess.PIPE
    ) as leader:
        assert leader.stdout is not None
        member = int(leader.stdout.readline())
        mine = handle(leader.pid)
        leader.kill()
        leader.wait()

        assert processes.session_members(mine) == (member,)
        assert "time.sleep(600)" in processes.command_line(member)

        handle(member).kill()


def test_a_process_name_with_spaces_and_parentheses_is_parsed(tmp_path: Path) -> None:
    program = tmp_path / "a) b (c"
    program.symlink_to(sys.executable)
    with subprocess.Popen([str(program), *SLEEP[1:]], env=dict(os.environ)) as process:
        assert handle(process.pid).is_alive()
        process.kill()


def test_an_unused_pid_has_no_handle() -> None:
    assert processes.handle(2**22 + 1) is None
    assert processes.children(2**22 + 1) == ()
    assert processes.command_line(2**22 + 1) == ""
