"""CPU time and memory of a process, read from /proc."""

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_NANOSECONDS = 10**9
_MIB_KIB = 1024


def cpu_s(pid: int) -> float:
    """Return the CPU time in seconds, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def waited_s(pid: int) -> float:
    """Return the time in seconds for which the main thread was ready to run, and other threads used the processors."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / _NANOSECONDS


def peak_mib(pid: int) -> float:
    """Return the largest resident set since the start."""
    return _status(pid, "VmHWM:")


def resident_mib(pid: int) -> float:
    """Return the present resident set."""
    return _status(pid, "VmRSS:")


def _status(pid: int, name: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(name))
    return int(line.split()[1]) / _MIB_KIB
