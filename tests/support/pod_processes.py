"""The processes of a pod on this machine, for tests that kill or freeze them.

It works if the nodes of the cluster run on this machine and the user is root, with any kind of cluster.
"""

from pathlib import Path


def pid_of(pod_uid: str, program: str) -> int | None:
    """Return the process of a pod whose command line contains `program`; None if it is not visible."""
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
    """Return the resident memory of a process in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0
