"""The Lease by which the replicas of the operator elect a leader: content, reads and writes.

The module must not decide anything; `runtime.leader_election` does. Each write names the resource version that it
replaces, so if two replicas acquire the lease at the same time, the API server accepts exactly one of them.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from purpleflea_operator.kube.resources import ObjectRef, ResourceKind
from purpleflea_operator.parsing import Manifest, count, mapping, text, timestamp

MAX_LEASE_DURATION_S = 300
"""Upper limit of the lease duration, as in the settings. A Lease that another client wrote with a longer duration would
keep every replica waiting."""

LEASE = ResourceKind(
    api_version="coordination.k8s.io/v1", kind="Lease", plural="leases", labelled=False
)


def reference(namespace: str, name: str) -> Manifest | None:
    """Return apiVersion, kind, namespace and name of a Lease; None without a namespace, because there is no Lease."""
    if not namespace:
        return None
    metadata = {"namespace": namespace, "name": name}
    return {"apiVersion": LEASE.api_version, "kind": LEASE.kind, "metadata": metadata}


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRecord:
    """Content of a Lease. Records are equal if their content is equal; the resource version is not compared."""

    holder: str
    duration_s: int
    acquired_at: datetime
    renewed_at: datetime
    transitions: int = 0
    version: str = field(default="", compare=False)


class LeaseStore(Protocol):
    """Storage of the record. Every call may raise `kube.errors.ApiError`."""

    async def read(self) -> LeaseRecord | None:
        """Return the record, or None if there is none."""

    async def write(self, record: LeaseRecord) -> LeaseRecord:
        """Write the record over the version `record.version`, or create it if the version is empty.

        Raises:
            Conflict: Another client wrote the record first.
        """


class LeaseRequests(Protocol):
    """Requests to the API server that a LeaseClient needs."""

    async def get(self, ref: ObjectRef) -> Manifest | None:
        """Return the object, or None if it does not exist."""

    async def create(self, ref: ObjectRef, manifest: Manifest) -> Manifest:
        """Create an object. Raises Conflict if it exists."""

    async def replace(self, ref: ObjectRef, manifest: Manifest) -> Manifest:
        """Replace the version that the manifest names. Raises Conflict if a newer version exists."""


class LeaseClient:
    """Stores the record as a Lease in the cluster."""

    def __init__(self, requests: LeaseRequests, *, namespace: str, name: str) -> None:
        self._requests = requests
        self._ref = ObjectRef(kind=LEASE, namespace=namespace, name=name)

    async def read(self) -> LeaseRecord | None:
        """Return the record, or None if the Lease does not exist."""
        manifest = await self._requests.get(self._ref)
        return None if manifest is None else lease_record(manifest)

    async def write(self, record: LeaseRecord) -> LeaseRecord:
        """Create the Lease, or replace its version `record.version`."""
        body = lease_manifest(record, self._ref)
        if record.version:
            return lease_record(await self._requests.replace(self._ref, body))
        return lease_record(await self._requests.create(self._ref, body))


def lease_record(manifest: Manifest) -> LeaseRecord:
    """Return the record of a Lease. A missing time is read as 1970, a missing duration as 1 s."""
    spec = mapping(manifest.get("spec"))
    return LeaseRecord(
        holder=text(spec.get("holderIdentity")),
        duration_s=min(count(spec.get("leaseDurationSeconds")) or 1, MAX_LEASE_DURATION_S),
        acquired_at=_moment(spec.get("acquireTime")),
        renewed_at=_moment(spec.get("renewTime")),
        transitions=count(spec.get("leaseTransitions")),
        version=manifest["metadata"]["resourceVersion"],
    )


def lease_manifest(record: LeaseRecord, ref: ObjectRef) -> dict[str, Any]:
    """Return the Lease manifest for `record`."""
    version = {"resourceVersion": record.version} if record.version else {}
    return {
        "apiVersion": LEASE.api_version,
        "kind": LEASE.kind,
        "metadata": {"name": ref.name, "namespace": ref.namespace, **version},
        "spec": {
            "holderIdentity": record.holder,
            "leaseDurationSeconds": record.duration_s,
            "acquireTime": _micro_time(record.acquired_at),
            "renewTime": _micro_time(record.renewed_at),
            "leaseTransitions": record.transitions,
        },
    }


def _moment(value: object) -> datetime:
    return timestamp(value) or datetime.fromtimestamp(0, UTC)


def _micro_time(value: datetime) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
