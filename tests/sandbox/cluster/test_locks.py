import subprocess
import sys
from pathlib import Path

import pytest

from purpleflea_sandbox.cluster import locks
from purpleflea_sandbox.cluster.errors import ClusterError

HOLD = """
import sys
from pathlib import Path
from purpleflea_sandbox.cluster import locks
with locks.held(Path(sys.argv[1]), timeout_s=20, what="it"):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(path: Path) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_waiting_for_a_held_lock_ends_with_an_error_that_names_it(
    tmp_path: Path, kind: str
) -> None:
    path = tmp_path if kind == "folder" else tmp_path / "locks" / "one"
    with (
        holder(path),
        pytest.raises(ClusterError, match="another run is using cluster demo"),
        locks.held(path, timeout_s=0.2, what="cluster demo"),
    ):
        pass


def test_a_lock_is_released_when_its_holder_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with holder(path) as process:
        process.kill()

    with locks.held(path, timeout_s=20, what="it"):
        assert path.exists()


def test_a_lock_whose_file_was_removed_can_be_acquired_again(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with locks.held(path, timeout_s=1, what="it"):
        path.unlink()

    with (
        holder(path),
        pytest.raises(ClusterError, match="another run is using"),
        locks.held(path, timeout_s=0.2, what="it"),
    ):
        pass


def test_a_lock_is_released_after_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with pytest.raises(RuntimeError), locks.held(path, timeout_s=1, what="it"):
        raise RuntimeError

    with locks.held(path, timeout_s=1, what="it"):
        assert path.exists()
