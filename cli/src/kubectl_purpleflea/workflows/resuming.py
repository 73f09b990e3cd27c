"""Resumes agents: deletes PurpleFleaHalts, and waits until the agents have taken the mode that then applies.

A mode is never loosened without the operator, because only the operator reads every request that applies to an agent.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kubectl_purpleflea.decisions.failures import Failure, KubectlError, explained
from kubectl_purpleflea.decisions.objects import (
    Manifest,
    annotations_of,
    at,
    condition,
    id_of,
    mapping,
    name_of,
    namespace_of,
    text,
    uid_of,
)
from kubectl_purpleflea.decisions.selectors import selects
from kubectl_purpleflea.kubectl.client import Kubectl
from kubectl_purpleflea.kubectl.cluster import (
    AGENTS,
    CHILDREN,
    HALTS,
    context_namespace,
    lacks_namespace,
    readable,
)
from kubectl_purpleflea.workflows.halting import operator_is_down
from purpleflea_contract import kubernetes

ROUND_S = 1.0
LAST_READ_S = 30.0
"""Seconds after the deadline in which the last read must end."""
_UNKNOWN = "it is unknown whether the halt is deleted"
Report = Callable[[str], None]


class SelectionError(Exception):
    """The halts to delete cannot be determined. The text is the reason and the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """The result of a resume."""

    deleted: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    """Agents that other halts or their spec keep from trading."""
    unproven: tuple[str, ...] = ()
    """Halts that may exist, and agents that have not resumed, with the reason."""
    is_changed: bool = False
    """Whether a halt was changed, or may have been."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Left:
    """Why it is not proven that a halt is deleted."""

    problem: str
    is_changed: bool = True
    """Whether the halt was changed, or may have been."""
    hangs: bool = False
    """Whether kubectl did not end, so that it would hang for the next halt too."""


def chosen(
    kubectl: Kubectl, names: Sequence[str], labels: str, *, everything: bool
) -> list[dict[str, Any]]:
    """Return the halts that the arguments of the command name.

    Raises:
        SelectionError: A name is not a halt.
        KubectlError: The halts cannot be read.
    """
    flags = (f"--selector={labels}",) if labels else ()
    halts = {name_of(item): item for item in kubectl.items(HALTS, *flags)}
    if everything or labels:
        return list(halts.values())
    missing = [name for name in names if name not in halts]
    if missing:
        raise SelectionError(_explained(kubectl, missing[0]))
    return [halts[name] for name in dict.fromkeys(names)]


def nothing_found(kubectl: Kubectl) -> str:
    """Return why no halt is selected."""
    namespace = context_namespace(kubectl)
    if lacks_namespace(kubectl, namespace):
        return f"namespace {namespace} does not exist; list all: kubectl get namespaces"
    return f"no PurpleFleaHalt in namespace {namespace} is selected; list all: kubectl get pfh -A"


def _explained(kubectl: Kubectl, name: str) -> str:
    """Return why a name is not a halt, and the command if it is an agent."""
    try:
        agent = kubectl.find(AGENTS, name)
    except KubectlError:
        agent = None
    halts = at(agent, "status", "trading", "halts") or ()
    if halts:
        command = (
            f"kubectl purpleflea resume {' '.join(str(item).partition('/')[2] for item in halts)}"
        )
        return (
            f"{name} is an agent; it is halted by {', '.join(map(str, halts))}. A halt can select more agents. To end "
            f"the halt: {command}"
        )
    return f"PurpleFleaHalt {name} does not exist; list all: kubectl get pfh -A"


def resume(
    kubectl: Kubectl, halts: Sequence[dict[str, Any]], *, force: bool, deadline: float
) -> Resumed:
    """Delete the halts, and wait until no agent reports them."""
    deleted: list[str] = []
    left: dict[str, _Left] = {}
    for item in halts:
        if any(former.hangs for former in left.values()):
            found: _Left | None = _Left(
                problem="kubectl hangs, so no request was sent", is_changed=False
            )
        else:
            found = _delete(kubectl.in_namespace(namespace_of(item)), item, force=force)
        if found is None:
            deleted.append(id_of(item))
        else:
            left[id_of(item)] = found
    limited = kubectl.until(max(deadline, time.monotonic()) + LAST_READ_S)
    waiting, held = _wait(limited, halts, set(deleted), deadline) if deleted else ([], [])
    return Resumed(
        deleted=tuple(deleted),
        held=tuple(held),
        unproven=(*(f"{name}: {item.problem}" for name, item in left.items()), *waiting),
        is_changed=bool(deleted) or any(item.is_changed for item in left.values()),
    )


def _delete(kubectl: Kubectl, halt: dict[str, Any], *, force: bool) -> _Left | None:
    """Delete a halt. Return why this is not proven, or nothing."""
    name, is_forced = name_of(halt), False
    try:
        if force:
            _force(kubectl, halt)
            is_forced = True
        _send_delete(kubectl, halt)
    except KubectlError as error:
        if error.kind is Failure.CONFLICT:
            text = "another halt with this name was created meanwhile, and stays"
            return _Left(problem=text, is_changed=False)
        if error.kind is Failure.HUNG:
            return _Left(problem=f"{_UNKNOWN}: {explained(error)}", hangs=True)
        if error.kind is not Failure.NOT_FOUND and not error.is_ambiguous:
            return _Left(problem=_refusal(error), is_changed=is_forced)
    try:
        found = kubectl.find(HALTS, name)
    except KubectlError as error:
        return _Left(problem=f"{_UNKNOWN}: {explained(error)}", hangs=error.kind is Failure.HUNG)
    if found is None or at(found, "metadata", "uid") != at(halt, "metadata", "uid"):
        return None
    if at(found, "metadata", "deletionTimestamp"):
        finalizers = ", ".join(map(str, at(found, "metadata", "finalizers") or ()))
        return _Left(problem=f"the halt is being deleted, and waits for {finalizers}")
    return _Left(problem="the halt still exists; run the command again")


def _refusal(error: KubectlError) -> str:
    is_draining = "drained" in str(error)
    return f"{error}. To resume although agents drain: --force" if is_draining else explained(error)


def _force(kubectl: Kubectl, halt: dict[str, Any]) -> None:
    """Request the end of a halt although agents drain. A halt that was recreated with the name is not changed."""
    annotations = {kubernetes.ANNOTATION_FORCE_RESUME: "true"}
    patch = {"metadata": {"uid": uid_of(halt), "annotations": annotations}}
    kubectl.run("patch", HALTS, name_of(halt), "--type=merge", f"--patch={json.dumps(patch)}")


def _send_delete(kubectl: Kubectl, halt: dict[str, Any]) -> None:
    """Delete a halt by its UID. `kubectl delete` names only the object, so the request is sent as it is."""
    group, _, version = kubernetes.API_VERSION.partition("/")
    plural = HALTS.partition(".")[0]
    path = f"/apis/{group}/{version}/namespaces/{namespace_of(halt)}/{plural}/{name_of(halt)}"
    options = {"preconditions": {"uid": uid_of(halt)}}
    kubectl.run("delete", f"--raw={path}", "--filename=-", stdin=json.dumps(options))


def _wait(
    kubectl: Kubectl, halts: Sequence[dict[str, Any]], deleted: set[str], deadline: float
) -> tuple[list[str], list[str]]:
    """Return the agents that have not resumed at the deadline, and those that something else halts."""
    is_cluster = any(at(item, "spec", "selector", "scope") == "Cluster" for item in halts)
    place = ("--all-namespaces",) if is_cluster else ()
    waiting, held = ["the agents were not read"], list[str]()
    while True:
        try:
            agents = kubectl.items(AGENTS, *place)
            maps = readable(lambda: _config_maps(kubectl, place), None)
            is_led = maps is not None or operator_is_down(kubectl, "", datetime.now(UTC)) is False
            waiting = [
                line
                for item in agents
                if (
                    line := _waits_for(item, deleted)
                    or _is_kept(item, halts, maps, deleted, is_led=is_led)
                )
            ]
            held = [line for item in agents if (line := _is_held(item, deleted))]
        except KubectlError as error:
            waiting = [f"the agents cannot be read: {error}"]
        if not waiting or time.monotonic() >= deadline:
            return waiting, held
        time.sleep(min(ROUND_S, max(0.0, deadline - time.monotonic())))


def _waits_for(agent: dict[str, Any], deleted: set[str]) -> str:
    """Return why an agent has not resumed; empty if it has, or if something else halts it."""
    halts = set(at(agent, "status", "trading", "halts") or ())
    if halts & deleted:
        return f"{id_of(agent)}: the operator has not ended the halt for it"
    active = condition(agent, "TradingActive")
    if active.get("reason") == "Resuming":
        return f"{id_of(agent)}: {text(active.get('message'))}"
    return ""


def _config_maps(kubectl: Kubectl, place: tuple[str, ...]) -> dict[str, Manifest]:
    found = kubectl.items("configmaps", *place, f"--selector={CHILDREN}")
    return {id_of(item): item for item in found}


def _is_kept(
    agent: dict[str, Any],
    halts: Sequence[dict[str, Any]],
    maps: dict[str, Manifest] | None,
    deleted: set[str],
    *,
    is_led: bool,
) -> str:
    """Return why an agent may still have the mode of a deleted halt in its ConfigMap; empty if it has not.

    If the operator does not run, no status reports the halt, and the agent keeps the mode.
    """
    is_selected = any(
        selects(mapping(at(item, "spec", "selector")), namespace_of(item), agent) for item in halts
    )
    others = set(at(agent, "status", "trading", "halts") or ()) - deleted
    if not is_selected or others:
        return ""
    if maps is None:
        text = "you may not list ConfigMaps, and it is unknown whether the operator runs"
        return "" if is_led else f"{id_of(agent)}: {text}; see its mode: kubectl get pfa"
    is_marked = annotations_of(maps.get(id_of(agent), {})).get(kubernetes.ANNOTATION_HALTED)
    if is_marked != "true":
        return ""
    return (
        f"{id_of(agent)}: its control file still has the mode of a halt; see whether the operator "
        "runs: kubectl purpleflea doctor"
    )


def _is_held(agent: dict[str, Any], deleted: set[str]) -> str:
    mode = text(at(agent, "status", "trading", "mode"))
    if mode in ("", "Active"):
        return ""
    halts = sorted(set(at(agent, "status", "trading", "halts") or ()) - deleted)
    return f"{id_of(agent)}: {mode} by {', '.join(halts) or 'spec.trading.mode'}"
