"""One pass over all objects of one resource, in the sequence of the catalog: observe, decide, write, record.

A pass can be interrupted at any point and run again, because created objects have ownership tags and the id of each
object is saved before the next one is created. A create is never repeated blindly. If it had no response, or its pass
was interrupted, the operator waits and lists the objects before it tries again.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from purpleflea_operator.api.observability_status import ObjectState
from purpleflea_operator.controllers.observability.decisions import (
    actions,
    ownership,
    payloads,
    pending_creates,
)
from purpleflea_operator.controllers.observability.decisions.desired import DesiredState
from purpleflea_operator.controllers.observability.decisions.observation import (
    Observation,
    missing_records,
    observe,
)
from purpleflea_operator.controllers.observability.decisions.ownership_tags import ownership_tag
from purpleflea_operator.controllers.observability.decisions.payloads import DesiredObject
from purpleflea_operator.controllers.observability.decisions.registry import (
    ObjectRecord,
    ObjectRegistry,
    web_url,
)
from purpleflea_operator.controllers.observability.decisions.status import PassResult, SyncState
from purpleflea_operator.controllers.observability.pruning import Pruning
from purpleflea_operator.controllers.observability.status_writer import ResourceWriter
from purpleflea_operator.datadog.client import errors
from purpleflea_operator.datadog.client.client import DatadogClient
from purpleflea_operator.datadog.client.listing import LIST_CALLS
from purpleflea_operator.datadog.client.models import RemoteObject
from purpleflea_operator.datadog.definitions.objects import Body, ObjectKind, Reference

logger = logging.getLogger(__name__)

MAX_FAILURES = 3
"""After this many requests without an answer in one pass, Datadog counts as unreachable."""
UNSCOPED = "; log monitors require an application key without scopes"


@dataclass(frozen=True, slots=True, kw_only=True)
class PassContext:
    """Time of a pass, and the state that it writes to the status whenever it saves the registry.

    `sequence` is the number of the pass; see `observe`.
    """

    now: Callable[[], datetime]
    sync_state: SyncState
    sequence: int | None = None


class SyncPass:
    """One pass."""

    def __init__(
        self,
        datadog: DatadogClient,
        registry: ObjectRegistry,
        desired: DesiredState,
        writer: ResourceWriter,
        context: PassContext,
    ) -> None:
        self._datadog = datadog
        self._registry = registry
        self._desired = desired
        self._writer = writer
        self._context = context
        self._created = ownership.created_objects(registry)
        self._former = {record.reference: record for record in registry}
        """Records when the pass began, before it recorded the intents of its creates."""
        self._observation = Observation()
        self._ids: dict[Reference, str] = {}
        self._result = PassResult()

    async def run(self) -> PassResult:
        """Bring Datadog closer to the desired state.

        Raises:
            Throttled: The rate limit is exceeded.
            Unreachable: Datadog did not answer.
        """
        registry, desired = self._registry, self._desired
        await self._observe()
        self._report_missing()
        waiting = frozenset[Reference]()
        if not desired.is_plan:
            has_new, waiting = pending_creates.record_intent(
                registry, desired, self._observation, self._context.now()
            )
            self._result.pending += sorted(f"{item.kind}/{item.key}" for item in waiting)
            if has_new:
                await self._save()
        try:
            for item in desired.objects:
                if item.definition.reference not in waiting:
                    await self._try(item)
        except errors.DatadogError:
            pending_creates.discard_intent(registry, waiting)
            raise
        pruning = Pruning(self._datadog, registry, desired, self._observation, self._result)
        await pruning.run(self._created)
        return self._result

    async def _save(self) -> None:
        await self._writer.patch_status(self._registry, self._context.sync_state)

    async def _observe(self) -> None:
        """List the objects in Datadog, and update the records of the objects that are listed or read."""
        registry, desired = self._registry, self._desired
        kinds = {item.kind for item in desired.objects} | {record.kind for record in registry}
        inventory = await self._datadog.list_objects(
            desired.list_filter, [kind for kind in LIST_CALLS if kind in kinds]
        )
        self._observation = observe(inventory, registry, desired, self._context.sequence)
        registry.update(self._observation.records)
        for item, record in self._observation.to_read:
            await self._read(item, record)
        for scanner in inventory.of(ObjectKind.SCANNER):
            self._ids[Reference(kind=ObjectKind.SCANNER, key="organisation")] = scanner.id

    async def _read(self, desired: DesiredObject, record: ObjectRecord) -> None:
        """Read a recorded object by its id, because no list shows it."""
        reference = record.reference
        try:
            remote = await self._datadog.read(desired.kind, record.id)
        except (errors.DatadogForbidden, errors.Refused) as error:
            self._observation.unreadable[reference] = error
            self._registry.put(replace(record, unlisted=True))
            return
        if remote is not None and ownership.resembles(desired, remote, self._desired.owners):
            self._observation.remote[reference] = remote
            self._registry.put(replace(record, unlisted=True))

    def _report_missing(self) -> None:
        """Report recorded objects that do not exist any more.

        If all of them are missing, manual deletion is unlikely, so they are reported separately.
        """
        if self._desired.is_plan:
            return
        missing = missing_records(self._registry, self._desired, self._observation)
        self._result.missing = [record.name for record in missing]
        for item in () if missing else self._desired.objects:
            record = self._registry.get(item.definition.reference)
            if record and record.id and pending_creates.is_creatable(item, self._observation):
                self._result.recreated.append(f"{item.kind}/{item.key}")

    async def _try(self, desired: DesiredObject) -> None:
        """Sync one object. If Datadog refuses it, record the error, so that the pass continues with the others."""
        reference = desired.definition.reference
        observation = self._observation
        error = observation.inventory.hidden.get(desired.kind) or observation.unreadable.get(
            reference
        )
        try:
            if error is not None:
                self._record(desired, state=self._failed_state(desired), last_error=str(error))
            elif reference not in observation.not_checked:
                await self._sync(desired)
        except errors.Unreachable as unreachable:
            state = self._failed_state(desired)
            self._record(desired, state=state, last_error=str(unreachable))
            self._set_since(reference)
            self._result.unanswered.append(f"{desired.kind}/{desired.key}: {unreachable}")
            if len(self._result.unanswered) >= MAX_FAILURES:
                raise
        except errors.DatadogThrottled:
            raise
        except errors.DatadogError as refusal:
            text = f"{refusal}{UNSCOPED}" if _needs_unscoped_key(desired, refusal) else str(refusal)
            self._record(desired, state=ObjectState.FAILED, last_error=text)
        record = self._registry.get(reference)
        if record is not None and record.id:
            self._ids[reference] = record.id

    def _failed_state(self, desired: DesiredObject) -> ObjectState:
        """Return the state after an error. A pending create stays Creating, because it may have taken effect."""
        record = self._registry.get(desired.definition.reference)
        return (
            ObjectState.CREATING
            if record is not None and pending_creates.is_pending(record)
            else ObjectState.FAILED
        )

    def _set_since(self, reference: Reference) -> None:
        """Record the end of a create that had no response."""
        record = self._registry.get(reference)
        if record is not None and pending_creates.is_pending(record):
            self._registry.put(pending_creates.with_since(record, self._context.now()))

    async def _sync(self, desired: DesiredObject) -> None:
        missing = desired.missing(self._ids)
        remote = self._observation.remote[desired.definition.reference]
        if missing and self._desired.is_plan and remote is None:
            self._plan_create(desired)
            return
        if missing:
            names = ", ".join(f"{item.kind}/{item.key}" for item in missing)
            self._record(desired, state=ObjectState.WAITING, last_error=f"waiting for {names}")
            return
        body = self._body(desired, remote)
        action = actions.next_action(self._case(desired, body, remote))
        if isinstance(action, actions.ReadStep) and remote is not None:
            read = await self._datadog.read(remote.kind, remote.id)
            remote = replace(read, version=remote.version) if read is not None else None
            action = actions.next_action(self._case(desired, body, remote))
        await self._execute(action, desired, body, remote)

    def _body(self, desired: DesiredObject, remote: RemoteObject | None) -> Body:
        body = desired.body(self._ids, adopted=self._existed_before(desired, remote))
        if desired.kind is ObjectKind.LOG_INDEX_ORDER and remote is not None:
            managed = ownership.managed_indexes(self._observation.inventory)
            return payloads.index_order(body, remote, managed)
        return body

    def _existed_before(self, desired: DesiredObject, remote: RemoteObject | None) -> bool:
        if remote is None:
            return False
        is_shared = (
            desired.kind is ObjectKind.METRIC_TAGS and desired.key in self._desired.shared.created
        )
        record = self._registry.get(desired.definition.reference)
        return actions.existed_before(remote, record, is_shared=is_shared)

    def _case(
        self, desired: DesiredObject, body: Body, remote: RemoteObject | None
    ) -> actions.Case:
        return actions.Case(
            kind=desired.kind,
            key=desired.key,
            body=body,
            remote=remote,
            record=self._registry.get(desired.definition.reference),
            owners=self._desired.owners,
            keeps_edits=self._desired.keeps_edits,
            has_reported=desired.key in self._observation.inventory.reporting,
        )

    async def _execute(
        self,
        action: actions.Action,
        desired: DesiredObject,
        body: Body,
        remote: RemoteObject | None,
    ) -> None:
        match action:
            case actions.CreateStep() if self._desired.is_plan:
                self._plan_create(desired)
            case actions.CreateStep():
                await self._create(desired, body)
            case actions.UpdateStep(changes=changes) if remote and self._desired.is_plan:
                self._record(desired, remote, state=ObjectState.PLANNED, change=f"update {changes}")
            case actions.UpdateStep() if remote:
                await self._update(desired, body, remote, action)
            case actions.LeaveStep() if remote:
                adopted = self._existed_before(desired, remote)
                self._mark_in_sync(desired, body, remote, adopted=adopted)
            case actions.KeepStep(changes=changes) if remote:
                self._record(
                    desired,
                    remote,
                    state=ObjectState.EDITED,
                    change=changes,
                    hash=payloads.digest(desired.kind, body),
                    adopted=self._existed_before(desired, remote),
                )
            case actions.RefuseStep(message=message):
                self._record(desired, state=ObjectState.FAILED, last_error=message)
            case actions.WaitStep(message=message):
                self._record(desired, state=ObjectState.WAITING, last_error=message)

    def _plan_create(self, desired: DesiredObject) -> None:
        """Record a planned create without the former id, because each pass would read the object by that id."""
        self._registry.put(
            ObjectRecord(
                kind=desired.kind, key=desired.key, state=ObjectState.PLANNED, change="create"
            )
        )

    async def _create(self, desired: DesiredObject, body: Body) -> None:
        try:
            created = await self._datadog.create(desired.kind, body)
        except errors.Duplicate as error:
            await self._adopt(desired, body, error)
        except errors.Conflict as error:
            await self._sync_conflicting(desired, body, error)
        else:
            name = f"{desired.kind}/{desired.key}"
            logger.info("created object", extra={"object": name, "id": created.id})
            self._mark_in_sync(desired, body, created)
        await self._save()

    async def _sync_conflicting(
        self, desired: DesiredObject, body: Body, error: errors.Conflict
    ) -> None:
        """Sync a metric configuration that exists although the list omits it. Its former record proves its origin."""
        if desired.kind is not ObjectKind.METRIC_TAGS:
            raise error
        reference = desired.definition.reference
        remote = await self._datadog.read(desired.kind, desired.key)
        if remote is None:
            # A configuration that was just deleted causes a conflict for some time, so the next pass tries again.
            self._record(desired, state=ObjectState.CREATING, last_error=str(error))
            self._set_since(reference)
            self._result.pending.append(f"{desired.kind}/{desired.key}")
            return
        record = pending_creates.known_record(self._former.get(reference), desired, remote)
        self._observation.remote[reference] = remote
        self._registry.put(record)
        action = actions.next_action(self._case(desired, body, remote))
        await self._execute(action, desired, body, remote)

    async def _adopt(self, desired: DesiredObject, body: Body, error: errors.Duplicate) -> None:
        """Adopt an identical monitor, unless it belongs to another resource."""
        twin = await self._datadog.read(ObjectKind.MONITOR, error.identifier)
        if twin is None:
            raise errors.Unreachable("the duplicate monitor no longer exists") from error
        tag = ownership_tag(twin)
        if tag is not None and tag.uid not in self._desired.owners:
            raise errors.Refused(
                f"monitor {twin.id} is identical and belongs to the resource with uid {tag.uid};"
                " delete that resource, name its uid in spec.adoptFrom, or use another spec.env"
            ) from error
        adopted = tag is None or tag.adopted
        if adopted:
            body = desired.body(self._ids, adopted=True)
        if tag is None or tag.uid != self._desired.uid:
            twin = await self._datadog.update(ObjectKind.MONITOR, twin.id, body)
        self._mark_in_sync(desired, body, twin, adopted=adopted)

    async def _update(
        self, desired: DesiredObject, body: Body, remote: RemoteObject, action: actions.UpdateStep
    ) -> None:
        try:
            complete = payloads.with_kept_fields(desired.kind, body, remote)
            updated = await self._datadog.update(desired.kind, remote.id, complete)
        except errors.DatadogNotFound:
            await self._create(desired, body)
            return
        name = f"{desired.kind}/{desired.key}"
        fields = {"object": name, "id": remote.id, "fields": action.changes}
        logger.info("updated object", extra=fields)
        if action.is_manual_edit:
            self._result.reverted.append(f"{name} ({action.changes})")
        adopted = self._existed_before(desired, remote)
        self._mark_in_sync(desired, body, replace(updated, id=remote.id), adopted=adopted)

    def _mark_in_sync(
        self, desired: DesiredObject, body: Body, remote: RemoteObject, *, adopted: bool = False
    ) -> None:
        record = self._registry.get(desired.definition.reference)
        self._record(
            desired,
            remote,
            state=ObjectState.IN_SYNC,
            hash=payloads.digest(desired.kind, body),
            adopted=adopted,
            # Other objects are listed again as soon as their ownership tags are written.
            unlisted=desired.kind is ObjectKind.METRIC_TAGS and bool(record and record.unlisted),
            since="",
            change=payloads.kept_fields_text(desired.kind, remote),
        )

    def _record(
        self,
        desired: DesiredObject,
        remote: RemoteObject | None = None,
        *,
        state: ObjectState,
        **fields: object,
    ) -> None:
        """Update the record of an object. Fields keep their value, except the former change and error."""
        reference = desired.definition.reference
        record = self._registry.get(reference) or ObjectRecord(
            kind=desired.kind, key=desired.key, state=state
        )
        record = replace(record, state=state, change="", last_error="")
        if remote is not None:
            record = replace(
                record,
                id=remote.id,
                version=remote.version or "",
                link=web_url(self._desired.page_url, remote.kind, remote.id),
            )
        self._registry.put(replace(record, **fields))  # type: ignore[arg-type]


def _needs_unscoped_key(desired: DesiredObject, error: errors.DatadogError) -> bool:
    is_log_monitor = desired.definition.body.get("type") == "log alert"
    return isinstance(error, errors.DatadogForbidden) and is_log_monitor
