"""The Docker engine as a process: in separate network, mount and pid namespaces, without a route out of them.

Its end takes everything with it: containers, mounts and processes. It ends with its parent. Only its cgroups and its
folders are left, and a separate process removes them.

Its images and containers are in memory if there is enough: some file systems need minutes to remove them.
"""

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from purpleflea_sandbox.cluster import packages, processes, waiting
from purpleflea_sandbox.cluster.errors import ClusterError, with_log
from purpleflea_sandbox.engine import remover, runc_wrapper

PACKAGES = ("containerd", "runc", "iptables", "iproute2", "util-linux", "mount")
_ANSWER_LIMIT_S = 60.0
_END_LIMIT_S = 60.0
_PREFIX = "pf-engine-"
"""Prefix of the folder of an engine, which has the name of its cgroup."""
_PR_SET_PDEATHSIG = 1
_MEMORY = Path("/proc/meminfo")
_MEMORY_KIB = 12 * 1024**2
"""Available memory that is enough for the node image, three nodes with the images of the demo, and their processes."""
_START = 'ip link set lo up && exec "$@"'
_START_IN_MEMORY = f'mount -t tmpfs -o size=80% tmpfs "$DATA" && {_START}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A running engine."""

    programs: Path
    """Root of the unpacked packages."""
    socket: Path
    holder: int
    """The process that holds the namespaces."""

    @property
    def environment(self) -> Mapping[str, str]:
        """Environment of commands that use the engine."""
        own = f"{self.programs}/usr/bin:{self.programs}/usr/sbin"
        return {
            **os.environ,
            "DOCKER_HOST": f"unix://{self.socket}",
            "PATH": f"{own}:{packages.search_path()}",
        }

    def inside(self, *command: str) -> tuple[str, ...]:
        """Return the command in the network of the engine, where the addresses of nodes are."""
        network = f"--net=/proc/{self.holder}/ns/net"
        ends_with_parent = (packages.program("setpriv"), "--pdeathsig", "TERM")
        return (*ends_with_parent, packages.program("nsenter"), network, "--", *command)

    def docker(self, *arguments: str, log: Path) -> None:
        """Run a command of the Docker client.

        Raises ClusterError if it fails.
        """
        run(self, ("docker", *arguments), log=log)


def run(engine: Engine, command: tuple[str, ...], *, log: Path) -> None:
    """Run a command that uses the engine, with its output in the log.

    Raises ClusterError if it fails.
    """
    with log.open("ab") as output:
        done = subprocess.run(
            command,
            env=engine.environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode != 0:
        raise with_log(f"'{' '.join(command[:4])}' failed (exit code {done.returncode})", log)


@contextlib.contextmanager
def running(programs: Path, cache: Path, log: Path) -> Iterator[Engine]:
    """Run an engine without images while the context is active; its data is in memory or in a new folder of `cache`."""
    _remove_leftovers()
    # The paths of sockets are limited to 107 characters, and those of the cache can be longer.
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    data = cache / folder.name
    data.mkdir(parents=True)
    (folder / remover.DATA).symlink_to(data)
    log.parent.mkdir(parents=True, exist_ok=True)
    # Its input ends with this process.
    removing = subprocess.Popen(
        (sys.executable, "-m", remover.__name__, str(folder)),
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    process = _start(programs, folder, log)
    try:
        if (holder := processes.handle(process.pid)) is not None:
            holder.save(folder / remover.HOLDER)
        engine = Engine(programs=programs, socket=folder / "docker.sock", holder=process.pid)
        if not waiting.until(lambda: _answers(engine, process), timeout_s=_ANSWER_LIMIT_S):
            raise with_log("the Docker engine did not start", log)
        yield engine
    finally:
        process.kill()
        process.wait(_END_LIMIT_S)
        removing.communicate(timeout=_END_LIMIT_S)


def _remove_leftovers() -> None:
    """Remove the cgroups and folders of engines whose removing process was killed, too."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        holder = processes.load(folder / remover.HOLDER)
        if holder is not None and not holder.is_alive():
            remover.remove(folder)


def end_with_parent() -> None:
    """End this process when its parent ends, also by SIGKILL. Linux only; elsewhere it does nothing."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _start(programs: Path, folder: Path, log: Path) -> subprocess.Popen[bytes]:
    runtime = folder / "runc"
    runtime.write_text(f'#!/bin/sh\nexec {sys.executable} -IS {runc_wrapper.__file__} "$@"\n')
    runtime.chmod(0o755)
    data = folder / remover.DATA
    start = _START_IN_MEMORY if _available_kib() >= _MEMORY_KIB else _START
    argv = (
        *(packages.program("setpriv"), "--pdeathsig", "KILL"),
        *(packages.program("unshare"), "--net", "--mount", "--propagation=private", "--pid"),
        *("--fork", "--kill-child", "--mount-proc", "sh", "-c", start, "sh"),
        *(f"{programs}/usr/bin/tini-static", "-g", "--", f"{programs}/usr/sbin/dockerd"),
        f"--data-root={data.resolve()}",
        f"--exec-root={folder / 'exec'}",
        f"--pidfile={folder / 'docker.pid'}",
        f"--host=unix://{folder / 'docker.sock'}",
        f"--cgroup-parent=/{folder.name}",
        f"--add-runtime=restricted={runtime}",
        "--default-runtime=restricted",
    )
    path = f"{programs}/usr/bin:{programs}/usr/sbin:{packages.search_path()}"
    with log.open("ab") as output:
        return subprocess.Popen(
            argv,
            env={**os.environ, "PATH": path, "DATA": str(data.resolve())},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _available_kib() -> int:
    """Return the available memory of this machine in KiB."""
    match = re.search(r"^MemAvailable:\s+(\d+) kB$", _MEMORY.read_text(), re.MULTILINE)
    return int(match[1]) if match else 0


def _answers(engine: Engine, process: subprocess.Popen[bytes]) -> bool:
    if process.poll() is not None:
        raise ClusterError(f"the Docker engine ended with exit code {process.returncode}")
    docker = (f"{engine.programs}/usr/bin/docker", "version")
    return (
        subprocess.run(docker, env=engine.environment, capture_output=True, check=False).returncode
        == 0
    )
