"""Halts agents without the operator: writes the control files and reads the acknowledgements from the agents.

It only tightens modes, names the version of each object that it replaces, and reports everything that it could not
prove. The operator keeps the result when it runs again, because the PurpleFleaHalt exists.
"""

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from kubectl_purpleflea.decisions import control_files
from kubectl_purpleflea.decisions.control_files import Answer, Control, Write
from kubectl_purpleflea.decisions.failures import Failure, KubectlError
from kubectl_purpleflea.decisions.halts import Level, Progress
from kubectl_purpleflea.decisions.objects import (
    Manifest,
    at,
    id_of,
    mapping,
    name_of,
    namespace_of,
    uid_of,
)
from kubectl_purpleflea.decisions.selectors import selects
from kubectl_purpleflea.kubectl.agents import AgentError, Agents
from kubectl_purpleflea.kubectl.client import Kubectl
from kubectl_purpleflea.kubectl.cluster import AGENTS, CHILDREN, readable
from purpleflea_contract import control_file, routes

CONCURRENT = 8
"""Processes of kubectl at the same time."""
ATTEMPTS = 4
"""Writes of one ConfigMap that are rejected as outdated before it counts as unproven."""


Asked = tuple[Manifest, Control]
"""A pod that must acknowledge, and the control file that it must have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectState(Progress):
    """The effect of direct writes, as the agents report it."""

    unproven: tuple[str, ...] = ()
    """Agents and pods that may still trade, with the reason."""


@dataclass(slots=True, kw_only=True)
class DirectHalt:
    """One halt that is brought to the agents without the operator."""

    kubectl: Kubectl
    agents: Agents
    halt: dict[str, Any]
    _nudged: dict[str, str] = field(default_factory=dict)
    """Annotation values that were written, by UID of the pod."""
    _early: dict[str, frozenset[str]] = field(default_factory=dict)
    """By agent: UIDs of the pods that may exist since before its control file had the mode."""

    def advance(self) -> DirectState:
        """Write what is missing, request the acknowledgements, and return the state.

        The pods are listed after the writes, because a pod that is created later starts with the new file.

        Raises:
            KubectlError: The agents, ConfigMaps or pods cannot be listed.
        """
        selected = self._selected()
        with ThreadPoolExecutor(CONCURRENT) as pool:
            done, pods = self._written(selected, pool)
            found = [
                (pod, item.control)
                for item in done
                for pod in control_files.pods_of(item.namespace, item.agent, pods or [])
            ]
            nudges = list(pool.map(lambda item: self._nudge(*item), found))
            asked = [item for item in found if self._must_answer(item[0])]
            answers = list(pool.map(lambda item: self._answer(item[0]), asked))
        pairs = list(zip(asked, answers, strict=True))
        acknowledged = self._acknowledged(pairs)
        # A pod that has acknowledged did not need the annotation.
        late = [
            why
            for (pod, _), why in zip(found, nudges, strict=True)
            if why and id_of(pod) not in acknowledged
        ]
        problems = [
            f"{item.namespace}/{item.agent}: {item.problem}" for item in done if item.problem
        ]
        if pods is None:
            problems.append("you may not list pods, so no agent can be asked")
        state = _state(len(selected), pairs, [*problems, *late])
        if not state.unproven and pods is not None:
            return replace(state, unproven=self._changed(found, done))
        return state

    def _written(
        self, selected: Sequence[dict[str, Any]], pool: ThreadPoolExecutor
    ) -> tuple[list[Write], list[dict[str, Any]] | None]:
        """Write the control files. Return the writes and the pods after them; None if pods cannot be listed.

        Without a ConfigMap and without pods, the operator starts the agent halted, because the halt exists.
        """
        maps = self._config_maps()
        existing = [item for item in selected if maps is None or id_of(item) in maps]
        done = list(
            pool.map(lambda item: self._write(item, (maps or {}).get(id_of(item))), existing)
        )
        pods = self._pods()
        others = [
            item
            for item in selected
            if item not in existing
            and (pods is None or control_files.pods_of(namespace_of(item), name_of(item), pods))
        ]
        if others:
            done += pool.map(lambda item: self._write(item, None), others)
            pods = self._pods()
        for item in done:
            self._remember(item, pods or [])
        return done, pods

    def _remember(self, item: Write, pods: Sequence[Manifest]) -> None:
        """Record the pods that may have mounted an earlier control file."""
        key = f"{item.namespace}/{item.agent}"
        if item.is_sent or item.problem or key not in self._early:
            theirs = control_files.pods_of(item.namespace, item.agent, pods)
            self._early[key] = frozenset(uid_of(pod) for pod in theirs)

    def _must_answer(self, pod: Manifest) -> bool:
        return control_files.may_trade(pod) or self._starts_early(pod)

    def _starts_early(self, pod: Manifest) -> bool:
        is_early = any(uid_of(pod) in uids for uids in self._early.values())
        return is_early and control_files.is_starting(pod)

    def _acknowledged(self, pairs: Sequence[tuple[Asked, Answer]]) -> set[str]:
        """Return the pods that have acknowledged. The others get another annotation."""
        found = set()
        for (pod, control), item in pairs:
            if not control_files.open_work(item, control, drained=False):
                found.add(id_of(pod))
            else:
                # A kubelet can process the annotation before it receives the ConfigMap.
                self._nudged.pop(uid_of(pod), None)
        return found

    def _changed(self, found: Sequence[Asked], done: Sequence[Write]) -> tuple[str, ...]:
        """Return the pods that were replaced while they were asked, because another pod may have answered."""
        known, now = {uid_of(pod) for pod, _ in found}, self._pods() or []
        return tuple(
            f"{id_of(pod)}: it was created while the agents were asked"
            for item in done
            for pod in control_files.pods_of(item.namespace, item.agent, now)
            if uid_of(pod) not in known
        )

    @property
    def _control(self) -> Control:
        spec = mapping(self.halt.get("spec"))
        mode = control_files.MODES[Level(spec["level"])]
        return Control(mode=mode, flatten=spec.get("flatten") is True)

    def _selected(self) -> list[dict[str, Any]]:
        selector = mapping(at(self.halt, "spec", "selector"))
        namespace = namespace_of(self.halt)
        return [item for item in self._agents(selector) if selects(selector, namespace, item)]

    def _agents(self, selector: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the agents; without the right to list them, those that the halt names."""
        try:
            return self._listed(AGENTS)
        except KubectlError as error:
            names = selector.get("names") or []
            is_readable = bool(names) and selector.get("scope") != "Cluster"
            if error.kind is not Failure.FORBIDDEN or not is_readable:
                raise
        there = self.kubectl.in_namespace(namespace_of(self.halt))
        found = (there.find(AGENTS, name) for name in names)
        return [item for item in found if item is not None]

    def _config_maps(self) -> dict[str, dict[str, Any]] | None:
        """Return the ConfigMaps of agents; None if they cannot be listed, so that each one is read."""
        found = readable(lambda: self._listed("configmaps", f"--selector={CHILDREN}"), None)
        return None if found is None else {id_of(item): item for item in found}

    def _pods(self) -> list[dict[str, Any]] | None:
        return readable(lambda: self._listed("pods"), None)

    def _listed(self, kind: str, *flags: str) -> list[dict[str, Any]]:
        is_cluster = at(self.halt, "spec", "selector", "scope") == "Cluster"
        place = "--all-namespaces" if is_cluster else f"--namespace={namespace_of(self.halt)}"
        return self.kubectl.items(kind, place, *flags)

    def _write(self, agent: dict[str, Any], config_map: dict[str, Any] | None) -> Write:
        """Write the ConfigMap of an agent, again from the stored version after a conflict."""
        there = self.kubectl.in_namespace(namespace_of(agent))
        problem = ""
        for _ in range(ATTEMPTS):
            item = control_files.write(agent, config_map, self._control)
            if item.problem or (item.patch is None and item.create is None):
                return item
            try:
                _send(there, item)
                return replace(item, is_sent=True)
            except KubectlError as error:
                problem = f"the mode is not written: {error}"
                if error.kind is Failure.HUNG:
                    problem = f"it is unknown whether the mode is written: {error}"
                if error.kind not in (Failure.CONFLICT, Failure.ALREADY_EXISTS, Failure.NO_ANSWER):
                    break
            try:
                config_map = there.find("configmaps", name_of(agent))
            except KubectlError as error:
                problem = f"it is unknown whether the mode is written: {error}"
                break
        return Write(
            namespace=item.namespace, agent=item.agent, control=item.control, problem=problem
        )

    def _nudge(self, pod: Manifest, control: Control) -> str:
        """Annotate a pod, so that its kubelet reads the control file at once. Return why this failed, or nothing."""
        uid = uid_of(pod)
        if control_files.has_ended(pod) or self._nudged.get(uid) == control.nudge():
            return ""
        value = control_files.next_nudge(pod, control)
        there = self.kubectl.in_namespace(namespace_of(pod))
        note = f"{control_file.ANNOTATION}={value}"
        try:
            there.run("annotate", "pod", name_of(pod), note, "--overwrite")
        except KubectlError as error:
            if error.kind is Failure.NOT_FOUND:
                return ""
            return f"{id_of(pod)}: the mode may reach the agent a minute late: {error}"
        self._nudged[uid] = control.nudge()
        return ""

    def _answer(self, pod: Manifest) -> Answer:
        if not control_files.may_trade(pod):
            return Answer(
                error="it has not started, and may start with an earlier control file; wait, or delete the pod"
            )
        try:
            body = self.agents.read(namespace_of(pod), name_of(pod), routes.CONTROL.path)
        except AgentError as error:
            return Answer(error=str(error))
        return control_files.answer(body)


def _send(kubectl: Kubectl, item: Write) -> None:
    manager = "--field-manager=kubectl-purpleflea"
    if item.create is not None:
        body = json.dumps(item.create)
        kubectl.run("create", "--filename=-", "--validate=false", manager, stdin=body)
        return
    patch = f"--patch={json.dumps(item.patch)}"
    kubectl.run("patch", "configmap", item.agent, "--type=merge", patch, manager)


def _state(
    matched: int, answers: Sequence[tuple[Asked, Answer]], problems: Sequence[str]
) -> DirectState:
    unproven = [_line(pod, item, control, drained=False) for (pod, control), item in answers]
    left = [_line(pod, item, control, drained=True) for (pod, control), item in answers]
    pairs = list(zip(unproven, left, strict=True))
    times = sorted(item.since for (_, item), why in zip(answers, unproven, strict=True) if not why)
    return DirectState(
        matched=matched,
        running=len(answers),
        acknowledged=sum(not why for why in unproven),
        drained=sum(not why for why in left),
        first=times[0] if times else "",
        last=times[-1] if times else "",
        unproven=(*problems, *(why for why in unproven if why)),
        open=tuple(why for is_unproven, why in pairs if why and not is_unproven),
    )


def _line(pod: Manifest, item: Answer, control: Control, *, drained: bool) -> str:
    why = control_files.open_work(item, control, drained=drained)
    return f"{id_of(pod)}: {why}" if why else ""
