"""Runs runc without the capabilities that this machine cannot grant.

Docker grants all capabilities to privileged containers and to privileged processes in them. runc fails if one is not in
the bounding set, such as CAP_SYS_RESOURCE in many build containers. This file uses only the standard library, because
it runs for every command in a container.
"""

import itertools
import json
import os
import sys
from pathlib import Path

_RUNC = "/usr/sbin/runc"
_NAMES = (
    *("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID"),
    *(
        "SETUID",
        "SETPCAP",
        "LINUX_IMMUTABLE",
        "NET_BIND_SERVICE",
        "NET_BROADCAST",
        "NET_ADMIN",
        "NET_RAW",
    ),
    *("IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT"),
    *("SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD"),
    *("LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG"),
    *("WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE"),
)
"""Names of the capabilities by number, from linux/capability.h."""


def bounding_set(status: str) -> set[str]:
    """Return the names of the capabilities in the bounding set of /proc/self/status."""
    line = next(line for line in status.splitlines() if line.startswith("CapBnd:"))
    mask = int(line.split()[1], 16)
    return {f"CAP_{name}" for number, name in enumerate(_NAMES) if mask >> number & 1}


def specification(arguments: list[str]) -> Path | None:
    """Return the file with the process that runc is to start; None for other commands."""
    for before, value in itertools.pairwise(arguments):
        if before in ("--bundle", "-b"):
            return Path(value) / "config.json"
        if before in ("--process", "-p"):
            return Path(value)
    return None


def restricted(specified: dict[str, object], allowed: set[str]) -> dict[str, object]:
    """Return the specification without the capabilities that are not allowed."""
    process = specified.get("process", specified)
    if isinstance(process, dict) and isinstance(process.get("capabilities"), dict):
        process["capabilities"] = {
            kind: [name for name in names or () if name in allowed]
            for kind, names in process["capabilities"].items()
        }
    return specified


def main(arguments: list[str]) -> None:
    """Restrict the specification of the process if the command has one, and become runc."""
    file = specification(arguments)
    if file is not None and file.is_file():
        allowed = bounding_set(Path("/proc/self/status").read_text(encoding="utf-8"))
        specified = json.loads(file.read_text(encoding="utf-8"))
        file.write_text(json.dumps(restricted(specified, allowed)), encoding="utf-8")
    os.execv(_RUNC, [_RUNC, *arguments])  # noqa: S606 - the arguments are those of Docker


if __name__ == "__main__":
    main(sys.argv[1:])
