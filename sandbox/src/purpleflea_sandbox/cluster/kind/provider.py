"""The `kind` provider. It builds the command lines of kind and parses the output."""

import json
import os
import shutil
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from purpleflea_sandbox.cluster import binaries, build_specs, kubectl_symlink, locks, records
from purpleflea_sandbox.cluster.control_plane import AUDIT_POLICY
from purpleflea_sandbox.cluster.errors import ClusterError
from purpleflea_sandbox.cluster.identity import Identity
from purpleflea_sandbox.cluster.kind.configuration import (
    AUDIT_FILE,
    cluster_configuration,
    host_ports,
)
from purpleflea_sandbox.cluster.kind.runner import CommandResult, Runner
from purpleflea_sandbox.cluster.port import Cluster, Options, ProviderName, State
from purpleflea_sandbox.cluster.progress import Progress
from purpleflea_sandbox.cluster.records import ClusterRecord

Programs = Callable[[Sequence[str], Progress], Mapping[str, Path]]

NODE_IMAGE_VARIABLE = "PURPLEFLEA_NODE_IMAGE"
"""Environment variable with the node image of new clusters; the option has priority."""
_LOCK_LIMIT_S = 600.0
_CONFIGURATION = "kind.json"
_WAIT = "180s"
_NO_ENGINE = ("Cannot connect to the Docker daemon", "executable file not found")
"""Parts of the errors of kind if no Docker engine answers, or if there is no client."""
_REAL = (
    "API server, etcd, controllers, scheduler, DNS, Service addresses",
    "nodes in containers of the Docker engine",
)
_SIMULATED = ("the machines: each node is a container",)


class Kind:
    """One cluster that kind manages."""

    def __init__(
        self, identity: Identity, runner: Runner, programs: Programs = binaries.ensure
    ) -> None:
        self._identity = identity
        self._runner = runner
        self._programs = programs
        self._cluster = f"purpleflea-{identity.id}"
        self._logs = identity.state / "logs"

    @property
    def name(self) -> ProviderName:
        return "kind"

    @property
    def kubeconfig(self) -> Path:
        return self._identity.kubeconfig

    @property
    def audit_log(self) -> Path | None:
        record = records.load(self._identity.state)
        return self._logs / AUDIT_FILE if record is not None and record.audit else None

    def up(self, options: Options, progress: Progress) -> Cluster:
        programs = self._programs(build_specs.KIND, progress)
        with self._lock():
            if self._exists(programs["kind"]) and records.load(self._identity.state) is not None:
                if options.audit and self.audit_log is None:
                    raise ClusterError(
                        f"cluster {self._identity.name} is running without an audit log; run 'cluster "
                        "down' first, then 'cluster up --audit'"
                    )
                progress.note(f"cluster {self._identity.name} is already running")
            else:
                self._remove(programs["kind"])
                with progress.step(f"create cluster {self._cluster} with kind", expected_s=60):
                    self._create(programs, options)
            self._export_kubeconfig(programs["kind"])
            kubectl_symlink.link(self._identity.sandbox, programs["kubectl"])
        return self.status()

    def down(self, progress: Progress, *, purge: bool = False) -> bool:
        del purge  # nothing is cached, because images are stored in the node
        with self._lock():
            exists = self._identity.state.exists()
            if exists:
                programs = self._programs(build_specs.KIND, progress)
                with progress.step(f"delete cluster {self._cluster} with kind"):
                    self._remove(programs["kind"])
            return exists

    def status(self) -> Cluster:
        record = records.load(self._identity.state)
        ready = (
            record is not None
            and self._kubectl(record.kubectl, "get", "--raw", "/readyz").code == 0
        )
        version = self._version(record.kubectl) if record is not None and ready else None
        return Cluster(
            name=self._identity.name,
            identity=self._identity.id,
            provider=self.name,
            state=self._state(ready=ready),
            kubeconfig=self.kubeconfig,
            ready=ready,
            api=record.server if record else None,
            versions={"kubernetes": version} if version else {},
            real=_REAL,
            simulated=_SIMULATED,
            audit_log=self.audit_log,
            logs=self._logs if self._logs.is_dir() else None,
        )

    def expose_node_port(self, node_port: int) -> str:
        configuration = self._identity.state / _CONFIGURATION
        if configuration.is_file():
            ports = host_ports(configuration.read_text())
            if node_port in ports:
                return f"http://127.0.0.1:{ports[node_port]}"
        template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        node = f"{self._cluster}-control-plane"
        result = self._runner.run(("docker", "inspect", "--format", template, node))
        if result.code != 0:
            raise ClusterError(f"node {node} does not exist: {result.err.strip()[-500:]}")
        return f"http://{result.out.strip()}:{node_port}"

    def load_images(self, archives: Sequence[Path], progress: Progress) -> tuple[str, ...]:
        kind = self._programs(build_specs.KIND, progress)["kind"]
        for archive in archives:
            with progress.step(f"load {archive.name} into the node", expected_s=10):
                argv = ("load", "image-archive", str(archive), "--name", self._cluster)
                self._run_kind(kind, *argv)
        return tuple(archive.name for archive in archives)

    def _create(self, programs: Mapping[str, Path], options: Options) -> None:
        state = self._identity.state
        records.record_provider(state, self.name)
        self._logs.mkdir(parents=True, exist_ok=True)
        policy = state / "audit-policy.json"
        policy.write_text(json.dumps(AUDIT_POLICY))
        config = state / _CONFIGURATION
        config.write_text(
            cluster_configuration(
                policy=policy if options.audit else None,
                audit_folder=self._logs if options.audit else None,
                workers=options.workers,
                lost_node_after_s=options.lost_node_after_s,
                ports=dict(
                    zip(options.node_ports, _free_ports(len(options.node_ports)), strict=True)
                ),
            )
        )
        image = options.node_image or os.environ.get(NODE_IMAGE_VARIABLE, "")
        self._run_kind(
            programs["kind"],
            *("create", "cluster", "--name", self._cluster, "--config", str(config)),
            *("--kubeconfig", str(state / "kubeconfig"), "--wait", _WAIT),
            *(("--image", image) if image else ()),
        )
        kubectl = str(programs["kubectl"])
        address = self._runner.run(
            (
                *(kubectl, "--kubeconfig", str(state / "kubeconfig"), "config", "view"),
                *("--output", "jsonpath={.clusters[0].cluster.server}"),
            )
        )
        record = ClusterRecord(server=address.out.strip(), audit=options.audit, kubectl=kubectl)
        records.save(state, record)

    def _export_kubeconfig(self, kind: Path) -> None:
        self.kubeconfig.parent.mkdir(parents=True, exist_ok=True)
        argv = ("export", "kubeconfig", "--name", self._cluster)
        self._run_kind(kind, *argv, "--kubeconfig", str(self.kubeconfig))

    def _remove(self, kind: Path) -> None:
        # The kubeconfig is passed explicitly, because otherwise kind would edit the kubeconfig of
        # the user.
        argv = ("delete", "cluster", "--name", self._cluster)
        self._run_kind(kind, *argv, "--kubeconfig", str(self.kubeconfig))
        shutil.rmtree(self._identity.state, ignore_errors=True)
        self.kubeconfig.unlink(missing_ok=True)

    def _exists(self, kind: Path) -> bool:
        return self._cluster in self._run_kind(kind, "get", "clusters").out.split()

    def _version(self, kubectl: str) -> str | None:
        answer = self._kubectl(kubectl, "get", "--raw", "/version")
        return str(json.loads(answer.out)["gitVersion"]) if answer.code == 0 else None

    def _kubectl(self, kubectl: str, *arguments: str) -> CommandResult:
        return self._runner.run((kubectl, "--kubeconfig", str(self.kubeconfig), *arguments))

    def _run_kind(self, kind: Path, *arguments: str) -> CommandResult:
        result = self._runner.run((str(kind), *arguments))
        if result.code != 0 and any(sign in result.err for sign in _NO_ENGINE):
            raise ClusterError(
                "kind needs a Docker engine, and none answers; start one. As root on Debian, `.venv/bin/python -m "
                "purpleflea_sandbox engine run -- COMMAND` starts one for a command, such as `bash`"
            )
        if result.code != 0:
            raise ClusterError(f"'kind {' '.join(arguments)}' failed: {result.err.strip()[-500:]}")
        return result

    def _state(self, *, ready: bool) -> State:
        if ready:
            return "running"
        return "stale" if self._identity.state.exists() else "stopped"

    def _lock(self) -> AbstractContextManager[None]:
        what = f"cluster {self._identity.name}"
        return locks.held(self._identity.lock, timeout_s=_LOCK_LIMIT_S, what=what)


def _free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 that no process listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [item.getsockname()[1] for item in sockets]
    for item in sockets:
        item.close()
    return ports
