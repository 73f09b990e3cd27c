"""The file system of a kind node: Debian packages, the files of kind's own base image, and the programs of this cache.

It follows images/base/Dockerfile of kind, with two changes for machines like build containers: cgroups of version 1,
and no permission to lower the OOM score. Debian 12 is used, because systemd 252 supports cgroups of version 1.
"""

import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from purpleflea_sandbox.cluster import packages
from purpleflea_sandbox.cluster.errors import ClusterError
from purpleflea_sandbox.images import base, run_logged

SUITE = "bookworm"
PACKAGES = (
    *("systemd", "dbus", "conntrack", "iptables", "nftables", "iproute2", "ethtool", "util-linux"),
    *("mount", "kmod", "libseccomp2", "pigz", "e2fsprogs", "bash", "ca-certificates", "curl", "jq"),
    *("procps", "runc"),
)
_PROGRAMS = ("containerd", "ctr", "containerd-shim-runc-v2", "crictl")
_PLUGINS = ("host-local", "loopback", "ptp", "portmap")
_NETWORK_TOOLS = (
    *("iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save"),
    *("ip6tables-restore", "nft", "conntrack", "sh", "mkdir", "rm", "chmod", "ls"),
)
_EXECUTABLE = ("usr/local/bin", "kind/bin", "opt/cni/bin")
# As in the Dockerfile of kind: only the services that a node needs are started. The folders are those of systemd for
# the dependencies of a target.
_SETUP = """
set -e
rm -f /lib/systemd/system/sysinit.target.w*/systemd-tmpfiles-setup.service
rm -f /lib/systemd/system/multi-user.target.w*/* /etc/systemd/system/*.w*/*
rm -f /lib/systemd/system/local-fs.target.w*/* /lib/systemd/system/basic.target.w*/*
rm -f /lib/systemd/system/sockets.target.w*/*udev* /lib/systemd/system/sockets.target.w*/*initctl*
echo ReadKMsg=no >> /etc/systemd/journald.conf
ln -sf /usr/lib/systemd/systemd /sbin/init
systemctl enable kubelet.service containerd.service undo-mount-hacks.service
systemctl mask systemd-binfmt.service
mkdir -p /etc/kubernetes/manifests
update-alternatives --set iptables /usr/sbin/iptables-nft
update-alternatives --set ip6tables /usr/sbin/ip6tables-nft
ctr oci spec \
  | jq '.hooks.createContainer |= . + [{"path": "/kind/bin/mount-product-files.sh"}] | del(.process.rlimits)' \
  > /etc/containerd/cri-base.json
"""


def build(root: Path, kind_files: Path, programs: Mapping[str, Path], log: Path) -> None:
    """Write the file system of a node to the new folder `root`."""
    argv = [
        *(packages.program("mmdebstrap"), "--variant=minbase", "--format=directory"),
        *(f"--include={','.join(PACKAGES)}", '--aptopt=Apt::Install-Recommends "false"'),
        *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale")),
        *(SUITE, str(root), *base.local_sources(SUITE)),
    ]
    run_logged.run(argv, log=log, doing="building the file system of a node")
    for source in (path for path in kind_files.rglob("*") if path.is_file()):
        _copy(source, root / source.relative_to(kind_files), 0o644)
    for name in _PROGRAMS:
        _copy(programs[name], root / "usr/local/bin" / name, 0o755)
    for name in _PLUGINS:
        _copy(programs[name], root / "opt/cni/bin" / name, 0o755)
    for folder in _EXECUTABLE:
        for file in (root / folder).iterdir():
            file.chmod(0o755)
    _replace(
        root / "etc/containerd/config.toml",
        "restrict_oom_score_adj = false",
        "restrict_oom_score_adj = true",
    )
    kubelet = root / "etc/default/kubelet"
    kubelet.write_text(f"{kubelet.read_text().rstrip()} --fail-cgroupv1=false\n")
    run_logged.run(["chroot", str(root), "sh", "-c", _SETUP], log=log, doing="setting up a node")


def network_tools(root: Path, target: Path) -> None:
    """Copy the tools of kube-proxy and of the network plugin, with their libraries, from a node to a new folder."""
    tools = [_which(root, name) for name in _NETWORK_TOOLS]
    plugins = [f"/{path.relative_to(root)}" for path in root.glob("usr/lib/*/xtables/*.so")]
    for path in {*tools, *plugins, *_libraries(root, [*tools, *plugins])}:
        _copy_with_links(root, path, target)
    for folder in ("tmp", "run", "var/run"):
        (target / folder).mkdir(parents=True, exist_ok=True)


def _which(root: Path, name: str) -> str:
    found = _in_root(root, "sh", "-c", f"command -v {name}").strip()
    if not found.startswith("/"):
        raise ClusterError(f"the file system of the node has no program {name}")
    return found


def _libraries(root: Path, files: Iterable[str]) -> set[str]:
    output = _in_root(root, "ldd", *files)
    return set(re.findall(r"(?:=> )?(/\S+\.so\S*) \(0x", output))


def _in_root(root: Path, *command: str) -> str:
    argv = ("chroot", str(root), *command)
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout


def _copy_with_links(root: Path, path: str, target: Path) -> None:
    """Copy a file with all symbolic links that lead to it; /bin, /lib and /sbin are links in Debian."""
    folder = Path(path).parent
    real = Path("/") / (root / str(folder).lstrip("/")).resolve().relative_to(root.resolve())
    source, destination = root / str(real).lstrip("/"), target / str(real).lstrip("/")
    destination.mkdir(parents=True, exist_ok=True)
    for name in ("bin", "lib", "lib64", "sbin"):
        link = target / name
        if (root / name).is_symlink() and not link.is_symlink():
            link.symlink_to((root / name).readlink())
    item, copy = source / Path(path).name, destination / Path(path).name
    if not item.is_symlink():
        shutil.copy2(item, copy)
        return
    if not copy.is_symlink():
        copy.symlink_to(item.readlink())
    linked = real / item.readlink()
    _copy_with_links(root, str(linked), target)


def _copy(source: Path, target: Path, mode: int) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(mode)


def _replace(file: Path, old: str, new: str) -> None:
    content = file.read_text()
    if old not in content:
        raise ClusterError(
            f"{file.name} of kind does not contain '{old}'; adapt it to the new version of kind"
        )
    file.write_text(content.replace(old, new))
