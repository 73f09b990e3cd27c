"""Processes that outlive the command that started them.

A process is identified by pid, start time and boot id, so a pid that was reused by another process
(or after a reboot) is never mistaken for a process of this project. Processes are never searched by name.
"""

import contextlib
import json
import os
import select
import signal
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessHandle:
    """Identity of one process, distinct from every other process that used the same pid."""

    pid: int
    started: int
    boot: str

    def is_alive(self) -> bool:
        stat = _stat(self.pid)
        return (
            stat is not None
            and stat.state != "Z"
            and stat.started == self.started
            and _boot() == self.boot
        )

    def kill(self) -> None:
        if self.is_alive():
            try:
                os.kill(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                return

    def wait_until_exited(self, timeout_s: float) -> bool:
        """Wait until the process has exited (a zombie counts as exited); return whether it has."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return True
        try:
            if not self.is_alive():
                return True
            return bool(select.select([descriptor], [], [], timeout_s)[0])
        finally:
            os.close(descriptor)

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))


def reap(pid: int) -> None:
    """Reap an exited process if it is a child of this process."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def handle(pid: int) -> ProcessHandle | None:
    stat = _stat(pid)
    return None if stat is None else ProcessHandle(pid=pid, started=stat.started, boot=_boot())


def load(path: Path) -> ProcessHandle | None:
    """Return the handle saved in a file, or None if the file is missing or truncated by a crash."""
    try:
        return ProcessHandle(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def children(pid: int) -> tuple[int, ...]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return ()
    return tuple(int(child) for child in text.split())


def session_members(leader: ProcessHandle) -> tuple[int, ...]:
    """Return every live process of the session that `leader` opened, even if the leader has exited."""
    if _boot() != leader.boot:
        return ()
    members = []
    for pid in _pids():
        stat = _stat(pid)
        if (
            stat
            and stat.session == leader.pid
            and stat.state != "Z"
            and stat.started >= leader.started
        ):
            members.append(pid)
    return tuple(members)


def command_line(pid: int) -> str:
    try:
        return (
            Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        )
    except OSError:
        return ""


def outer_pids(member: int) -> dict[int, int]:
    """Map the inner pid to the pid in this namespace for every process in the pid namespace of
    `member`.
    """
    wanted = _namespace(member)
    result = {}
    for pid in _pids() if wanted else ():
        if _namespace(pid) == wanted and (inner := _inner_pid(pid)) is not None:
            result[inner] = pid
    return result


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stat:
    state: str
    session: int
    started: int


def _stat(pid: int) -> _Stat | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The command name may contain spaces and parentheses, so fields are counted from the last
    # closing parenthesis.
    fields = text[text.rindex(")") + 2 :].split()
    return _Stat(state=fields[0], session=int(fields[3]), started=int(fields[19]))


def _pids() -> Iterator[int]:
    return (int(entry) for entry in os.listdir("/proc") if entry.isdigit())


def _namespace(pid: int) -> str | None:
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return None


def _inner_pid(pid: int) -> int | None:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    line = next((line for line in text.splitlines() if line.startswith("NSpid:")), "")
    return int(line.split()[-1]) if line else None


def _boot() -> str:
    return _BOOT_ID.read_text().strip()
