"""Processes that outlive the command that started them: remembered by pid, start time and boot,
so that a pid that was given to somebody else (or another boot) is never taken for ours. Never
looks for a process by name."""

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
class Handle:
    """One process, told apart from every other process that ever had its pid."""

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

    def wait_gone(self, timeout_s: float) -> bool:
        """Wait until the process has ended (a zombie has); say whether it did."""
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
    """Let go of an ended process if this very process started it."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def handle(pid: int) -> Handle | None:
    stat = _stat(pid)
    return None if stat is None else Handle(pid=pid, started=stat.started, boot=_boot())


def load(path: Path) -> Handle | None:
    """The handle kept in a file; None when the file is missing or was cut off by a crash."""
    try:
        return Handle(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def children(pid: int) -> tuple[int, ...]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return ()
    return tuple(int(word) for word in text.split())


def session_members(leader: Handle) -> tuple[int, ...]:
    """Every live process of the session that `leader` opened, also after its death."""
    if _boot() != leader.boot:
        return ()
    found = []
    for pid in _pids():
        stat = _stat(pid)
        if (
            stat
            and stat.session == leader.pid
            and stat.state != "Z"
            and stat.started >= leader.started
        ):
            found.append(pid)
    return tuple(found)


def command_line(pid: int) -> str:
    try:
        return (
            Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        )
    except OSError:
        return ""


def outer_pids(member: int) -> dict[int, int]:
    """Inner pid -> pid seen from here, for every process in the pid namespace of `member`."""
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
    # The command name may hold spaces and parentheses: fields are counted from its last closing one.
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
