"""Status of a cluster that the supervisor runs, observed from outside: state folder, record, API,
kubeconfig in the checkout, and waiting for units.

The providers `local` and `simulated` share this module. It starts and ends no process.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from purpleflea_sandbox.cluster import kubeconfig, kubectl_symlink, locks, records, waiting
from purpleflea_sandbox.cluster.api import ApiClient
from purpleflea_sandbox.cluster.control_plane import ADMIN
from purpleflea_sandbox.cluster.credentials import pair
from purpleflea_sandbox.cluster.errors import ClusterError
from purpleflea_sandbox.cluster.identity import Identity
from purpleflea_sandbox.cluster.port import Cluster, Options, ProviderName, State
from purpleflea_sandbox.cluster.records import ClusterRecord
from purpleflea_sandbox.cluster.reports import Reports

_LOCK_LIMIT_S = 300.0
_READY_LIMIT_S = 120.0
_HEALTH_LIMIT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderInfo:
    """Static properties of a provider."""

    provider: ProviderName
    nodes: tuple[str, ...]
    real: tuple[str, ...]
    simulated: tuple[str, ...]


class ClusterStatus:
    """Status of one cluster, observed from the machine it runs on."""

    def __init__(
        self, identity: Identity, info: ProviderInfo, is_alive: Callable[[], bool]
    ) -> None:
        self._identity = identity
        self._info = info
        self._is_alive = is_alive
        self.reports = Reports(report=self.state / "run" / "units.json", logs=self.logs)

    @property
    def state(self) -> Path:
        return self._identity.state

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def audit_log(self) -> Path | None:
        record = self.record()
        return self.logs / "audit.jsonl" if record is not None and record.audit else None

    def record(self) -> ClusterRecord | None:
        return records.load(self.state)

    def lock(self) -> AbstractContextManager[None]:
        resource = f"cluster {self._identity.name}"
        return locks.held(self._identity.lock, timeout_s=_LOCK_LIMIT_S, what=resource)

    def api(self, server: str) -> ApiClient:
        return ApiClient(server, pair(self.state / "pki", ADMIN))

    def is_healthy(self) -> bool:
        """Return whether the cluster is running, responds and has its nodes; a busy API server gets
        up to 5 s.
        """
        record = self.record()
        if record is None or not self._is_alive():
            return False
        api = self.api(record.server)
        return waiting.until(
            lambda: api.is_ready() and self._has_nodes(api),
            timeout_s=_HEALTH_LIMIT_S,
            pause_s=0.2,
        )

    def require_compatible(self, options: Options) -> None:
        """Raise ClusterError if the options differ from those of the running cluster."""
        if options.audit and self.audit_log is None:
            raise ClusterError(
                f"cluster {self._identity.name} is running without an audit log; run 'cluster down' first, "
                "then 'cluster up --audit'"
            )

    def wait_for(self, unit: str, condition: Callable[[], bool]) -> None:
        """Wait for a condition that depends on a unit.

        Raises ClusterError if the unit cannot run or the time limit is reached.
        """

        def settled() -> bool:
            if condition():
                return True
            self.reports.check()
            if not self._is_alive():
                raise self.reports.error("the cluster stopped while it was starting", "supervisor")
            return False

        if not waiting.until(settled, timeout_s=_READY_LIMIT_S):
            raise self.reports.error(f"{unit} was not ready after {_READY_LIMIT_S:.0f} s", unit)

    def wait_for_nodes(self, api: ApiClient, unit: str) -> None:
        self.wait_for(unit, lambda: self._has_nodes(api))

    def write_kubeconfig(self) -> None:
        """Write kubeconfig and kubectl into the checkout."""
        record = self.record()
        if record is None:
            return
        kubeconfig.write(
            self._identity.kubeconfig,
            server=record.server,
            pair=pair(self.state / "pki", ADMIN),
            name=f"purpleflea-{self._identity.name}",
        )
        kubectl_symlink.link(self._identity.sandbox, Path(record.kubectl))

    def remove_kubeconfig(self) -> None:
        self._identity.kubeconfig.unlink(missing_ok=True)

    def cluster(self, pids: Mapping[str, int]) -> Cluster:
        """Return a snapshot of the cluster."""
        alive = self._is_alive()
        record = self.record()
        api = self.api(record.server) if record is not None and alive else None
        version = api.version() if api else None
        return Cluster(
            name=self._identity.name,
            identity=self._identity.id,
            provider=self._info.provider,
            state=self._state(alive=alive, answers=version is not None),
            kubeconfig=self._identity.kubeconfig,
            ready=bool(version and api and self._has_nodes(api)),
            api=record.server if record else None,
            versions={"kubernetes": version} if version else {},
            real=self._info.real,
            simulated=self._info.simulated,
            pids=pids,
            audit_log=self.audit_log,
            logs=self.logs if self.logs.is_dir() else None,
        )

    def _has_nodes(self, api: ApiClient) -> bool:
        return set(self._info.nodes) <= set(api.ready_nodes())

    def _state(self, *, alive: bool, answers: bool) -> State:
        if alive:
            return "running" if answers else "starting"
        return "stale" if self.state.exists() else "stopped"
