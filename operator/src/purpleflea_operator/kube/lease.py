"""The Lease by which replicas of the operator agree who works: its content, and how it is read and written.

It decides nothing (runtime.election does). Writes carry the resource version they follow on, so that of two who take
the lease at once exactly one does.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from purpleflea_operator.kube.resources import ObjectRef, ResourceKind
from purpleflea_operator.parsing import Manifest, count, moment, table, text

LONGEST_S = 300
"""The longest lease of the settings. Another writer could otherwise keep every replica waiting for decades."""

LEASE = ResourceKind(
    api_version="coordination.k8s.io/v1", kind="Lease", plural="leases", labelled=False
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRecord:
    """What a Lease says. Records are equal when they say the same, whatever their version."""

    holder: str
    duration_s: int
    acquired_at: datetime
    renewed_at: datetime
    transitions: int = 0
    version: str = field(default="", compare=False)


class LeaseStore(Protocol):
    """Where the record is kept. Every call may raise `cluster.errors.ApiError`."""

    async def read(self) -> LeaseRecord | None:
        """The record; None where nobody ever wrote one."""

    async def write(self, record: LeaseRecord) -> LeaseRecord:
        """Write the first record (without a version), or the one that follows on `record.version`.

        Raises:
            Conflict: Somebody else was faster.
        """


class Objects(Protocol):
    """The requests that keeping a Lease takes."""

    async def get(self, ref: ObjectRef) -> Manifest | None:
        """Read one object; None where it does not exist."""

    async def create(self, ref: ObjectRef, manifest: Manifest) -> Manifest:
        """Make an object; Conflict where it exists."""

    async def replace(self, ref: ObjectRef, manifest: Manifest) -> Manifest:
        """Replace exactly the version that the manifest names; Conflict where it is not the newest."""


class LeaseClient:
    """The record as a Lease of the cluster."""

    def __init__(self, objects: Objects, *, namespace: str, name: str) -> None:
        self._objects = objects
        self._ref = ObjectRef(kind=LEASE, namespace=namespace, name=name)

    async def read(self) -> LeaseRecord | None:
        """The record; None where the Lease does not exist."""
        found = await self._objects.get(self._ref)
        return None if found is None else lease_record(found)

    async def write(self, record: LeaseRecord) -> LeaseRecord:
        """Make the Lease, or replace the version that `record` follows on."""
        body = lease_manifest(record, self._ref)
        if record.version:
            return lease_record(await self._objects.replace(self._ref, body))
        return lease_record(await self._objects.create(self._ref, body))


def lease_record(manifest: Manifest) -> LeaseRecord:
    """The record in a Lease; what somebody left out counts as long ago."""
    spec = table(manifest.get("spec"))
    return LeaseRecord(
        holder=text(spec.get("holderIdentity")),
        duration_s=min(count(spec.get("leaseDurationSeconds")) or 1, LONGEST_S),
        acquired_at=_moment(spec.get("acquireTime")),
        renewed_at=_moment(spec.get("renewTime")),
        transitions=count(spec.get("leaseTransitions")),
        version=manifest["metadata"]["resourceVersion"],
    )


def lease_manifest(record: LeaseRecord, ref: ObjectRef) -> dict[str, Any]:
    """The Lease that says what `record` says."""
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
    return moment(value) or datetime.fromtimestamp(0, UTC)


def _micro_time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
