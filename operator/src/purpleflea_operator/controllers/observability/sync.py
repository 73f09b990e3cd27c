"""One pass over all objects of one resource, in the catalogue's order: decide, act, remember.

It may be cut off anywhere and simply be run again: what was made carries our mark, and its id is saved before the next
object is made. No create is repeated: after no answer, or after a pass that was cut off, it waits before it is tried
again, and a look comes first.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime

from purpleflea_operator.api.observability_status import State
from purpleflea_operator.controllers.observability import observation
from purpleflea_operator.controllers.observability.decisions import (
    actions,
    ownership,
    payloads,
    pending_creates,
    registry,
)
from purpleflea_operator.controllers.observability.decisions.desired import DesiredState
from purpleflea_operator.controllers.observability.decisions.ownership_tags import mark_of
from purpleflea_operator.controllers.observability.decisions.payloads import Wanted
from purpleflea_operator.controllers.observability.decisions.registry import (
    ObjectRecord,
    ObjectRegistry,
)
from purpleflea_operator.controllers.observability.decisions.status import PassResult
from purpleflea_operator.controllers.observability.observation import Observation
from purpleflea_operator.controllers.observability.pruning import Pruning
from purpleflea_operator.datadog.client import errors
from purpleflea_operator.datadog.client.client import DatadogClient
from purpleflea_operator.datadog.client.models import RemoteObject
from purpleflea_operator.datadog.definitions.objects import Body, ObjectKind, Reference

logger = logging.getLogger(__name__)

FAILURES = 3
"""So many requests without an answer in one pass, and Datadog counts as away."""
UNSCOPED = "; log monitors need an application key without scopes"

Save = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PassContext:
    """When a pass takes place. `turn`: see sight."""

    now: Callable[[], datetime]
    turn: int | None = None


class SyncPass:
    """One pass."""

    def __init__(
        self,
        organisation: DatadogClient,
        memory: ObjectRegistry,
        goal: DesiredState,
        save: Save,
        occasion: PassContext,
    ) -> None:
        self._organisation = organisation
        self._memory = memory
        self._goal = goal
        self._save = save
        self._occasion = occasion
        self._made = ownership.made(memory)
        self._sight = Observation()
        self._ids: dict[Reference, str] = {}
        self.outcome = PassResult()

    async def perform(self) -> PassResult:
        """Bring Datadog closer to the goal.

        Raises:
            Throttled: Not before its time.
            Unreachable: Datadog is away.
        """
        memory, goal = self._memory, self._goal
        self._sight = await observation.sight(self._organisation, memory, goal, self._occasion.turn)
        for scanner in self._sight.survey.of(ObjectKind.SCANNER):
            self._ids[Reference(kind=ObjectKind.SCANNER, key="organisation")] = scanner.id
        self._tell_what_is_gone()
        waiting = frozenset[Reference]()
        if not goal.plans:
            news, waiting = pending_creates.record_intent(
                memory, goal, self._sight, self._occasion.now()
            )
            self.outcome.pending += sorted(f"{one.kind}/{one.key}" for one in waiting)
            if news:
                await self._save()
        try:
            for wanted in goal.wanted:
                if wanted.definition.reference not in waiting:
                    await self._guarded(wanted)
        except errors.DatadogError:
            pending_creates.discard_intent(memory, waiting)
            raise
        pruning = Pruning(self._organisation, memory, goal, self._sight, self.outcome)
        await pruning.perform(self._made)
        return self.outcome

    def _tell_what_is_gone(self) -> None:
        """What was made and is there no more: some of it was deleted by hand, all of it was hardly."""
        if self._goal.plans:
            return
        gone = observation.all_gone(self._memory, self._goal, self._sight)
        self.outcome.vanished = [f"{entry.kind}/{entry.key} ({entry.id})" for entry in gone]
        for wanted in () if gone else self._goal.wanted:
            entry = self._memory.get(wanted.definition.reference)
            if entry is not None and entry.id and pending_creates.is_creatable(wanted, self._sight):
                self.outcome.remade.append(f"{wanted.kind}/{wanted.key}")

    async def _guarded(self, wanted: Wanted) -> None:
        """One object; what Datadog refuses is remembered, and the others go on."""
        reference = wanted.definition.reference
        hidden = self._sight.survey.hidden.get(wanted.kind) or self._sight.barred.get(reference)
        try:
            if hidden is not None:
                self._note(wanted, state=self._unless_open(wanted), last_error=str(hidden))
            elif reference not in self._sight.resting:
                await self._one(wanted)
        except errors.Unreachable as error:
            self._note(wanted, state=self._unless_open(wanted), last_error=str(error))
            self._date(reference)
            self.outcome.unanswered.append(f"{wanted.kind}/{wanted.key}: {error}")
            if len(self.outcome.unanswered) >= FAILURES:
                raise
        except errors.Throttled:
            raise
        except errors.DatadogError as error:
            text = f"{error}{UNSCOPED}" if _needs_unscoped(wanted, error) else str(error)
            self._note(wanted, state=State.FAILED, last_error=text)
        entry = self._memory.get(reference)
        if entry is not None and entry.id:
            self._ids[reference] = entry.id

    def _unless_open(self, wanted: Wanted) -> State:
        """Creating stays so after no answer: it may have been made."""
        entry = self._memory.get(wanted.definition.reference)
        return (
            State.CREATING
            if entry is not None and pending_creates.is_pending(entry)
            else State.FAILED
        )

    def _date(self, reference: Reference) -> None:
        """A create that had no answer is over by now, done or lost."""
        entry = self._memory.get(reference)
        if entry is not None and pending_creates.is_pending(entry):
            self._memory.put(pending_creates.dated(entry, self._occasion.now()))

    async def _one(self, wanted: Wanted) -> None:
        missing = wanted.missing(self._ids)
        found = self._sight.found[wanted.definition.reference]
        if missing and self._goal.plans and found is None:
            self._plan_to_make(wanted)
            return
        if missing:
            names = ", ".join(f"{item.kind}/{item.key}" for item in missing)
            self._note(wanted, state=State.WAITING, last_error=f"waits for {names}")
            return
        body = self._body(wanted, found)
        step = actions.step(self._case(wanted, body, found))
        if isinstance(step, actions.Read) and found is not None:
            read = await self._organisation.read(found.kind, found.id)
            found = replace(read, version=found.version) if read is not None else None
            step = actions.step(self._case(wanted, body, found))
        await self._take(step, wanted, body, found)

    def _body(self, wanted: Wanted, found: RemoteObject | None) -> Body:
        body = wanted.body(self._ids, was_there=self._was_there(wanted, found))
        if wanted.kind is ObjectKind.LOG_INDEX_ORDER and found is not None:
            return payloads.ordered(body, found, ownership.managed_indexes(self._sight.survey))
        return body

    def _was_there(self, wanted: Wanted, found: RemoteObject | None) -> bool:
        if found is None:
            return False
        is_shared = (
            wanted.kind is ObjectKind.METRIC_TAGS and wanted.key in self._goal.neighbours.made
        )
        entry = self._memory.get(wanted.definition.reference)
        return actions.was_there(found, entry, is_shared=is_shared)

    def _case(self, wanted: Wanted, body: Body, found: RemoteObject | None) -> actions.Case:
        return actions.Case(
            kind=wanted.kind,
            key=wanted.key,
            body=body,
            found=found,
            entry=self._memory.get(wanted.definition.reference),
            owners=self._goal.owners,
            keeps=self._goal.keeps,
            reports=wanted.key in self._sight.survey.reporting,
        )

    async def _take(
        self, step: actions.Step, wanted: Wanted, body: Body, found: RemoteObject | None
    ) -> None:
        match step:
            case actions.Create() if self._goal.plans:
                self._plan_to_make(wanted)
            case actions.Create():
                await self._create(wanted, body)
            case actions.Update(changes=changes) if found and self._goal.plans:
                self._note(wanted, found, state=State.PLANNED, change=f"update {changes}")
            case actions.Update() if found:
                await self._update(wanted, body, found, step)
            case actions.Leave() if found:
                self._right(wanted, body, found, adopted=self._was_there(wanted, found))
            case actions.Keep(changes=changes) if found:
                self._note(
                    wanted,
                    found,
                    state=State.EDITED,
                    change=changes,
                    hash=payloads.digest(wanted.kind, body),
                    adopted=self._was_there(wanted, found),
                )
            case actions.Refuse(why=why):
                self._note(wanted, state=State.FAILED, last_error=why)
            case actions.Wait(why=why):
                self._note(wanted, state=State.WAITING, last_error=why)

    def _plan_to_make(self, wanted: Wanted) -> None:
        """It is not there: were its id kept, each look would ask for it again."""
        self._memory.put(
            ObjectRecord(kind=wanted.kind, key=wanted.key, state=State.PLANNED, change="create")
        )

    async def _create(self, wanted: Wanted, body: Body) -> None:
        try:
            made = await self._organisation.create(wanted.kind, body)
        except errors.Duplicate as error:
            await self._adopt(wanted, body, error)
        else:
            logger.info("made", extra={"object": f"{wanted.kind}/{wanted.key}", "id": made.id})
            self._right(wanted, body, made)
        await self._save()

    async def _adopt(self, wanted: Wanted, body: Body, error: errors.Duplicate) -> None:
        """Take over a monitor that is the same, unless it is of another resource."""
        twin = await self._organisation.read(ObjectKind.MONITOR, error.identifier)
        if twin is None:
            raise errors.Unreachable("its duplicate is gone already") from error
        mark = mark_of(twin)
        if mark is not None and mark.uid not in self._goal.owners:
            raise errors.Refused(
                f"monitor {twin.id} is the same and belongs to the resource with uid {mark.uid};"
                " delete that, name its uid in spec.adoptFrom, or use another env"
            ) from error
        was_there = mark is None or mark.adopted
        if was_there:
            body = wanted.body(self._ids, was_there=True)
        if mark is None or mark.uid != self._goal.uid:
            twin = await self._organisation.update(ObjectKind.MONITOR, twin.id, body)
        self._right(wanted, body, twin, adopted=was_there)

    async def _update(
        self, wanted: Wanted, body: Body, found: RemoteObject, step: actions.Update
    ) -> None:
        try:
            changed = await self._organisation.update(wanted.kind, found.id, body)
        except errors.NotFound:
            await self._create(wanted, body)
            return
        name = f"{wanted.kind}/{wanted.key}"
        logger.info("changed", extra={"object": name, "id": found.id, "fields": step.changes})
        if step.by_hand:
            self.outcome.restored.append(f"{name} ({step.changes})")
        adopted = self._was_there(wanted, found)
        self._right(wanted, body, replace(changed, id=found.id), adopted=adopted)

    def _right(
        self, wanted: Wanted, body: Body, found: RemoteObject, *, adopted: bool = False
    ) -> None:
        self._note(
            wanted,
            found,
            state=State.IN_SYNC,
            hash=payloads.digest(wanted.kind, body),
            adopted=adopted,
            unlisted=False,
            since="",
        )

    def _note(
        self, wanted: Wanted, found: RemoteObject | None = None, *, state: State, **fields: object
    ) -> None:
        """Remember; what is not said stays, but for errors and changes, which are over."""
        reference = wanted.definition.reference
        entry = self._memory.get(reference) or ObjectRecord(
            kind=wanted.kind, key=wanted.key, state=state
        )
        entry = replace(entry, state=state, change="", last_error="")
        if found is not None:
            entry = replace(
                entry,
                id=found.id,
                version=found.version or "",
                link=registry.link(self._goal.page_url, found.kind, found.id),
            )
        self._memory.put(replace(entry, **fields))  # type: ignore[arg-type]


def _needs_unscoped(wanted: Wanted, error: errors.DatadogError) -> bool:
    return isinstance(error, errors.Forbidden) and wanted.definition.body.get("type") == "log alert"
