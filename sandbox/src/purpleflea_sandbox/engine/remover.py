"""Removes what an engine leaves after its end: its cgroups and its folders.

Usage: python -m purpleflea_sandbox.engine.remover FOLDER

The process that started the engine holds the other end of standard input. Its end, also by SIGKILL, is the end of the
input, and ends the engine as well.
"""

import shutil
import sys
from pathlib import Path

from purpleflea_sandbox.cluster import processes
from purpleflea_sandbox.cluster.local import cgroups

HOLDER = "holder"
"""File with the handle of the process that holds the namespaces of the engine."""
DATA = "data"
"""Link to the folder with the images and containers, on which a file system in memory may be mounted."""
_END_LIMIT_S = 60.0


def remove(folder: Path) -> None:
    """Wait for the end of the engine, and remove its cgroups, which have the name of its folder, and its folders."""
    holder = processes.load(folder / HOLDER)
    if holder is not None:
        holder.wait_until_exited(_END_LIMIT_S)
    cgroups.remove(folder.name, cgroups.hierarchies(), timeout_s=_END_LIMIT_S)
    shutil.rmtree((folder / DATA).resolve(), ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def main(folder: Path) -> None:
    """Wait for the end of the input, and remove everything."""
    sys.stdin.buffer.read()
    remove(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
