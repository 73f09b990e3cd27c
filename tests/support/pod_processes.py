"""The processes of a pod, as the machine sees them: to kill and to freeze them from outside.

Works where the cluster's nodes run on this machine and we may look (root); knows nothing of the cluster's maker.
"""

from pathlib import Path


def pid_of(pod_uid: str, program: str) -> int | None:
    """The process of a pod whose command line contains `program`; None where it is not to be seen from here."""
    marks = (pod_uid, pod_uid.replace("-", "_"))
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            group = (folder / "cgroup").read_text()
            command = (
                (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            )
        except OSError:
            continue
        if any(mark in group for mark in marks) and program in command:
            return int(folder.name)
    return None


def resident_mib(pid: int) -> float:
    """Memory of a process that is really there, in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0
