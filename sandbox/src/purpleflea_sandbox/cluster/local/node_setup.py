"""Prepares the new namespaces of a cluster once, before any daemon starts: private mounts over the
paths that daemons would change on the machine, and an isolated network with only this node.

Runs as root inside the namespaces.
"""

import json
import subprocess
import sys
from pathlib import Path

from purpleflea_sandbox.cluster.control_plane import API_SERVICE_IP, SERVICE_RANGE
from purpleflea_sandbox.cluster.local.paths import (
    DNS_IP,
    NODE_BRIDGE,
    NODE_IP,
    NODE_PREFIX,
)

# The kubelet sets these values for the whole machine, but writes nothing if a value is already
# correct.
_SYSCTL_OVERRIDES = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
_NETWORK = {
    "ipv4/ip_forward": "1",
    "ipv4/conf/all/route_localnet": "1",
    # Without this setting a Service fails if client and server are on the same bridge.
    "bridge/bridge-nf-call-iptables": "1",
}


def main(argv: list[str]) -> None:
    """Run with the argument: a file with the paths to hide and the folder for the kernel setting
    files.
    """
    wanted = json.loads(Path(argv[0]).read_text())
    # First private, because otherwise these mounts would appear on the machine. Then shared within
    # the namespace, because the kubelet propagates mounts to containers.
    _run("mount", "--make-rprivate", "/")
    _run("mount", "--make-rshared", "/")
    for path, ours in wanted["hidden"].items():
        _hide(path, ours)
    for folder in (Path("/run/lock"), Path("/run/netns")):
        folder.mkdir()
    _override_sysctls(Path(wanted["sysctl_folder"]))
    _network()


def _hide(path: str, ours: str) -> None:
    if not ours:
        _run("mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", path)
        return
    _run("mount", "--bind", ours, path)
    # Leave the peer group of the source folder, so that mounts created here do not appear there a
    # second time.
    _run("mount", "--make-private", path)
    _run("mount", "--make-shared", path)


def _override_sysctls(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in _SYSCTL_OVERRIDES.items():
        override = folder / name.replace("/", ".")
        override.write_text(f"{value}\n")
        setting = Path("/proc/sys") / name
        if setting.is_file():
            _run("mount", "--bind", str(override), str(setting))


def _network() -> None:
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "link", "add", NODE_BRIDGE, "type", "bridge")
    _run("ip", "address", "add", f"{NODE_IP}/{NODE_PREFIX}", "dev", NODE_BRIDGE)
    _run("ip", "link", "set", NODE_BRIDGE, "up")
    for address in (API_SERVICE_IP, DNS_IP):
        _run("ip", "address", "add", f"{address}/32", "dev", "lo")
    # There is no default route. This route lets processes of the node reach Services.
    _run("ip", "route", "add", SERVICE_RANGE, "dev", NODE_BRIDGE, "src", NODE_IP)
    if not Path("/proc/sys/net/bridge").is_dir():
        subprocess.run(["modprobe", "br_netfilter"], check=False, stdin=subprocess.DEVNULL)
    for name, value in _NETWORK.items():
        setting = Path("/proc/sys/net") / name
        if setting.is_file():
            setting.write_text(value)


def _run(*argv: str) -> None:
    print("+", *argv, flush=True)
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)


if __name__ == "__main__":
    main(sys.argv[1:])
