"""Build specifications of the programs of a cluster: the pinned wrapper module, the package, the
version stamped into the program, and the expected build time.

Pure data.
"""

from dataclasses import dataclass
from pathlib import Path

KUBERNETES = "v1.37.1"
KWOK = "v0.8.0"
MODULES = Path(__file__).parent / "modules"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildSpec:
    """Build specification of one program.

    `expected_s` is the build time from empty caches on two cores.
    """

    name: str
    module: str
    package: str
    expected_s: float
    stamps: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    """Build tags."""

    @property
    def folder(self) -> Path:
        return MODULES / self.module

    @property
    def ldflags(self) -> str:
        return " ".join(("-s", "-w", *(f"-X {stamp}" for stamp in self.stamps)))


def _kubernetes_stamps() -> tuple[str, ...]:
    # Without these stamps the server reports v0.0.0-master, which breaks the version checks of
    # clients.
    major, minor, _ = KUBERNETES.removeprefix("v").split(".")
    values = {
        "gitVersion": KUBERNETES,
        "gitMajor": major,
        "gitMinor": minor,
        "gitTreeState": "clean",
    }
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return tuple(
        f"{package}.{key}={value}" for package in packages for key, value in values.items()
    )


def _kubernetes(name: str, expected_s: float, *, module: str = "kubernetes") -> BuildSpec:
    return BuildSpec(
        name=name,
        module=module,
        package=f"k8s.io/kubernetes/cmd/{name}",
        expected_s=expected_s,
        stamps=_kubernetes_stamps(),
    )


def _containerd(name: str, expected_s: float) -> BuildSpec:
    # Without these tags it contains snapshotters that need C libraries. kind leaves them out, too.
    return BuildSpec(
        name=name,
        module="containerd",
        package=f"github.com/containerd/containerd/v2/cmd/{name}",
        expected_s=expected_s,
        tags=("no_aufs", "no_btrfs", "no_devmapper", "no_zfs"),
    )


def _cni_plugin(group: str, name: str, expected_s: float) -> BuildSpec:
    return BuildSpec(
        name=name,
        module="cni-plugins",
        package=f"github.com/containernetworking/plugins/plugins/{group}/{name}",
        expected_s=expected_s,
    )


_ALL = (
    BuildSpec(name="etcd", module="etcd", package="go.etcd.io/etcd/server/v3", expected_s=70),
    _kubernetes("kube-apiserver", 300),
    _kubernetes("kube-controller-manager", 105),
    _kubernetes("kube-scheduler", 12),
    _kubernetes("kubelet", 30),
    _kubernetes("kubectl", 25),
    _kubernetes("kube-proxy", 15),
    BuildSpec(
        name="coredns", module="coredns", package="github.com/coredns/coredns", expected_s=110
    ),
    BuildSpec(
        name="kwok",
        module="kwok",
        package="sigs.k8s.io/kwok/cmd/kwok",
        expected_s=75,
        stamps=(f"sigs.k8s.io/kwok/pkg/consts.Version={KWOK}",),
    ),
    BuildSpec(name="kind", module="kind", package="sigs.k8s.io/kind", expected_s=10),
    BuildSpec(name="pause", module="pause", package="purpleflea.com/sandbox/pause", expected_s=5),
    BuildSpec(name="probe", module="probe", package="purpleflea.com/sandbox/probe", expected_s=10),
    BuildSpec(
        name="csi-driver",
        module="csi-driver",
        package="purpleflea.com/sandbox/csi-driver",
        expected_s=25,
    ),
    # A separate module, because a change of the module above would rebuild all its programs.
    _kubernetes("kubeadm", 45, module="kubeadm"),
    _containerd("containerd", 120),
    _containerd("ctr", 30),
    _containerd("containerd-shim-runc-v2", 10),
    _cni_plugin("ipam", "host-local", 5),
    _cni_plugin("main", "loopback", 3),
    _cni_plugin("main", "ptp", 4),
    _cni_plugin("meta", "portmap", 4),
    BuildSpec(
        name="crictl",
        module="crictl",
        package="sigs.k8s.io/cri-tools/cmd/crictl",
        expected_s=110,
    ),
    BuildSpec(
        name="local-path-provisioner",
        module="local-path-provisioner",
        package="github.com/rancher/local-path-provisioner",
        expected_s=110,
    ),
    BuildSpec(
        name="kindnetd",
        module="kindnetd",
        package="purpleflea.com/sandbox/kindnetd",
        expected_s=30,
    ),
)
BUILD_SPECS = {spec.name: spec for spec in _ALL}

CONTROL_PLANE = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubectl",
)
LOCAL = (*CONTROL_PLANE, "kubelet", "kube-proxy", "coredns", "pause")
SIMULATED = (*CONTROL_PLANE, "kwok")
KIND = ("kind", "kubectl")
KIND_NODE = (
    *("kubeadm", "kubelet", "kubectl", "containerd", "ctr", "containerd-shim-runc-v2", "crictl"),
    *("host-local", "loopback", "ptp", "portmap"),
    *("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "etcd"),
    *("coredns", "pause", "kindnetd", "local-path-provisioner", "kind"),
)
"""Programs of which a node image of kind is made, and kind, which makes it."""
