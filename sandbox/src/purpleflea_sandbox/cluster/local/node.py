"""All certificates, kubeconfigs, configuration files and units of a local cluster: the control
plane and one real node.

This module writes the files for one start; it starts no process.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from purpleflea_sandbox.cluster import certificates, control_plane, kubeconfig, packages
from purpleflea_sandbox.cluster.control_plane import ADMIN, API_READY, ControlPlane, python
from purpleflea_sandbox.cluster.credentials import ADMINS, Leaf, pair
from purpleflea_sandbox.cluster.local import configs
from purpleflea_sandbox.cluster.local.paths import (
    CLEANUP_RUN,
    KUBELET_ROOT,
    NODE,
    NODE_IP,
    SOCKET,
    ClusterPaths,
)
from purpleflea_sandbox.cluster.units import Unit

KUBELET = "kubelet"
API_CLIENT = "apiserver-kubelet"
PROXY = "kube-proxy"
DNS = "dns"
VOLUMES = "volumes"
_SETUP = "node-setup"
_CLEANUP = "container-cleanup"
_CLIENTS = (
    ADMIN,
    control_plane.CONTROLLER_MANAGER,
    control_plane.SCHEDULER,
    KUBELET,
    PROXY,
    DNS,
    VOLUMES,
)
_HERE = "purpleflea_sandbox.cluster.local"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Files and units of one start of a cluster."""

    paths: ClusterPaths
    binaries: Mapping[str, Path]
    audit: bool

    @property
    def plane(self) -> ControlPlane:
        keys = self.paths.state / "pki"
        return ControlPlane(
            binaries=self.binaries,
            state=self.paths.state,
            bind="0.0.0.0",  # noqa: S104 - inside the plane's own network namespace
            address=NODE_IP,
            # With port 443 the Service address needs no translation, because it is an address of
            # this node.
            port=443,
            etcd_client_port=2379,
            etcd_peer_port=2380,
            audit=self.audit,
            extra_api_flags=(
                "--enable-admission-plugins=NodeRestriction",
                f"--kubelet-client-certificate={keys / f'{API_CLIENT}.crt'}",
                f"--kubelet-client-key={keys / f'{API_CLIENT}.key'}",
                f"--kubelet-certificate-authority={keys / 'ca.crt'}",
                "--kubelet-preferred-address-types=InternalIP",
            ),
        )

    def write(self) -> None:
        """Write all files that the daemons read."""
        for folder in self.paths.folders():
            folder.mkdir(parents=True, exist_ok=True)
        self._write_keys()
        texts = {
            "containerd.toml": configs.containerd(
                self.paths, runc=packages.program("runc"), snapshotter="overlayfs"
            ),
            "container-cleanup.toml": configs.containerd_for_cleanup(self.paths),
            "cni/10-plane.conflist": configs.pod_network(self.paths),
            "kubelet.json": configs.kubelet(self.paths),
            "kube-proxy.json": configs.kube_proxy(str(self.plane.kubeconfig(PROXY))),
            "Corefile": configs.corefile(str(self.plane.kubeconfig(DNS))),
            "audit-policy.json": json.dumps(control_plane.AUDIT_POLICY),
            "plan.json": json.dumps(self._plan()),
            "node-setup.json": json.dumps(self._setup_files()),
        }
        for name, text in texts.items():
            self.paths.etc(name).write_text(text)

    def units(self) -> tuple[Unit, ...]:
        after_api = (API_READY,)
        return (
            Unit(name=_SETUP, argv=self._setup(), once=True),
            Unit(
                name="tcp-proxy",
                argv=python(f"{_HERE}.tcp_proxy", NODE_IP, "443"),
                wants_listener=True,
            ),
            *control_plane.units(self.plane, after=(_SETUP,)),
            *self._runtime(),
            Unit(name=KUBELET, argv=self._kubelet(), after=after_api),
            Unit(name=PROXY, argv=self._kube_proxy(), after=after_api),
            Unit(name="coredns", argv=self._coredns(), after=after_api),
            Unit(name=VOLUMES, argv=self._volumes(), after=after_api),
        )

    def _write_keys(self) -> None:
        keys = self.plane.keys
        certificates.issue(
            keys,
            (
                *control_plane.leaves(NODE_IP),
                Leaf(
                    file=KUBELET,
                    user=f"system:node:{NODE}",
                    group="system:nodes",
                    names=(NODE, NODE_IP),
                ),
                Leaf(file=API_CLIENT, user="kube-apiserver-kubelet-client", group=ADMINS),
                Leaf(file=PROXY, user="system:kube-proxy"),
                Leaf(file=DNS, user="coredns", group=ADMINS),
                Leaf(file=VOLUMES, user="volume-provisioner", group=ADMINS),
            ),
        )
        for leaf in _CLIENTS:
            kubeconfig.write(
                self.plane.kubeconfig(leaf),
                server=self.plane.server,
                pair=pair(keys, leaf),
                name=leaf,
            )

    def _plan(self) -> Mapping[str, object]:
        return {
            "units": [asdict(unit) for unit in self.units()],
            "logs": str(self.paths.logs),
            "report": str(self.paths.report),
            "environment": {
                "PATH": packages.search_path(),
                "HOME": str(self.paths.state),
                "PYTHONUNBUFFERED": "1",
                "GOTRACEBACK": os.environ.get("GOTRACEBACK", "single"),
            },
        }

    def _setup_files(self) -> Mapping[str, object]:
        hidden = {str(path): str(ours or "") for path, ours in self.paths.hidden.items()}
        return {"hidden": hidden, "sysctl_folder": str(self.paths.etc("sysctl"))}

    def _runtime(self) -> tuple[Unit, ...]:
        containerd = packages.program("containerd")
        store_is_used = (self.paths.image_store / "io.containerd.metadata.v1.bolt").is_dir()
        runtime = Unit(
            name="containerd",
            argv=(containerd, "-c", str(self.paths.etc("containerd.toml")), "-l", "warn"),
            after=(_CLEANUP,) if store_is_used else (_SETUP,),
        )
        if not store_is_used:
            return (runtime,)
        argv = python(
            f"{_HERE}.container_cleanup",
            containerd,
            packages.program("ctr"),
            str(self.paths.etc("container-cleanup.toml")),
            str(CLEANUP_RUN / SOCKET),
        )
        return (Unit(name=_CLEANUP, argv=argv, after=(_SETUP,), once=True), runtime)

    def _setup(self) -> tuple[str, ...]:
        return python(f"{_HERE}.node_setup", str(self.paths.etc("node-setup.json")))

    def _kubelet(self) -> tuple[str, ...]:
        return (
            str(self.binaries["kubelet"]),
            f"--config={self.paths.etc('kubelet.json')}",
            f"--kubeconfig={self.plane.kubeconfig(KUBELET)}",
            f"--hostname-override={NODE}",
            f"--node-ip={NODE_IP}",
            f"--root-dir={KUBELET_ROOT}",
            f"--cert-dir={KUBELET_ROOT / 'pki'}",
        )

    def _kube_proxy(self) -> tuple[str, ...]:
        config = self.paths.etc("kube-proxy.json")
        return (str(self.binaries["kube-proxy"]), f"--config={config}")

    def _coredns(self) -> tuple[str, ...]:
        return (str(self.binaries["coredns"]), "-conf", str(self.paths.etc("Corefile")))

    def _volumes(self) -> tuple[str, ...]:
        config = self.plane.kubeconfig(VOLUMES)
        return python(
            "purpleflea_sandbox.cluster.provisioner", str(config), str(self.paths.volumes)
        )
