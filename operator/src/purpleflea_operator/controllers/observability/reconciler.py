"""One pass over one PurpleFleaObservability: spec, finalizer, keys, Datadog, status. It connects the other modules.

Each pass starts from the resource and the objects in Datadog, so it can be interrupted at any point and run again.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from pydantic import ValidationError

from purpleflea_contract.quantities import duration
from purpleflea_operator import timings
from purpleflea_operator.api.observability import ObservabilitySpec
from purpleflea_operator.api.reasons import Reason
from purpleflea_operator.controllers.observability import finalizer
from purpleflea_operator.controllers.observability.credentials import KeysError, read_keys
from purpleflea_operator.controllers.observability.decisions import pending_creates, status
from purpleflea_operator.controllers.observability.decisions.desired import (
    DesiredState,
    desired_state,
)
from purpleflea_operator.controllers.observability.decisions.parameters import api_url
from purpleflea_operator.controllers.observability.decisions.registry import (
    ObjectRegistry,
    registry_from_status,
)
from purpleflea_operator.controllers.observability.decisions.shared_resources import (
    living_owners,
    shared_resources,
)
from purpleflea_operator.controllers.observability.decisions.status import (
    VALID,
    ConditionValue,
    PassResult,
    SyncState,
)
from purpleflea_operator.controllers.observability.deployment_reporter import (
    DeploymentReporter,
    Fleet,
    NoFleet,
)
from purpleflea_operator.controllers.observability.downtime_reporter import DowntimeReporter
from purpleflea_operator.controllers.observability.resource_cache import Resource, ResourceCache
from purpleflea_operator.controllers.observability.status_writer import ResourceWriter
from purpleflea_operator.controllers.observability.sync import PassContext, SyncPass
from purpleflea_operator.datadog.client import errors
from purpleflea_operator.datadog.client.client import DatadogClient
from purpleflea_operator.datadog.client.transport import Keys
from purpleflea_operator.kube import errors as kube_errors
from purpleflea_operator.kube.object_cache import NamespacedName
from purpleflea_operator.kube.protocol import KubeClient
from purpleflea_operator.runtime.workers import Result

Open = Callable[[str, Keys], DatadogClient]
"""Returns a client for the base URL of the API and the keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenDatadog:
    """Opens clients. Keys are sent only to Datadog's own sites and to `urls`."""

    open: Open
    urls: Collection[str] = ()


class ObservabilityReconciler:
    """Keeps Datadog in sync with the PurpleFleaObservability resources of one cluster."""

    def __init__(
        self,
        cluster: KubeClient,
        resources: ResourceCache,
        access: OpenDatadog,
        *,
        now: Callable[[], datetime],
        fleet: Fleet | None = None,
    ) -> None:
        self._fleet = fleet or NoFleet()
        self._access = access
        self._cluster = cluster
        self._resources = resources
        self._now = now
        self._keys: dict[str, Keys] = {}

    async def reconcile(self, key: NamespacedName) -> Result:
        """Bring Datadog closer to the spec of one resource.

        Raises:
            ApiError: The pass should be retried, after the error's retry_after_s at the earliest.
        """
        resource = self._resources.get(key)
        if resource is None:
            self._keys = {
                uid: keys for uid, keys in self._keys.items() if uid in self._resources.uids()
            }
            return Result()
        writer = ResourceWriter(self._cluster, self._resources, resource, now=self._now)
        try:
            spec = ObservabilitySpec.model_validate(resource["spec"])
            living = living_owners(self._others(key), spec)
            # The objects of a living resource are its own, also while this one is being deleted.
            formers = tuple(uid for uid in spec.adopt_from if uid not in living)
            spec = spec.model_copy(update={"adopt_from": formers})
            desired = desired_state(spec, writer.uid, shared_resources(self._others(key), spec))
            url = api_url(spec, self._access.urls)
        except ValueError as error:
            return await self._report_invalid(writer, error)
        if writer.deleting_s() is not None:
            return await self._finalize(writer, spec, desired, url)
        if living:
            return await self._report_living(writer, living)
        if spec.deletion_policy == "Retain":
            await writer.set_finalizer(present=False)
        return await self._sync(writer, spec, desired, url)

    def _others(self, key: NamespacedName) -> Iterator[Resource]:
        for other in self._resources:
            resource = self._resources.get(other)
            if other != key and resource is not None:
                yield resource

    async def _report_invalid(self, writer: ResourceWriter, error: ValueError) -> Result:
        message = _one_line(error)
        if writer.deleting_s() is not None:
            return await finalizer.finalize(writer, _failing(f"the spec is invalid: {message}"))
        sync_state = SyncState(generation=writer.generation)
        sync_state = _interrupted(sync_state, Reason.SPEC_INVALID, message)
        await self._report(writer, registry_from_status(writer.status), sync_state)
        return Result()

    async def _report_living(self, writer: ResourceWriter, living: Mapping[str, str]) -> Result:
        """Report that nothing is synchronized, because resources whose objects would be taken over still exist."""
        named = ", ".join(f"{name} ({uid})" for uid, name in sorted(living.items()))
        message = (
            f"spec.adoptFrom names a PurpleFleaObservability that still exists: {named}; delete it with "
            "deletionPolicy Retain, or remove its uid from spec.adoptFrom"
        )
        sync_state = SyncState(generation=writer.generation)
        sync_state = _interrupted(sync_state, Reason.OWNER_EXISTS, message)
        await self._report(writer, registry_from_status(writer.status), sync_state)
        return Result()

    async def _finalize(
        self, writer: ResourceWriter, spec: ObservabilitySpec, desired: DesiredState, url: str
    ) -> Result:
        if spec.deletion_policy == "Retain":
            return await finalizer.release(writer, "spec.deletionPolicy is Retain")
        if spec.mode == "Plan":
            return await finalizer.release(writer, "spec.mode is Plan")

        async def connect() -> tuple[DatadogClient, DesiredState]:
            return await self._connect(writer, spec, url), desired

        return await finalizer.finalize(writer, connect)

    async def _connect(
        self, writer: ResourceWriter, spec: ObservabilitySpec, url: str
    ) -> DatadogClient:
        """Return a client with keys that Datadog accepts.

        If a whole namespace is deleted, the Secret may be deleted first. Then the keys of the last pass are used.
        """
        try:
            keys = await read_keys(self._cluster, writer.namespace, spec.keys_secret_ref)
        except KeysError:
            last_keys = self._keys.get(writer.uid)
            if last_keys is None or writer.deleting_s() is None:
                raise
            keys = last_keys
        datadog = self._access.open(url, keys)
        try:
            await datadog.validate()
        except errors.DatadogForbidden as error:
            raise KeysError(
                Reason.REJECTED,
                f"{url} rejected the keys ({error}); check spec.site and the Secret",
            ) from error
        self._keys[writer.uid] = keys
        return datadog

    async def _sync(
        self, writer: ResourceWriter, spec: ObservabilitySpec, desired: DesiredState, url: str
    ) -> Result:
        registry = registry_from_status(writer.status)
        sync_state = SyncState(generation=writer.generation, wanted=len(desired.objects))
        try:
            datadog = await self._connect(writer, spec, url)
            sync_state = replace(sync_state, keys=VALID)
            if spec.deletion_policy == "Delete" and spec.mode == "Manage":
                # It must be set before an object is created. Without working keys it would only delay a deletion.
                await writer.set_finalizer(present=True)
            sequence = self._sequence(writer, spec)
            context = PassContext(now=self._now, sync_state=sync_state, sequence=sequence)
            pass_result = await SyncPass(datadog, registry, desired, writer, context).run()
            sync_state = replace(sync_state, copies=tuple(pass_result.copies))
            events = datadog.deployment_events
            reporter = DeploymentReporter(events, self._fleet, registry, now=self._now())
            await reporter.run(spec, writer, sync_state)
            pass_result.deployment_events += reporter.events
            downtime_reporter = DowntimeReporter(
                datadog.downtimes, self._fleet, registry, now=self._now()
            )
            await downtime_reporter.run(spec, writer, sync_state)
        except KeysError as error:
            keys = ConditionValue(status="False", reason=error.reason, message=str(error))
            sync_state = _interrupted(sync_state, Reason.KEYS_INVALID, str(error))
            await self._report(writer, registry, replace(sync_state, keys=keys))
            return Result(requeue_after_s=timings.CREDENTIALS_RETRY_S)
        except errors.DatadogThrottled as error:
            message = f"the rate limit of Datadog is exceeded ({error}); retrying after its reset"
            sync_state = _interrupted(sync_state, Reason.RATE_LIMITED, message)
            await self._report(writer, registry, sync_state)
            raise kube_errors.Throttled(f"Datadog: {error}", error.reset_s) from error
        except errors.DatadogError as error:
            message = f"a request to Datadog failed ({error}); retrying"
            sync_state = _interrupted(sync_state, Reason.UNREACHABLE, message)
            await self._report(writer, registry, sync_state)
            raise _retry(str(error), registry) from error
        await self._report(writer, registry, sync_state, pass_result)
        if pass_result.unanswered or pass_result.pending:
            pending = [f"{name} may still be created" for name in pass_result.pending]
            raise _retry("; ".join([*pass_result.unanswered, *pending]), registry)
        return Result(
            requeue_after_s=duration(spec.resync).total_seconds() * timings.RESYNC_FRACTION
        )

    def _sequence(self, writer: ResourceWriter, spec: ObservabilitySpec) -> int | None:
        """Return the number of this pass, None for the first pass after a change of the spec."""
        if writer.status.get("observedGeneration") != writer.resource["metadata"].get("generation"):
            return None
        return int(self._now().timestamp() // duration(spec.resync).total_seconds())

    async def _report(
        self,
        writer: ResourceWriter,
        registry: ObjectRegistry,
        sync_state: SyncState,
        pass_result: PassResult | None = None,
    ) -> None:
        previous = writer.status
        await writer.patch_status(registry, sync_state)
        await writer.emit_events(status.events(previous, writer.status, pass_result))


def _failing(cause: str) -> finalizer.Connect:
    async def connect() -> tuple[DatadogClient, DesiredState]:
        raise KeysError(Reason.SPEC_INVALID, cause)

    return connect


def _interrupted(sync_state: SyncState, reason: Reason, message: str) -> SyncState:
    interruption = ConditionValue(status="False", reason=reason, message=message)
    return replace(sync_state, interruption=interruption)


def _retry(cause: str, registry: ObjectRegistry) -> kube_errors.Unavailable:
    """Return the error that retries the pass, after LATE_CREATE if a create had no response."""
    is_pending = any(pending_creates.is_pending(record) for record in registry)
    return kube_errors.Unavailable(
        f"Datadog: {cause}", timings.LATE_CREATE.total_seconds() if is_pending else 0.0
    )


def _one_line(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return f"spec.{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return str(error)
