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
    found = processes.handle(pid)
    assert found is not None
    return found


def test_a_saved_handle_finds_the_same_process(
    child: "subprocess.Popen[bytes]", tmp_path: Path
) -> None:
    handle(child.pid).save(tmp_path / "pid")

    loaded = processes.load(tmp_path / "pid")

    assert loaded == handle(child.pid)
    assert loaded is not None
    assert loaded.is_alive()


def test_a_pid_given_to_somebody_else_is_not_ours_and_not_killed(
    child: "subprocess.Popen[bytes]",
) -> None:
    earlier = dataclasses.replace(handle(child.pid), started=1)

    earlier.kill()

    assert not earlier.is_alive()
    assert child.poll() is None


def test_a_pid_of_another_boot_is_not_ours(child: "subprocess.Popen[bytes]") -> None:
    other = dataclasses.replace(handle(child.pid), boot="another")

    assert not other.is_alive()
    assert processes.session_members(other) == ()


def test_a_killed_process_is_gone_even_before_it_is_reaped(
    child: "subprocess.Popen[bytes]",
) -> None:
    mine = handle(child.pid)

    mine.kill()

    assert mine.wait_until_exited(10.0)
    assert waiting.until(lambda: not mine.is_alive(), timeout_s=10.0)


def test_waiting_for_a_process_that_lives_ends_with_no(child: "subprocess.Popen[bytes]") -> None:
    assert not handle(child.pid).wait_until_exited(0.05)


@pytest.mark.parametrize("content", ["", "{}", "nonsense", '{"pid": 1}'])
def test_a_file_cut_off_by_a_crash_is_no_handle(tmp_path: Path, content: str) -> None:
    (tmp_path / "pid").write_text(content)

    assert processes.load(tmp_path / "pid") is None


def test_members_of_a_session_are_found_after_the_death_of_its_leader() -> None:
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


def test_a_process_name_with_spaces_and_parentheses_is_read(tmp_path: Path) -> None:
    program = tmp_path / "a) b (c"
    program.symlink_to(sys.executable)
    with subprocess.Popen([str(program), *SLEEP[1:]], env=dict(os.environ)) as process:
        assert handle(process.pid).is_alive()
        process.kill()


def test_a_pid_nobody_has_is_no_handle() -> None:
    assert processes.handle(2**22 + 1) is None
    assert processes.children(2**22 + 1) == ()
    assert processes.command_line(2**22 + 1) == ""
