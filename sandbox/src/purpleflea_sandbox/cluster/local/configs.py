"""Configuration files of the node's daemons as text. Pure: this module does no I/O."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from purpleflea_sandbox.cluster.local.paths import (
    CLEANUP_RUN,
    CLUSTER_DOMAIN,
    CONTAINERD,
    DNS_IP,
    KUBELET_PORT,
    KUBELET_ROOT,
    NODE,
    NODE_IP,
    POD_LOGS,
    POD_RANGE,
    SOCKET,
    ClusterPaths,
)

PAUSE_IMAGE = "localhost/pause:1"


_DISABLED = [
    "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.zfs",
    "io.containerd.internal.v1.tracing",
    "io.containerd.tracing.processor.v1.otlp",
]


def containerd(paths: ClusterPaths, *, runc: str, snapshotter: str) -> str:
    """Return the configuration of containerd as the runtime of the kubelet."""
    cri = 'plugins."io.containerd.grpc.v1.cri"'
    own = _containerd(paths, CONTAINERD, _DISABLED)
    return own + _lines(
        f"[{cri}]",
        f"sandbox_image = {_quoted(PAUSE_IMAGE)}",
        # Lowering an OOM score needs CAP_SYS_RESOURCE, which containers and virtual machines often
        # lack.
        "restrict_oom_score_adj = true",
        "disable_apparmor = true",
        f"[{cri}.cni]",
        'bin_dir = "/usr/lib/cni"',
        f"conf_dir = {_quoted(paths.etc('cni'))}",
        f"[{cri}.containerd]",
        f"snapshotter = {_quoted(snapshotter)}",
        'default_runtime_name = "runc"',
        f"[{cri}.containerd.runtimes.runc]",
        'runtime_type = "io.containerd.runc.v2"',
        f"[{cri}.containerd.runtimes.runc.options]",
        f"BinaryName = {_quoted(runc)}",
        "SystemdCgroup = false",
    )


def containerd_for_cleanup(paths: ClusterPaths) -> str:
    """Return the configuration of containerd on the same image store without CRI, used only to
    remove old containers.
    """
    return _containerd(paths, CLEANUP_RUN, [*_DISABLED, "io.containerd.grpc.v1.cri"])


def _containerd(paths: ClusterPaths, run: Path, disabled: list[str]) -> str:
    return _lines(
        "version = 2",
        f"root = {_quoted(paths.image_store)}",
        f"state = {_quoted(run)}",
        f"disabled_plugins = {json.dumps(disabled)}",
        "[grpc]",
        f"address = {_quoted(run / SOCKET)}",
        '[plugins."io.containerd.internal.v1.opt"]',
        f"path = {_quoted(paths.state / 'opt')}",
    )


def pod_network(paths: ClusterPaths) -> str:
    address_range = {"subnet": POD_RANGE}
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "isDefaultGateway": True,
        "hairpinMode": True,
        "ipMasq": False,
        "ipam": {
            "type": "host-local",
            "ranges": [[address_range]],
            "dataDir": str(paths.state / "ipam"),
        },
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True}
    return _json({"cniVersion": "0.4.0", "name": "plane", "plugins": [bridge, ports]})


def kubelet(paths: ClusterPaths) -> str:
    return _json(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "failCgroupV1": False,
            "failSwapOn": False,
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{paths.cgroup}",
            "cgroupsPerQOS": True,
            "containerRuntimeEndpoint": f"unix://{CONTAINERD / SOCKET}",
            **_kubelet_trust(paths),
            "address": NODE_IP,
            "port": KUBELET_PORT,
            "healthzBindAddress": "127.0.0.1",
            # Empty: pods use only the cluster DNS, which does not resolve external names.
            "resolvConf": "",
            "clusterDomain": CLUSTER_DOMAIN,
            "clusterDNS": [DNS_IP],
            "podLogsDir": str(POD_LOGS),
            "volumePluginDir": str(KUBELET_ROOT / "volumeplugins"),
            "maxPods": 250,
            "serializeImagePulls": False,
            # No registry can provide an image again, so image garbage collection is disabled.
            "imageGCHighThresholdPercent": 100,
            "imageGCLowThresholdPercent": 99,
            "evictionHard": {
                "memory.available": "100Mi",
                "nodefs.available": "1%",
                "imagefs.available": "1%",
                "nodefs.inodesFree": "0%",
            },
            "nodeStatusUpdateFrequency": "5s",
        }
    )


def _kubelet_trust(paths: ClusterPaths) -> Mapping[str, Any]:
    keys = paths.state / "pki"
    return {
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(keys / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(keys / "kubelet.crt"),
        "tlsPrivateKeyFile": str(keys / "kubelet.key"),
    }


def kube_proxy(kubeconfig: str) -> str:
    return _json(
        {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "nftables",
            # With the default of 1 s a Service rejects connections for a while after its pods are
            # Ready.
            "nftables": {"minSyncPeriod": "100ms"},
            "clusterCIDR": POD_RANGE,
            "clientConnection": {"kubeconfig": kubeconfig},
            "hostnameOverride": NODE,
            "bindAddress": "0.0.0.0",  # noqa: S104 - inside the plane's own network namespace
            "healthzBindAddress": "127.0.0.1:10256",
            "metricsBindAddress": "127.0.0.1:10249",
            # Zero leaves the limits unchanged, because they apply to the whole machine.
            "conntrack": {
                "maxPerCore": 0,
                "min": 0,
                "tcpEstablishedTimeout": "0s",
                "tcpCloseWaitTimeout": "0s",
            },
        }
    )


def corefile(kubeconfig: str) -> str:
    """Return the DNS configuration.

    Names outside the cluster do not exist, because no query is forwarded.
    """
    # Two server blocks are needed: within one block, `template` runs before `kubernetes` in any
    # sequence.
    return f"""\
{CLUSTER_DOMAIN} in-addr.arpa ip6.arpa {{
    bind {DNS_IP}
    errors
    kubernetes {CLUSTER_DOMAIN} in-addr.arpa ip6.arpa {{
        kubeconfig {kubeconfig}
        pods insecure
        ttl 5
    }}
    cache 5
}}
. {{
    bind {DNS_IP}
    errors
    template ANY ANY . {{
        rcode NXDOMAIN
    }}
}}
"""


def _lines(*lines: str) -> str:
    return "\n".join(lines) + "\n"


def _quoted(value: object) -> str:
    return json.dumps(str(value))


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=2) + "\n"
