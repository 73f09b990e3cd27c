"""The node image of kind, built once from the programs of the cache with kind's own command.

The build pulls nothing: all images that kind and kubeadm name are in the archives with the programs.
"""

import hashlib
import os
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

from purpleflea_sandbox import paths
from purpleflea_sandbox.cluster import binaries, build_specs, packages
from purpleflea_sandbox.cluster.errors import ClusterError
from purpleflea_sandbox.cluster.progress import Progress
from purpleflea_sandbox.engine import image_archive, node_files, process
from purpleflea_sandbox.engine.image_archive import SmallImage
from purpleflea_sandbox.engine.process import Engine

NAME = f"purpleflea/kind-node:{build_specs.KUBERNETES}"
_BASE = "purpleflea/kind-base:1"
_SERVERS = ("kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler")
_BASE_CHANGES = (
    "ENV container=docker",
    'ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]',
)
_PACKAGES = ("mmdebstrap", "util-linux")


def key(programs: Mapping[str, Path]) -> str:
    """Return the key of the image: it changes with each program and with the rules of the build."""
    digest = hashlib.sha256(",".join(node_files.PACKAGES).encode())
    for name in sorted(programs):
        # The folder of a program in the cache contains the pin of its sources.
        digest.update(f"{name}\0{programs[name]}\0".encode())
    for module in (image_archive, node_files):
        digest.update(Path(str(module.__file__)).read_bytes())
    digest.update(Path(__file__).read_bytes())
    return digest.hexdigest()[:16]


def programs(progress: Progress) -> Mapping[str, Path]:
    """Return the programs of a node, built if the cache does not have them. This needs a network."""
    return binaries.ensure(build_specs.KIND_NODE, progress)


def archive(programs: Mapping[str, Path]) -> Path:
    """Return the path of the archive of the image."""
    return paths.cache() / "engine" / f"node-{key(programs)}.tar"


class NodeImage:
    """The build of a node image: `prepare` needs a network, `build` needs an engine."""

    def __init__(self, programs: Mapping[str, Path], folder: Path, log: Path) -> None:
        self._programs = programs
        self._root = folder / "root"
        self._server = folder / "server.tar.gz"
        self._folder = folder
        self._log = log

    def prepare(self, progress: Progress) -> None:
        """Write the file system of a node, and the archive of Kubernetes that kind reads."""
        packages.ensure(_PACKAGES, progress)
        kind = _kind_sources()
        with progress.step("build the file system of the kind nodes", expected_s=90):
            node_files.build(
                self._root, kind / "images" / "base" / "files", self._programs, self._log
            )
            tools = self._folder / "tools"
            node_files.network_tools(self._root, tools)
        with progress.step("write the images of Kubernetes for the kind nodes", expected_s=20):
            self._write_server(kind, tools)

    def build(self, engine: Engine, target: Path, progress: Progress) -> None:
        """Build the image with the engine and write its archive."""
        with progress.step("build the kind node image", expected_s=60):
            changes = " ".join(f"--change='{change}'" for change in _BASE_CHANGES)
            imported = (
                f"tar --create --directory={self._root} . | docker import {changes} - {_BASE}"
            )
            process.run(engine, ("sh", "-c", imported), log=self._log)
            kind = str(self._programs["kind"])
            process.run(
                engine,
                (
                    *(kind, "build", "node-image", "--type=file", f"--base-image={_BASE}"),
                    *(f"--image={NAME}", str(self._server)),
                ),
                log=self._log,
            )
            unfinished = target.with_suffix(".partial")
            engine.docker("save", f"--output={unfinished}", NAME, log=self._log)
            unfinished.rename(target)

    def _write_server(self, kind: Path, tools: Path) -> None:
        archives = self._folder / "archives"
        archives.mkdir()
        for name, images in self._images(kind, tools).items():
            image_archive.write(images, archives / f"{name}.tar")
        version = self._folder / "version"
        version.write_text(build_specs.KUBERNETES)
        with tarfile.open(self._server, "w:gz", compresslevel=1) as tar:
            tar.add(version, "kubernetes/version")
            for name in ("kubeadm", "kubelet", "kubectl"):
                tar.add(self._programs[name], f"kubernetes/server/bin/{name}")
            for file in sorted(archives.iterdir()):
                tar.add(file, f"kubernetes/server/bin/{file.name}")

    def _images(self, kind: Path, tools: Path) -> Mapping[str, list[SmallImage]]:
        """Return the images by the names of the archives that kind reads."""
        required = self._required()
        found = {
            name: [
                SmallImage(
                    reference=required[name],
                    files={f"/usr/local/bin/{name}": self._programs[name]},
                    root=tools if name == "kube-proxy" else None,
                )
            ]
            for name in _SERVERS
        }
        found["kube-scheduler"] += [
            self._program("etcd", required["etcd"], "/usr/local/bin/etcd"),
            self._program("coredns", required["coredns"], "/coredns"),
            self._program("pause", _sandbox_image(kind), "/pause"),
            self._program("kindnetd", _constant(kind, "kindnetdImage"), "/bin/kindnetd", tools),
            self._program(
                "local-path-provisioner",
                _constant(kind, "storageProvisionerImage"),
                "/usr/bin/local-path-provisioner",
            ),
            SmallImage(reference=_constant(kind, "storageHelperImage"), files={}, root=tools),
        ]
        return found

    def _program(
        self, name: str, reference: str, path: str, root: Path | None = None
    ) -> SmallImage:
        return SmallImage(
            reference=reference, files={path: self._programs[name]}, root=root, entrypoint=(path,)
        )

    def _required(self) -> Mapping[str, str]:
        """Return the images that kubeadm requires, by the last part of their names."""
        argv = (str(self._programs["kubeadm"]), "config", "images", "list")
        answer = subprocess.run(
            (*argv, f"--kubernetes-version={build_specs.KUBERNETES}"),
            capture_output=True,
            text=True,
            check=False,
        )
        found = {line.rpartition(":")[0].rpartition("/")[2]: line for line in answer.stdout.split()}
        if not {*_SERVERS, "etcd", "coredns"} <= found.keys():
            raise ClusterError(f"kubeadm does not list its images: {answer.stderr.strip()[-300:]}")
        return found


def _kind_sources() -> Path:
    """Return the folder with the sources of the pinned version of kind."""
    argv = ("go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kind")
    module = build_specs.BUILD_SPECS["kind"].folder
    environment = {**os.environ, "GOWORK": "off", "GOFLAGS": "-mod=readonly"}
    answer = subprocess.run(
        argv, cwd=module, env=environment, capture_output=True, text=True, check=False
    )
    folder = Path(answer.stdout.strip())
    if answer.returncode != 0 or not (folder / "images").is_dir():
        raise ClusterError(
            f"the sources of kind are not in the module cache: {answer.stderr.strip()}"
        )
    return folder


def _constant(kind: Path, name: str) -> str:
    """Return a constant of kind's image build."""
    for file in sorted((kind / "pkg" / "build" / "nodeimage").glob("const*.go")):
        match = re.search(rf'\b{name} = "([^"]+)"', file.read_text())
        if match:
            return match[1]
    raise ClusterError(f"kind has no constant {name}; adapt the node image to its new version")


def _sandbox_image(kind: Path) -> str:
    config = (kind / "images/base/files/etc/containerd/config.toml").read_text()
    match = re.search(r'sandbox_image = "([^"]+)"', config)
    if match is None:
        raise ClusterError("kind's containerd configuration names no sandbox image")
    return match[1]


def temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """Return a folder for one build; 1.5 GB are needed."""
    return tempfile.TemporaryDirectory(prefix="pf-node-")
