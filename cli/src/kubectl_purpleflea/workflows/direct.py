"""Halts agents without the operator: writes the control files and reads the acknowledgements from the agents.

It only tightens modes, names the version of each object that it replaces, and reports everything that it could not
prove. The operator keeps the result when it runs again, because the PurpleFleaHalt exists.
"""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from kubectl_purpleflea.decisions import control_files
from kubectl_purpleflea.decisions.control_files import Answer, Control, Write
from kubectl_purpleflea.decisions.failures import Failure
from kubectl_purpleflea.decisions.halts import Level
from kubectl_purpleflea.decisions.objects import (
    Manifest,
    at,
    id_of,
    mapping,
    name_of,
    namespace_of,
    text,
)
from kubectl_purpleflea.decisions.selectors import selects
from kubectl_purpleflea.kubectl.agents import AgentError, Agents
from kubectl_purpleflea.kubectl.client import Kubectl, KubectlError
from kubectl_purpleflea.kubectl.cluster import AGENTS, CHILDREN
from purpleflea_contract import routes

CONCURRENT = 8
"""Processes of kubectl at the same time."""
ATTEMPTS = 4
"""Writes of one ConfigMap that are rejected as outdated before it counts as unproven."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectState:
    """The effect of direct writes, as the agents report it."""

    matched: int = 0
    running: int = 0
    acknowledged: int = 0
    drained: int = 0
    first: str = ""
    last: str = ""
    unproven: tuple[str, ...] = ()
    """Agents and pods that may still trade, with the reason."""
    open: tuple[str, ...] = ()
    """Pods that are halted, and that have open work."""


@dataclass(slots=True, kw_only=True)
class DirectHalt:
    """One halt that is brought to the agents without the operator."""

    kubectl: Kubectl
    agents: Agents
    halt: dict[str, Any]
    _nudged: dict[str, str] = field(default_factory=dict)
    """Annotation values that were written, by UID of the pod."""

    def advance(self) -> DirectState:
        """Write what is missing, request the acknowledgements, and return the state.

        Raises:
            KubectlError: The agents, ConfigMaps or pods cannot be listed.
        """
        selected = self._selected()
        maps = {id_of(item): item for item in self._listed("configmaps", f"--selector={CHILDREN}")}
        pods = self._listed("pods")
        theirs = {id_of(item): control_files.pods_of(item, pods) for item in selected}
        # Without a ConfigMap and without pods, the operator starts the agent halted, because the halt exists.
        due = [item for item in selected if theirs[id_of(item)] or id_of(item) in maps]
        with ThreadPoolExecutor(CONCURRENT) as pool:
            written = list(pool.map(lambda item: self._write(item, maps.get(id_of(item))), due))
            found = [
                (pod, item.control)
                for item, agent in zip(written, due, strict=True)
                for pod in theirs[id_of(agent)]
            ]
            refused = [text for text in pool.map(lambda item: self._nudge(*item), found) if text]
            asked = [item for item in found if control_files.may_trade(item[0])]
            answers = list(pool.map(lambda item: self._answer(item[0]), asked))
        pairs = list(zip(asked, answers, strict=True))
        for (pod, control), item in pairs:
            # A kubelet can process the annotation before it receives the ConfigMap.
            if control_files.open_work(item, control, drained=False):
                self._nudged.pop(text(at(pod, "metadata", "uid")), None)
        problems = [
            f"{item.namespace}/{item.agent}: {item.problem}" for item in written if item.problem
        ]
        return _state(len(selected), pairs, [*problems, *refused])

    @property
    def _control(self) -> Control:
        spec = mapping(self.halt.get("spec"))
        mode = control_files.MODES[Level(spec["level"])]
        return Control(mode=mode, flatten=spec.get("flatten") is True)

    def _selected(self) -> list[dict[str, Any]]:
        selector = mapping(at(self.halt, "spec", "selector"))
        namespace = namespace_of(self.halt)
        return [item for item in self._listed(AGENTS) if selects(selector, namespace, item)]

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
                return item
            except KubectlError as error:
                problem = f"the mode is not written: {error}"
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
        uid = text(at(pod, "metadata", "uid"))
        if control_files.has_ended(pod) or self._nudged.get(uid) == control.nudge():
            return ""
        value = control_files.next_nudge(pod, control)
        there = self.kubectl.in_namespace(namespace_of(pod))
        note = f"{control_files.MODE_ANNOTATION}={value}"
        try:
            there.run("annotate", "pod", name_of(pod), note, "--overwrite")
        except KubectlError as error:
            if error.kind is Failure.NOT_FOUND:
                return ""
            return f"{id_of(pod)}: the mode may reach the agent a minute late: {error}"
        self._nudged[uid] = control.nudge()
        return ""

    def _answer(self, pod: Manifest) -> Answer:
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


Asked = tuple[Manifest, Control]
"""A pod that must acknowledge, and the control file that it must have."""


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
