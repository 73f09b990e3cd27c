"""Performs the planned writes in sequence, each on its own, and puts the stored objects into the cache.

The only decisions here depend on responses of the API server: if the owner still exists, and if a name is free. The
module also contains the writes to pods: the annotation that refreshes the control file, and deletions. The operator
never creates a pod, and deletes a pod with an owner only if its StatefulSet cannot replace it.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from purpleflea_operator import timings
from purpleflea_operator.api.reasons import Reason
from purpleflea_operator.controllers.agent.agent_memory import AgentMemory
from purpleflea_operator.controllers.agent.decisions import plan, write_failures
from purpleflea_operator.controllers.agent.decisions.control import same_mode
from purpleflea_operator.controllers.agent.decisions.field_removal import may_remove_fields
from purpleflea_operator.controllers.agent.decisions.gather import is_owned
from purpleflea_operator.controllers.agent.decisions.observed_state import (
    CONTROL_ANNOTATION,
    AgentPod,
    PassOutcome,
    pod,
)
from purpleflea_operator.controllers.agent.decisions.plan import RefreshConfigMount
from purpleflea_operator.controllers.agent.decisions.write_failures import WriteFailure
from purpleflea_operator.controllers.agent.volume_expansion import VolumeExpansion
from purpleflea_operator.kube import errors, managed_fields, resources
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache
from purpleflea_operator.kube.protocol import KubeClient
from purpleflea_operator.kube.resources import ObjectRef, ref_of
from purpleflea_operator.parsing import Manifest

logger = logging.getLogger(__name__)

GUARDED_KINDS = (resources.STATEFUL_SET.kind, resources.NETWORK_POLICY.kind)
"""Children that are applied only over the version that the pass has seen."""
CONCURRENT_NUDGES = 16
"""Concurrent annotations of one agent, because a request to halt must not be sent to the pods one by one."""

REFRESH_TARGET = "the annotation of the pods"


class OwnerGoneError(Exception):
    """The agent was deleted, and the cache has not received the deletion yet."""


class NameTakenError(Exception):
    """An object with the name of a child has another owner."""


class RefreshError(Exception):
    """The ConfigMap has the desired mode, but a pod could not be annotated. `cause` is the error of that request."""

    def __init__(self, cause: errors.Transient) -> None:
        super().__init__(str(cause))
        self.cause = cause


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
    is_new: bool = False
    """True if the agent has no status yet."""
    failures: list[WriteFailure] = field(default_factory=list)
    transient_errors: list[errors.Transient] = field(default_factory=list)
    """The errors because of which the pass is repeated."""

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
    ) -> None:
        self._cluster = cluster
        self._cache = cache
        self._expansion = expansion
        self._control = control_writes

    async def perform(self, actions: Sequence[plan.Action], context: ApplyContext) -> None:
        """Perform all actions. A write that fails is recorded in the context, and the others are still attempted.

        Only a write that depends on the failed one is left out, see write_failures.depends_on.

        Raises:
            OwnerGoneError: The agent is deleted, so nothing may be created.
            Fenced: This replica must not write any more.
        """
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + timings.WRITES_LIMIT_S
        if any(isinstance(action, plan.Create) for action in actions):
            owner = f"{resources.AGENT.kind} {context.key.name}"
            if not await self._attempt(owner, self._check_owner(context), context):
                actions = [action for action in actions if not isinstance(action, plan.Create)]
            context.memory.has_created = True
        failed: list[plan.Action] = []
        for action in _without_repeats(actions):
            if write_failures.depends_on(action, failed, context.outcome.children):
                failed.append(action)
            elif loop.time() >= ends_at:
                context.record(plan.target(action), errors.Unavailable("requests take too long"))
                failed.append(action)
            elif not await self._attempt(
                plan.target(action), self._perform(action, context), context
            ):
                failed.append(action)
        context.memory.transient_failures = {
            item.target: item.transient_passes for item in context.failures if item.transient_passes
        }

    async def _attempt(
        self, target: str, write: Coroutine[Any, Any, None], context: ApplyContext
    ) -> bool:
        """Await a write. Return False, and record the error, if the write failed."""
        try:
            await write
        except errors.Fenced:
            raise
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
        stored = await self._cluster.get(ref)
        metadata = {} if stored is None else stored["metadata"]
        if metadata.get("uid") != context.uid or "deletionTimestamp" in metadata:
            raise OwnerGoneError

    async def _perform(self, action: plan.Action, context: ApplyContext) -> None:
        children = context.outcome.children
        match action:
            case plan.RefreshConfigMount():
                await self._control.settle(context.key)
            case plan.ExpandVolume():
                error = await self._expansion.expand(action, context.key.namespace, context.memory)
                context.outcome.expansion_error = context.outcome.expansion_error or error
                if not context.outcome.expansion_error:
                    context.memory.expansion = None
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
                await delete_pod(self._cluster, context.key.namespace, old)
            case plan.RecreateOrphaning(manifest=manifest):
                uid = manifest["metadata"]["uid"]
                context.memory.recreated = manifest
                if await self._cluster.delete(ref_of(manifest), uid=uid, orphan=True):
                    self._cache.mark_deleted(resources.kind_of(manifest), uid)
                children.pop(plan.child_id(manifest))
                _log("deleted without its pods, to be created again", manifest)

    async def _create(self, manifest: Manifest, context: ApplyContext) -> None:
        """Create a child that the cache does not have, unless an object of another owner has its name."""
        try:
            stored = await self._cluster.create(ref_of(manifest), manifest)
        except errors.AlreadyExists:
            await self._adopt(manifest, context)
            return
        self._store(stored, context)
        _log("created", manifest)

    async def _adopt(self, manifest: Manifest, context: ApplyContext) -> None:
        """Use an existing child that the cache has not received yet."""
        existing = await self._cluster.get(ref_of(manifest))
        if existing is None:
            raise errors.Conflict(
                f"{' '.join(plan.child_id(manifest))} was deleted during the pass"
            )
        _check(existing, context)
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
        """Apply an existing child. If fields are removed that a POST created, their ownership is converted before."""
        live = context.outcome.children[plan.child_id(manifest)]
        manifest = _guarded(manifest, live)
        try:
            if managed_fields.needs_conversion(live) and may_remove_fields(manifest, live):
                manifest = await self._convert(manifest)
            self._store(await self._cluster.apply(manifest), context)
        except errors.Conflict:
            await self._refresh(manifest)
            raise
        _log("applied", manifest)

    async def _convert(self, manifest: Manifest) -> Manifest:
        """Convert the ownership of the fields of a child. Return the manifest to apply."""
        live = await self._cluster.get(ref_of(manifest))
        if live is None:
            raise errors.Conflict(
                f"{' '.join(plan.child_id(manifest))} was deleted during the pass"
            )
        metadata = manifest["metadata"]
        expected = metadata.get("resourceVersion")
        if expected not in (None, live["metadata"]["resourceVersion"]):
            raise errors.Conflict(
                f"{' '.join(plan.child_id(manifest))} was changed during the pass"
            )
        entries = managed_fields.converted(live["metadata"].get("managedFields", ()))
        live = await self._cluster.set_managed_fields(live, entries)
        version = {"resourceVersion": live["metadata"]["resourceVersion"]} if expected else {}
        return {**manifest, "metadata": {**metadata, **version}}

    def _store(self, stored: Manifest, context: ApplyContext) -> None:
        self._cache.put(stored)
        context.outcome.children[plan.child_id(stored)] = stored

    async def _refresh(self, manifest: Manifest) -> None:
        """Read a child after a conflict, so that the next attempt does not depend on the watch of its kind."""
        stored = await self._cluster.get(ref_of(manifest))
        if stored is not None:
            self._cache.put(stored)


def _guarded(manifest: Manifest, live: Manifest) -> Manifest:
    """Return the manifest with the version of the live child that this pass has seen, if an older write could harm.

    An admission webhook can hold a write until another replica leads and has applied a newer spec. Without the version,
    the held write would then delete pods or change their traffic.
    """
    if manifest["kind"] not in GUARDED_KINDS:
        return manifest
    version = live["metadata"]["resourceVersion"]
    return {**manifest, "metadata": {**manifest["metadata"], "resourceVersion": version}}


def _without_repeats(actions: Iterable[plan.Action]) -> Iterator[plan.Action]:
    """Yield the actions, and only the first nudge, because the control lane sends all of them."""
    is_nudged = False
    for action in actions:
        is_nudge = isinstance(action, plan.RefreshConfigMount)
        if not (is_nudge and is_nudged):
            yield action
        is_nudged = is_nudged or is_nudge


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


def _ignore(_: Manifest) -> None:
    """Do nothing."""


async def refresh_config_mount(
    cluster: KubeClient,
    namespace: str,
    actions: Sequence[RefreshConfigMount],
    *,
    on_stored: Callable[[Manifest], object] = _ignore,
) -> None:
    """Annotate pods, so that their kubelets refresh the mounted control file; pods that are gone are skipped.

    `on_stored` receives each pod as stored.
    """
    limit = asyncio.Semaphore(CONCURRENT_NUDGES)

    async def annotate(action: RefreshConfigMount) -> None:
        ref = ObjectRef(kind=resources.POD, namespace=namespace, name=action.pod.name)
        async with limit:
            try:
                on_stored(await cluster.annotate(ref, {CONTROL_ANNOTATION: action.nudge}))
            except errors.NotFound:
                return
        logger.info("nudged", extra={"pod": action.pod.name, "mode": action.nudge})

    for result in await asyncio.gather(*map(annotate, actions), return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


async def delete_orphans(cluster: KubeClient, cache: ObjectCache, key: NamespacedName) -> None:
    """Delete the pods of a deleted agent that have no owner.

    While a StatefulSet is recreated, its pods have no owner. If the agent is deleted at that moment, the garbage
    collector does not delete them.
    """
    pods = [pod(item) for item in cache.owned(resources.POD, key)]
    orphans = [item for item in pods if not item.is_controlled and not item.deleting]
    agent = ObjectRef(kind=resources.AGENT, namespace=key.namespace, name=key.name)
    if not orphans or await cluster.get(agent) is not None:
        return
    for item in orphans:
        await delete_pod(cluster, key.namespace, item)


async def delete_pod(cluster: KubeClient, namespace: str, item: AgentPod) -> None:
    """Delete exactly this pod, with its UID as precondition."""
    ref = ObjectRef(kind=resources.POD, namespace=namespace, name=item.name)
    await cluster.delete(ref, uid=item.uid)
    logger.info("pod deleted", extra={"namespace": namespace, "pod": item.name})
