import subprocess
import sys

import pytest

from purpleflea_sandbox.cluster import processes

CHILD = """
import os, time
from purpleflea_sandbox.engine import process
process.end_with_parent()
print(os.getpid(), flush=True)
time.sleep(600)
"""
PARENT = f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", {CHILD!r}])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has this setting")
def test_a_process_that_ends_with_its_parent_ends_when_the_parent_is_killed() -> None:
    with subprocess.Popen((sys.executable, "-c", PARENT), stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = processes.handle(int(parent.stdout.readline()))
        assert child is not None

        parent.kill()

        assert child.wait_until_exited(60)
