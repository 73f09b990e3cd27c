import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from purpleflea_sandbox.cluster import processes
from purpleflea_sandbox.engine import remover


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "pf-engine-test"
    (folder / "exec").mkdir(parents=True)
    return folder


@pytest.fixture
def engine(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process in place of the engine, with its handle in the folder."""
    with subprocess.Popen(("sleep", "600")) as process:
        holder = processes.handle(process.pid)
        assert holder is not None
        holder.save(folder / remover.HOLDER)
        yield process
        process.kill()


@pytest.fixture
def removing(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = (sys.executable, "-m", remover.__name__, str(folder))
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        yield process


def test_the_folder_is_removed_after_the_end_of_the_process_that_started_the_engine(
    folder: Path, engine: subprocess.Popen[bytes], removing: subprocess.Popen[bytes]
) -> None:
    """The kernel closes the pipe when a process ends, also by SIGKILL, and the engine ends with its parent."""
    engine.kill()
    removing.communicate(timeout=60)

    assert removing.returncode == 0
    assert not folder.exists()


def test_a_folder_without_an_engine_is_removed(
    folder: Path, removing: subprocess.Popen[bytes]
) -> None:
    removing.communicate(timeout=60)

    assert removing.returncode == 0
    assert not folder.exists()


def test_the_folder_stays_while_the_engine_runs(
    folder: Path, engine: subprocess.Popen[bytes], removing: subprocess.Popen[bytes]
) -> None:
    assert removing.stdin is not None
    removing.stdin.close()
    with pytest.raises(subprocess.TimeoutExpired):
        removing.wait(timeout=1)
    assert folder.exists()

    engine.kill()

    assert removing.wait(timeout=60) == 0
    assert not folder.exists()
