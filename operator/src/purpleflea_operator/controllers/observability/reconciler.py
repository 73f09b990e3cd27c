"""One pass over one PurpleFleaObservability: spec, finalizer, keys, Datadog, status. It joins the parts.

Each pass starts from the resource and a look at Datadog, so it may be cut off anywhere and simply be run again.
"""

from collections.abc import Callable, Collection, Iterator
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
from purpleflea_operator.controllers.observability.decisions.desired import DesiredState, goal
from purpleflea_operator.controllers.observability.decisions.parameters import api_url
from purpleflea_operator.controllers.observability.decisions.registry import (
    ObjectRegistry,
    remembered,
)
from purpleflea_operator.controllers.observability.decisions.shared_resources import neighbours
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
from purpleflea_operator.controllers.observability.resource_cache import Resource, ResourceCache
from purpleflea_operator.controllers.observability.status_writer import ResourceWriter
from purpleflea_operator.controllers.observability.sync import PassContext, SyncPass
from purpleflea_operator.datadog.client import errors
from purpleflea_operator.datadog.client.client import DatadogClient
from purpleflea_operator.datadog.client.transport import Keys
from purpleflea_operator.kube import errors as cluster_errors
from purpleflea_operator.kube.object_cache import NamespacedName
from purpleflea_operator.kube.protocol import KubeClient
from purpleflea_operator.runtime.workers import Result

EARLY = 0.9
"""A look that is delayed at random still comes within the resync period."""

Open = Callable[[str, Keys], DatadogClient]
"""Takes the base URL of the API and the keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenDatadog:
    """How Datadog is reached. Keys are sent to its own sites and to `urls`, to no others."""

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
        """Bring Datadog closer to what one resource says.

        Raises:
            ApiError: It is worth another try, not before the error's retry_after_s.
        """
        resource = self._resources.get(key)
        if resource is None:
            self._keys = {
                uid: keys for uid, keys in self._keys.items() if uid in self._resources.uids()
            }
            return Result()
        scribe = ResourceWriter(self._cluster, self._resources, resource, now=self._now)
        try:
            spec = ObservabilitySpec.model_validate(resource["spec"])
            wanted = goal(spec, scribe.uid, neighbours(self._others(key), spec))
            url = api_url(spec, self._access.urls)
        except ValueError as error:
            return await self._invalid(scribe, error)
        if scribe.deleted_s() is not None:
            return await self._end(scribe, spec, wanted, url)
        if spec.deletion_policy == "Retain":
            await scribe.hold(wanted=False)
        return await self._sync(scribe, spec, wanted, url)

    def _others(self, key: NamespacedName) -> Iterator[Resource]:
        for other in self._resources:
            resource = self._resources.get(other)
            if other != key and resource is not None:
                yield resource

    async def _invalid(self, scribe: ResourceWriter, error: ValueError) -> Result:
        if scribe.deleted_s() is not None:
            why = f"the spec is invalid: {_in_a_line(error)}"
            return await finalizer.end(scribe, _nowhere(why))
        halt = ConditionValue(status="False", reason=Reason.SPEC_INVALID, message=_in_a_line(error))
        await self._report(scribe, remembered(scribe.status), _standing(scribe, halt=halt))
        return Result()

    async def _end(
        self, scribe: ResourceWriter, spec: ObservabilitySpec, wanted: DesiredState, url: str
    ) -> Result:
        if spec.deletion_policy == "Retain":
            return await finalizer.retain(scribe, "spec.deletionPolicy is Retain")
        if spec.mode == "Plan":
            return await finalizer.retain(scribe, "spec.mode is Plan")

        async def connect() -> tuple[DatadogClient, DesiredState]:
            return await self._connect(scribe, spec, url), wanted

        return await finalizer.end(scribe, connect)

    async def _connect(
        self, scribe: ResourceWriter, spec: ObservabilitySpec, url: str
    ) -> DatadogClient:
        """The organisation, with keys that it accepts.

        Where a whole namespace is deleted, its Secret may go first: then the keys of the last pass serve.
        """
        try:
            keys = await read_keys(self._cluster, scribe.namespace, spec.keys_secret_ref)
        except KeysError:
            known = self._keys.get(scribe.uid)
            if known is None or scribe.deleted_s() is None:
                raise
            keys = known
        organisation = self._access.open(url, keys)
        try:
            await organisation.validate()
        except errors.Forbidden as error:
            raise KeysError(
                Reason.REJECTED, f"{url} refuses the keys ({error}): check spec.site and the Secret"
            ) from error
        self._keys[scribe.uid] = keys
        return organisation

    async def _sync(
        self, scribe: ResourceWriter, spec: ObservabilitySpec, wanted: DesiredState, url: str
    ) -> Result:
        memory = remembered(scribe.status)
        standing = _standing(scribe, wanted=len(wanted.wanted))
        try:
            organisation = await self._connect(scribe, spec, url)
            standing = replace(standing, keys=VALID)
            if spec.deletion_policy == "Delete" and spec.mode == "Manage":
                # Before anything is made, the resource may not go without us; while no key works, it may.
                await scribe.hold(wanted=True)

            async def save() -> None:
                await scribe.write(memory, standing)

            occasion = PassContext(now=self._now, turn=self._turn(scribe, spec))
            outcome = await SyncPass(organisation, memory, wanted, save, occasion).perform()
            standing = replace(standing, copies=tuple(outcome.copies))
            marking = DeploymentReporter(
                organisation.announcements, self._fleet, memory, now=self._now()
            )
            await marking.perform(spec, save)
            outcome.deployed += marking.turns
        except KeysError as error:
            keys = ConditionValue(status="False", reason=error.reason, message=str(error))
            halt = replace(keys, reason=Reason.KEYS_INVALID)
            await self._report(scribe, memory, replace(standing, keys=keys, halt=halt))
            return Result(requeue_after_s=timings.CREDENTIALS_RETRY_S)
        except errors.Throttled as error:
            halt = ConditionValue(status="False", reason=Reason.RATE_LIMITED, message=str(error))
            await self._report(scribe, memory, replace(standing, halt=halt))
            raise cluster_errors.Throttled(f"Datadog: {error}", error.reset_s) from error
        except errors.DatadogError as error:
            halt = ConditionValue(status="False", reason=Reason.UNREACHABLE, message=str(error))
            await self._report(scribe, memory, replace(standing, halt=halt))
            raise _again(str(error), memory) from error
        await self._report(scribe, memory, standing, outcome)
        if outcome.unanswered or outcome.pending:
            pending = [f"{name} may still be made" for name in outcome.pending]
            raise _again("; ".join([*outcome.unanswered, *pending]), memory)
        return Result(requeue_after_s=duration(spec.resync).total_seconds() * EARLY)

    def _turn(self, scribe: ResourceWriter, spec: ObservabilitySpec) -> int | None:
        """The number of this look; None for a look after the spec has changed."""
        if scribe.status.get("observedGeneration") != scribe.resource["metadata"].get("generation"):
            return None
        return int(self._now().timestamp() // duration(spec.resync).total_seconds())

    async def _report(
        self,
        scribe: ResourceWriter,
        memory: ObjectRegistry,
        standing: SyncState,
        outcome: PassResult | None = None,
    ) -> None:
        before = scribe.status
        await scribe.write(memory, standing)
        await scribe.tell(status.news(before, scribe.status, outcome))


def _nowhere(why: str) -> finalizer.Connect:
    async def connect() -> tuple[DatadogClient, DesiredState]:
        raise KeysError(Reason.SPEC_INVALID, why)

    return connect


def _standing(
    scribe: ResourceWriter, *, wanted: int = 0, halt: ConditionValue | None = None
) -> SyncState:
    generation = scribe.resource["metadata"].get("generation", 0)
    return SyncState(generation=generation, wanted=wanted, halt=halt)


def _again(why: str, memory: ObjectRegistry) -> cluster_errors.Unavailable:
    """Another try; where a create has no answer, not before it is surely done or lost."""
    is_pending = any(pending_creates.is_pending(entry) for entry in memory)
    return cluster_errors.Unavailable(
        f"Datadog: {why}", timings.LATE_CREATE.total_seconds() if is_pending else 0.0
    )


def _in_a_line(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return f"spec.{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return str(error)
