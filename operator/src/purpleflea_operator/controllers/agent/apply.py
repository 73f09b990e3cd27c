"""Performs the planned writes in sequence, each on its own, and puts the stored objects into the cache.

The only decisions here depend on responses of the API server: if the owner still exists, and if a name is free.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from purpleflea_operator import timings
from purpleflea_operator.api.reasons import Reason
from purpleflea_operator.controllers.agent import pod_deletion
from purpleflea_operator.controllers.agent.agent_memory import AgentMemory
from purpleflea_operator.controllers.agent.decisions import plan, preconditions, write_failures
from purpleflea_operator.controllers.agent.decisions.control import same_mode
from purpleflea_operator.controllers.agent.decisions.field_removal import may_remove_fields
from purpleflea_operator.controllers.agent.decisions.gather import is_owned
from purpleflea_operator.controllers.agent.decisions.observed_state import PassOutcome
from purpleflea_operator.controllers.agent.decisions.write_failures import WriteFailure
from purpleflea_operator.controllers.agent.mount_refresh import RefreshError
from purpleflea_operator.controllers.agent.volume_expansion import VolumeExpansion
from purpleflea_operator.controllers.agent.workload_writes import WorkloadWrites
from purpleflea_operator.kube import errors, managed_fields, resources
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache
from purpleflea_operator.kube.protocol import KubeClient
from purpleflea_operator.kube.resources import ObjectRef, ref_of
from purpleflea_operator.parsing import Manifest

logger = logging.getLogger(__name__)

MAX_CONFLICTS = 5
"""Attempts of one apply while only the status of the child changes."""
REFRESH_TARGET = "the annotation of the pods"


class OwnerGoneError(Exception):
    """The agent was deleted, and the cache has not received the deletion yet."""


class NameTakenError(Exception):
    """An object with the name of a child has another owner."""


class NotStoredError(Exception):
    """The API server, a webhook or another controller changes the written fields of a child."""

    def __init__(self, failure: WriteFailure) -> None:
        super().__init__(failure.text)
        self.failure = failure


class ControlWrites(Protocol):
    """The control lane, as the passes use it."""

    async def settle(self, key: NamespacedName) -> None:
        """Wait until the ConfigMap has the desired mode and the pods have the mount refresh annotation.

        Raises:
            ApiError: The ConfigMap could not be written.
            RefreshError: The ConfigMap is written, and a pod could not be annotated.
        """


@dataclass(slots=True, kw_only=True)
class ApplyContext:
    """The agent resource of one pass, and the results of the writes."""

    key: NamespacedName
    uid: str
    memory: AgentMemory
    outcome: PassOutcome
    workloads: WorkloadWrites
    is_new: bool = False
    """True if the agent has no status yet."""
    failures: list[WriteFailure] = field(default_factory=list)
    transient_errors: list[errors.Transient] = field(default_factory=list)
    """The errors because of which the pass is repeated."""
    unsettled: set[str] = field(default_factory=set)
    """The objects that are not stored as this pass wrote them."""
    recreation_wait_s: float | None = None
    """Seconds until the StatefulSet may be recreated; None if it need not be."""

    def retry_after_s(self) -> float | None:
        """Return the seconds until a write that is held back may be attempted; None if none is."""
        writes_s = self.memory.writes.retry_after_s(self.failures, self.unsettled, _now_s())
        waits = (writes_s, self.recreation_wait_s)
        return min((item for item in waits if item is not None), default=None)

    def record(self, target: str, error: Exception) -> None:
        """Record a failed write of `target`."""
        passes = 0
        if isinstance(error, errors.Transient):
            passes = self.memory.transient_failures.get(target, 0) + 1
            if error not in self.transient_errors:
                self.transient_errors.append(error)
        reason = Reason.NAME_TAKEN if isinstance(error, NameTakenError) else Reason.APPLY_FAILED
        self.failures.append(
            WriteFailure(target=target, text=str(error), reason=reason, transient_passes=passes)
        )


class Applier:
    """Performs actions with requests to the API server.

    A change of the mode and the mount refresh annotations are left to the control lane. The pass waits for them, so
    they precede all other writes. If the pass sent them itself, it could overwrite a newer mode after a long request.
    """

    def __init__(
        self,
        cluster: KubeClient,
        cache: ObjectCache,
        expansion: VolumeExpansion,
        control_writes: ControlWrites,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._cluster = cluster
        self._cache = cache
        self._expansion = expansion
        self._control = control_writes
        self._now = now

    async def perform(self, actions: Sequence[plan.Action], context: ApplyContext) -> None:
        """Perform all actions. A write that fails is recorded in the context, and the others are still attempted.

        Only a write that depends on the failed one is left out, see write_failures.depends_on.

        Raises:
            OwnerGoneError: The agent is deleted, so nothing may be created.
            Fenced: This replica must not write any more.
        """
        ends_at = _now_s() + timings.WRITES_LIMIT_S
        failed: list[plan.Action] = []
        if any(isinstance(action, plan.Create) for action in actions):
            owner = f"{resources.AGENT.kind} {context.key.name}"
            if not await self._attempt(owner, self._check_owner(context), context):
                failed = [action for action in actions if isinstance(action, plan.Create)]
                actions = [action for action in actions if action not in failed]
            context.memory.has_created = True
        for action in plan.without_repeats(actions):
            is_blocked = write_failures.depends_on(action, failed, context.outcome.children)
            if is_blocked or not await self._attempt_action(action, context, ends_at):
                failed.append(action)
        context.memory.transient_failures = {
            item.target: item.transient_passes for item in context.failures if item.transient_passes
        }
        context.memory.writes.keep_rejections({item.target for item in context.failures})

    async def _attempt_action(
        self, action: plan.Action, context: ApplyContext, ends_at: float
    ) -> bool:
        """Perform an action, unless it is too early to repeat it. Return whether it is done."""
        target, wanted = plan.target(action), plan.wanted(action)
        writes = context.memory.writes
        known = writes.rejected(target, wanted, _now_s())
        if known is not None:
            context.failures.append(known)
            return False
        if _now_s() >= ends_at:
            context.record(target, errors.Unavailable("requests take too long"))
            return False
        before = len(context.failures)
        is_done = await self._attempt(target, self._perform(action, context), context)
        for failure in context.failures[before:]:
            if failure.is_rejected:
                writes.record_rejected(target, wanted, failure, _now_s())
        return is_done

    async def _attempt(
        self, target: str, write: Coroutine[Any, Any, None], context: ApplyContext
    ) -> bool:
        """Await a write. Return False, and record the error, if the write failed."""
        try:
            await write
        except errors.Fenced:
            raise
        except NotStoredError as error:
            context.failures.append(error.failure)
            return False
        except RefreshError as error:
            context.record(REFRESH_TARGET, error.cause)
            # The ConfigMap is written, so no other write depends on this one.
            return True
        except (NameTakenError, errors.ApiError) as error:
            context.record(target, error)
            return False
        return True

    async def _check_owner(self, context: ApplyContext) -> None:
        """Check that the agent still exists before a child is created.

        The cache can receive the deletion of the children before that of the agent. Children that are created then
        would start pods of a deleted agent, until the garbage collector deletes them. This does not concern an agent
        that never had children, so a new agent costs no read.
        """
        if context.is_new and not context.memory.has_created:
            return
        key = context.key
        ref = ObjectRef(kind=resources.AGENT, namespace=key.namespace, name=key.name)
        metadata = (await self._cluster.get(ref) or {}).get("metadata", {})
        if metadata.get("uid") != context.uid or "deletionTimestamp" in metadata:
            raise OwnerGoneError

    async def _perform(self, action: plan.Action, context: ApplyContext) -> None:
        children = context.outcome.children
        match action:
            case plan.RefreshConfigMount():
                await self._control.settle(context.key)
            case plan.ExpandVolume():
                await self._expansion.perform(action, context.key, context.memory, context.outcome)
            case plan.Create(manifest=manifest):
                await self._create(manifest, context)
            case plan.Apply(manifest={"kind": "ConfigMap"} as manifest):
                await self._apply_config_map(manifest, context)
            case plan.Apply(manifest=manifest):
                await self._apply(manifest, context)
            case plan.Delete(manifest=manifest):
                await self._cluster.delete(ref_of(manifest), uid=manifest["metadata"]["uid"])
                self._cache.drop(resources.kind_of(manifest), manifest["metadata"]["uid"])
                children.pop(plan.child_id(manifest))
                _log("deleted", manifest)
            case plan.DeletePod(pod=old):
                await pod_deletion.delete_pod(self._cluster, context.key.namespace, old)
            case plan.RecreateOrphaning():
                await self._recreate(action, context)
            case plan.DelayRecreation(manifest=manifest, wait_s=wait_s):
                context.outcome.recreation_delay = (
                    f"StatefulSet {manifest['metadata']['name']} was recreated less than 10 minutes ago, so the "
                    "change of spec.storage applies to new volumes later; the agents keep running"
                )
                context.recreation_wait_s = wait_s

    async def _recreate(self, action: plan.RecreateOrphaning, context: ApplyContext) -> None:
        """Delete a StatefulSet without its pods. A later pass creates it."""
        live, uid = action.manifest, action.manifest["metadata"]["uid"]
        _check_contested(action.wanted, live, context)
        context.memory.recreated = live
        is_deleted = await self._cluster.delete(ref_of(live), uid=uid, orphan=True)
        context.memory.recreated_at = self._now()
        if is_deleted:
            self._cache.mark_deleted(resources.kind_of(live), uid)
        context.outcome.children.pop(plan.child_id(live))
        _log("deleted without its pods, to be created again", live)

    async def _create(self, manifest: Manifest, context: ApplyContext) -> None:
        """Create a child that the cache does not have, unless an object of another owner has its name."""
        try:
            with context.workloads.of(context.key, manifest):
                stored = await self._cluster.create(ref_of(manifest), manifest)
        except errors.AlreadyExists:
            await self._adopt(manifest, context)
            return
        _log("created", manifest)
        self._store_result(manifest, stored, context)

    async def _adopt(self, manifest: Manifest, context: ApplyContext) -> None:
        """Use an existing child that the cache does not have, such as one without its labels."""
        existing = await self._cluster.get(ref_of(manifest))
        if existing is None:
            raise errors.Conflict(f"{ref_of(manifest).name} was deleted during the pass")
        _check(existing, context)
        if preconditions.is_unlabelled(existing, manifest):
            labels, uid = manifest["metadata"]["labels"], existing["metadata"]["uid"]
            self._cache.put(await self._cluster.set_labels(ref_of(existing), labels, uid=uid))
            raise errors.Conflict(f"{ref_of(manifest).name} had lost its labels")
        self._store(existing, context)
        if manifest["kind"] == resources.CONFIG_MAP.kind:
            await self._apply_config_map(manifest, context)
        elif not plan.is_as_desired(manifest, existing):
            await self._apply(manifest, context)

    async def _apply_config_map(self, manifest: Manifest, context: ApplyContext) -> None:
        """Apply a ConfigMap. If the control file differs, the control lane does this.

        The resource version prevents that a late request overwrites a mode that the control lane has written meanwhile.
        """
        live = self._live(manifest, context)
        if not same_mode(live, manifest):
            await self._control.settle(context.key)
            live = self._live(manifest, context)
        context.outcome.children[plan.child_id(manifest)] = live
        if same_mode(live, manifest) and not plan.is_as_desired(manifest, live):
            version = live["metadata"]["resourceVersion"]
            metadata = {**manifest["metadata"], "resourceVersion": version}
            await self._apply({**manifest, "metadata": metadata}, context)

    def _live(self, manifest: Manifest, context: ApplyContext) -> Manifest:
        name = manifest["metadata"]["name"]
        for item in self._cache.owned(resources.CONFIG_MAP, context.key):
            if item["metadata"]["name"] == name and is_owned(item, context.uid):
                return item
        raise errors.Conflict(f"ConfigMap {name} was deleted during the pass")

    async def _apply(self, manifest: Manifest, context: ApplyContext) -> None:
        """Apply an existing child. If fields are removed that a POST created, their ownership is converted before.

        Raises:
            NotStoredError: The last writes of the same manifest did not last.
        """
        live, conflicts = context.outcome.children[plan.child_id(manifest)], 0
        _check_contested(manifest, live, context)
        while True:
            try:
                with context.workloads.of(context.key, manifest):
                    stored = await self._apply_over(live, manifest)
                break
            except errors.Conflict:
                newer, conflicts = await self._refresh(live), conflicts + 1
                # The status of a StatefulSet can change faster than the next pass starts.
                if conflicts == MAX_CONFLICTS or not preconditions.may_repeat(live, newer):
                    raise
                live = newer or live
        _log("applied", manifest)
        self._store_result(manifest, stored, context)

    async def _apply_over(self, live: Manifest, manifest: Manifest) -> Manifest:
        sent = preconditions.guarded(manifest, live)
        if managed_fields.needs_conversion(live) and may_remove_fields(manifest, live):
            sent = await self._convert(sent)
        return await self._cluster.apply(sent)

    def _store_result(self, manifest: Manifest, stored: Manifest, context: ApplyContext) -> None:
        """Keep the result of a write.

        Raises:
            NotStoredError: The same write would not last either.
        """
        self._store(stored, context)
        if not context.memory.writes.record_stored(manifest, stored, _now_s()):
            context.unsettled.add(" ".join(plan.child_id(manifest)))
            _check_contested(manifest, stored, context)

    async def _convert(self, manifest: Manifest) -> Manifest:
        """Convert the ownership of the fields of a child. Return the manifest to apply."""
        live = await self._cluster.get(ref_of(manifest))
        if live is None:
            raise errors.Conflict(f"{ref_of(manifest).name} was deleted during the pass")
        metadata = manifest["metadata"]
        expected = metadata.get("resourceVersion")
        if expected not in (None, live["metadata"]["resourceVersion"]):
            raise errors.Conflict(f"{ref_of(manifest).name} was changed during the pass")
        entries = managed_fields.converted(live["metadata"].get("managedFields", ()))
        live = await self._cluster.set_managed_fields(live, entries)
        version = {"resourceVersion": live["metadata"]["resourceVersion"]} if expected else {}
        return {**manifest, "metadata": {**metadata, **version}}

    def _store(self, stored: Manifest, context: ApplyContext) -> None:
        self._cache.put(stored)
        context.outcome.children[plan.child_id(stored)] = stored

    async def _refresh(self, cached: Manifest) -> Manifest | None:
        """Read a child after a conflict, so that the next attempt does not depend on the watch of its kind.

        If the child was deleted, the next attempt checks the owner and creates it.
        """
        stored, uid = await self._cluster.get(ref_of(cached)), cached["metadata"]["uid"]
        if stored is None or stored["metadata"]["uid"] != uid:
            self._cache.mark_deleted(resources.kind_of(cached), uid)
        if stored is not None:
            self._cache.put(stored)
        return stored


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _check_contested(manifest: Manifest, live: Manifest, context: ApplyContext) -> None:
    failure = context.memory.writes.contested(manifest, live, _now_s())
    if failure is not None:
        raise NotStoredError(failure)


def _check(existing: Manifest, context: ApplyContext) -> None:
    """Check that an object with the name of a child may be overwritten."""
    name = f"{existing['kind']} {existing['metadata']['name']}"
    if "deletionTimestamp" in existing["metadata"]:
        raise errors.Conflict(f"{name} is still being deleted")
    if is_owned(existing, context.uid):
        return
    owners = existing["metadata"].get("ownerReferences", [])
    agent = (resources.AGENT.kind, context.key.name)
    if any((item["kind"], item["name"]) == agent for item in owners):
        # The agent was deleted and recreated, and the garbage collector has not deleted the child yet.
        raise errors.Conflict(f"{name} of the deleted agent with the same name still exists")
    raise NameTakenError(
        f"{name} exists already and has another owner; "
        "recreate the agent under another name, or delete that object"
    )


def _log(message: str, manifest: Manifest) -> None:
    metadata, kind = manifest["metadata"], manifest["kind"]
    fields = {"namespace": metadata["namespace"], "object": metadata["name"], "kind": kind}
    logger.info(message, extra=fields)
