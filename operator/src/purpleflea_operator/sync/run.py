"""One pass over all objects of one resource, in the catalogue's order: match, decide, act, remember.

It may be cut off anywhere and simply be run again: what was made carries our mark, and its id is saved before the next
object is made. No create is repeated: after no answer, the next pass looks first.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

from purpleflea_operator.datadog_api import errors
from purpleflea_operator.datadog_api.found import Found, Survey
from purpleflea_operator.datadog_api.lists import LOOKS
from purpleflea_operator.datadog_api.organisation import Organisation
from purpleflea_operator.model.observability_status import State
from purpleflea_operator.observability.objects import Body, Kind, Reference
from purpleflea_operator.sync import bodies, decisions, holdings, links
from purpleflea_operator.sync.bodies import Wanted
from purpleflea_operator.sync.goals import Goal
from purpleflea_operator.sync.marks import mark_of
from purpleflea_operator.sync.memory import Entry, Memory
from purpleflea_operator.sync.outcome import Outcome
from purpleflea_operator.sync.pruning import prune

logger = logging.getLogger(__name__)

FAILURES = 3
"""So many requests without an answer in one pass, and Datadog counts as away."""
UNSCOPED = "; log monitors need an application key without scopes"

Save = Callable[[], Awaitable[None]]


class Run:
    """One pass."""

    def __init__(self, organisation: Organisation, memory: Memory, goal: Goal, save: Save) -> None:
        self._organisation = organisation
        self._memory = memory
        self._goal = goal
        self._save = save
        self._survey = Survey()
        self._ids: dict[Reference, str] = {}
        self._found: dict[Reference, Found | None] = {}
        self.outcome = Outcome()

    async def perform(self) -> Outcome:
        """Bring Datadog closer to the goal.

        Raises:
            Throttled: Not before its time.
            Unreachable: Datadog is away.
        """
        kinds = {item.kind for item in self._goal.wanted} | {entry.kind for entry in self._memory}
        self._survey = await self._organisation.look(
            self._goal.scope, [kind for kind in LOOKS if kind in kinds]
        )
        for scanner in self._survey.of(Kind.SCANNER):
            self._ids[Reference(kind=Kind.SCANNER, key="organisation")] = scanner.id
        for wanted in self._goal.wanted:
            reference = wanted.definition.reference
            self._found[reference] = await self._match(wanted, self._memory.get(reference))
        await self._announce()
        for wanted in self._goal.wanted:
            await self._guarded(wanted)
        await prune(self._organisation, self._survey, self._memory, self._goal, self._found)
        return self.outcome

    async def _match(self, wanted: Wanted, entry: Entry | None) -> Found | None:
        """Which object is the wanted one; an id that no list shows is asked for."""
        found = holdings.match(wanted, self._survey, entry, self._goal.owners)
        if found is not None or entry is None or not entry.id or wanted.kind in self._survey.hidden:
            return found
        read = await self._organisation.read(wanted.kind, entry.id)
        if read is not None and holdings.resembles(wanted, read, self._goal.owners):
            return read
        return None

    async def _announce(self) -> None:
        """Write down what is about to be made, before it is."""
        new = False
        for wanted in self._goal.wanted:
            reference = wanted.definition.reference
            entry = self._memory.get(reference)
            if not self._will_make(wanted, entry):
                continue
            if entry is not None and entry.id and not self._goal.plans:
                self.outcome.remade.append(f"{wanted.kind}/{wanted.key}")
            if not self._goal.plans:
                new = True
                self._memory.put(Entry(kind=wanted.kind, key=wanted.key, state=State.CREATING))
        if new:
            self._memory.arrange(item.definition.reference for item in self._goal.wanted)
            await self._save()

    def _will_make(self, wanted: Wanted, entry: Entry | None) -> bool:
        if self._found[wanted.definition.reference] is not None:
            return False
        if wanted.kind in self._survey.hidden or wanted.kind is Kind.LOG_INDEX_ORDER:
            return False
        if wanted.kind is Kind.METRIC_TAGS and wanted.key not in self._survey.reporting:
            return False
        return entry is None or entry.state is not State.CREATING

    async def _guarded(self, wanted: Wanted) -> None:
        """One object; what Datadog refuses is remembered, and the others go on."""
        reference = wanted.definition.reference
        hidden = self._survey.hidden.get(wanted.kind)
        try:
            if hidden is not None:
                raise hidden
            await self._one(wanted)
        except errors.Unreachable as error:
            self._note(wanted, state=self._state(wanted, State.FAILED), last_error=str(error))
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

    def _state(self, wanted: Wanted, otherwise: State) -> State:
        """Creating stays so after no answer: it may have been made."""
        entry = self._memory.get(wanted.definition.reference)
        return State.CREATING if entry and entry.state is State.CREATING else otherwise

    async def _one(self, wanted: Wanted) -> None:
        missing = wanted.missing(self._ids)
        found = self._found[wanted.definition.reference]
        if missing and self._goal.plans and found is None:
            self._note(wanted, state=State.PLANNED, change="create")
            return
        if missing:
            names = ", ".join(f"{item.kind}/{item.key}" for item in missing)
            self._note(wanted, state=State.WAITING, last_error=f"waits for {names}")
            return
        body = wanted.body(self._ids, found)
        step = decisions.step(self._case(wanted, body, found))
        if isinstance(step, decisions.Read) and found is not None:
            read = await self._organisation.read(found.kind, found.id)
            found = replace(read, version=found.version) if read is not None else None
            step = decisions.step(self._case(wanted, body, found))
        await self._take(step, wanted, body, found)

    def _case(self, wanted: Wanted, body: Body, found: Found | None) -> decisions.Case:
        return decisions.Case(
            kind=wanted.kind,
            key=wanted.key,
            body=body,
            found=found,
            entry=self._memory.get(wanted.definition.reference),
            uid=self._goal.uid,
            keeps=self._goal.keeps,
            reports=wanted.key in self._survey.reporting,
        )

    async def _take(
        self, step: decisions.Step, wanted: Wanted, body: Body, found: Found | None
    ) -> None:
        match step:
            case decisions.Create() if self._goal.plans:
                self._note(wanted, state=State.PLANNED, change="create")
            case decisions.Create():
                await self._create(wanted, body)
            case decisions.Update(changes=changes) if found and self._goal.plans:
                self._note(wanted, found, state=State.PLANNED, change=f"update {changes}")
            case decisions.Update() if found:
                await self._update(wanted, body, found, step)
            case decisions.Leave(adopted=adopted) if found:
                self._right(wanted, body, found, adopted=adopted)
            case decisions.Keep(changes=changes) if found:
                digest = bodies.digest(wanted.kind, body)
                self._note(wanted, found, state=State.EDITED, change=changes, hash=digest)
            case decisions.Refuse(why=why):
                self._note(wanted, state=State.FAILED, last_error=why)
            case decisions.Wait(why=why):
                self._note(wanted, state=State.WAITING, last_error=why)

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
        twin = await self._organisation.read(Kind.MONITOR, error.identifier)
        if twin is None:
            raise errors.Unreachable("its duplicate is gone already") from error
        mark = mark_of(twin)
        if mark is not None and mark.uid not in self._goal.owners:
            raise errors.Refused(
                f"monitor {twin.id} is the same and belongs to the resource with uid {mark.uid};"
                " delete that, name its uid in spec.adoptFrom, or use another env"
            ) from error
        if mark is None or mark.uid != self._goal.uid:
            twin = await self._organisation.update(Kind.MONITOR, twin.id, body)
        self._right(wanted, body, twin, adopted=mark is None)

    async def _update(
        self, wanted: Wanted, body: Body, found: Found, step: decisions.Update
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
        entry = self._memory.get(wanted.definition.reference)
        adopted = entry is not None and entry.adopted
        self._right(wanted, body, replace(changed, id=found.id), adopted=adopted)

    def _right(self, wanted: Wanted, body: Body, found: Found, *, adopted: bool = False) -> None:
        digest = bodies.digest(wanted.kind, body)
        self._note(wanted, found, state=State.IN_SYNC, hash=digest, adopted=adopted)

    def _note(
        self, wanted: Wanted, found: Found | None = None, *, state: State, **fields: object
    ) -> None:
        """Remember; what is not said stays, but for errors and changes, which are over."""
        reference = wanted.definition.reference
        entry = self._memory.get(reference) or Entry(kind=wanted.kind, key=wanted.key, state=state)
        entry = replace(entry, state=state, change="", last_error="")
        if found is not None:
            entry = replace(
                entry,
                id=found.id,
                version=found.version or "",
                link=links.link(self._goal.page_url, found.kind, found.id),
            )
        self._memory.put(replace(entry, **fields))  # type: ignore[arg-type]


def _needs_unscoped(wanted: Wanted, error: errors.DatadogError) -> bool:
    return isinstance(error, errors.Forbidden) and wanted.definition.body.get("type") == "log alert"
