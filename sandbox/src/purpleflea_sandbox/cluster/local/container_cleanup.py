"""Removes the containers of an earlier run from a cached image store before the runtime of the
kubelet opens it.

These containers have no process, and the kubelet would need its first minute to remove them. Images
are kept.
"""

import subprocess
import sys
import time
from pathlib import Path

_WAIT_S = 30.0
_PAUSE_S = 0.05


def main(argv: list[str]) -> None:
    """Run with the arguments: containerd, ctr, configuration file of containerd, socket of
    containerd.
    """
    containerd, ctr, config, socket = argv
    daemon = subprocess.Popen([containerd, "-c", config, "-l", "warn"])
    try:
        client = (ctr, "--address", socket, "--namespace", "k8s.io")
        _await_socket(Path(socket), daemon)
        listed = subprocess.run(
            [*client, "containers", "list", "--quiet"], check=True, capture_output=True, text=True
        )
        if old := listed.stdout.split():
            subprocess.run([*client, "containers", "delete", *old], check=True)
    finally:
        daemon.terminate()
        daemon.wait()


def _await_socket(socket: Path, daemon: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _WAIT_S
    while not socket.is_socket():
        if daemon.poll() is not None or time.monotonic() > deadline:
            raise SystemExit("containerd did not open its socket on the cached image store")
        time.sleep(_PAUSE_S)


if __name__ == "__main__":
    main(sys.argv[1:])
