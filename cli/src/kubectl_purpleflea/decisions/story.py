"""Why an agent does not work: conditions, pods, nodes, Events and log lines, from the cause to the remedy. Pure."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kubectl_purpleflea.decisions.fleet import Problem, pod_message, pod_state, problems
from kubectl_purpleflea.decisions.objects import (
    Manifest,
    at,
    id_of,
    items,
    mapping,
    name_of,
    number,
    text,
)
from kubectl_purpleflea.decisions.remedies import special_remedy

MAX_EVENTS = 6
MAX_LOG_LINES = 3
MAX_LINE = 300
_ERRORS = ("ERROR", "CRITICAL", "FATAL")


@dataclass(frozen=True, slots=True, kw_only=True)
class PodProblem:
    """A pod that does not run as it should."""

    name: str
    state: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """The story of one agent."""

    agent: str
    is_healthy: bool
    headline: str
    problems: tuple[Problem, ...] = ()
    pods: tuple[PodProblem, ...] = ()
    nodes: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    logs: tuple[str, ...] = ()
    remedies: tuple[str, ...] = ()
    """What to do, the remedy of the first cause first."""
    unread: tuple[str, ...] = ()
    """Objects that the user may not read, so that problems in them are unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The objects around an agent."""

    pods: Sequence[Manifest] = ()
    nodes: Sequence[Manifest] = ()
    events: Sequence[Manifest] = ()
    logs: Mapping[str, str] | None = None
    """Last log lines by name of the pod."""
    is_operator_down: bool | None = None
    unread: tuple[str, ...] = ()


def story(agent: Manifest, evidence: Evidence) -> Story:
    """Return the story of an agent."""
    found = problems(agent)
    failing = [item for item in evidence.pods if not _runs(item)]
    nodes = _nodes(evidence.nodes, evidence.pods)
    pods = tuple(
        PodProblem(name=name_of(pod), state=pod_state(pod), message=pod_message(pod)[:MAX_LINE])
        for pod in failing
    )
    is_down = evidence.is_operator_down is True
    is_healthy = not (any(item.severity == "Warning" for item in found) or nodes or is_down)
    remedies = _remedies(agent, found, failing, nodes=nodes, is_down=is_down)
    return Story(
        agent=id_of(agent),
        is_healthy=is_healthy,
        headline=_headline(agent, found, nodes, evidence.unread, is_down=is_down),
        problems=found,
        pods=() if is_healthy else pods,
        nodes=nodes,
        events=() if is_healthy else _events(evidence.events),
        logs=() if is_healthy else tuple(_errors(evidence.logs or {})),
        remedies=remedies,
        unread=tuple(evidence.unread),
    )


def _runs(pod: Manifest) -> bool:
    conditions = items(at(pod, "status", "conditions"))
    is_ready = any(
        item.get("type") == "Ready" and item.get("status") == "True" for item in conditions
    )
    return is_ready and not at(pod, "metadata", "deletionTimestamp")


def _headline(
    agent: Manifest,
    found: Sequence[Problem],
    nodes: Sequence[str],
    unread: Sequence[str],
    *,
    is_down: bool,
) -> str:
    name = id_of(agent)
    if is_down:
        return f"{name}: the operator does not run, so the status is outdated"
    if nodes:
        return f"{name}: {nodes[0]}"
    if not found:
        return f"{name} has no known problem" if unread else f"{name} works"
    return f"{name}: {found[0].condition} has the reason {found[0].reason}"


def _nodes(nodes: Iterable[Manifest], pods: Iterable[Manifest]) -> tuple[str, ...]:
    used = {text(at(pod, "spec", "nodeName")) for pod in pods}
    lines = []
    for node in nodes:
        ready = next(
            (
                item
                for item in items(at(node, "status", "conditions"))
                if item.get("type") == "Ready"
            ),
            {},
        )
        if name_of(node) in used and ready.get("status") != "True":
            since = text(ready.get("lastTransitionTime"))
            lines.append(
                f"node {name_of(node)} is not ready since {since}: {text(ready.get('message'))}"
            )
    return tuple(lines)


def _events(events: Iterable[Manifest]) -> tuple[str, ...]:
    """Return the newest Events of type Warning, without repetitions."""
    found: dict[tuple[str, str], tuple[str, str]] = {}
    for event in events:
        if event.get("type") != "Warning":
            continue
        moment = text(event.get("lastTimestamp")) or text(event.get("eventTime"))
        involved = mapping(event.get("involvedObject"))
        place = f"{text(involved.get('kind'))} {text(involved.get('name'))}"
        reason = text(event.get("reason"))
        message = " ".join(text(event.get("message")).split())[:MAX_LINE]
        count = number(event.get("count"))
        times = f" ({count} times)" if count > 1 else ""
        line = f"{moment} {place}: {reason}: {message}{times}"
        found[place, reason] = max(found.get((place, reason), ("", "")), (moment, line))
    return tuple(line for _, line in sorted(found.values())[-MAX_EVENTS:])


def _errors(logs: Mapping[str, str]) -> list[str]:
    """Return the last error lines of each pod. The agents write JSON; a traceback of another program is text."""
    lines = []
    for pod, content in sorted(logs.items()):
        errors = [line for line in map(_error, content.splitlines()) if line]
        lines += [f"{pod}: {line}" for line in dict.fromkeys(errors[-MAX_LOG_LINES:])]
    return lines


def _error(line: str) -> str:
    try:
        entry = mapping(json.loads(line))
    except ValueError:
        return (
            line.strip()[:MAX_LINE] if re.search(r"\b(error|exception|fatal)\b", line, re.I) else ""
        )
    level = text(entry.get("level")) or text(entry.get("status"))
    if level.upper() not in _ERRORS:
        return ""
    message = text(entry.get("message")) or text(entry.get("event"))
    details = text(entry.get("error")) or text(at(entry, "error", "message"))
    return " ".join(f"{message}: {details}".strip(": ").split())[:MAX_LINE]


def _remedies(
    agent: Manifest,
    found: Sequence[Problem],
    failing: Sequence[Manifest],
    *,
    nodes: Sequence[str],
    is_down: bool,
) -> tuple[str, ...]:
    remedies = []
    if is_down:
        remedies.append(
            "Find out why the operator does not run: kubectl purpleflea doctor. Halts also work without it"
        )
    if nodes:
        remedies.append(
            "Repair the node. Its pods are not replaced before they are known to have ended, because an identity must "
            f"not run twice. If the machine is off for good: kubectl delete node {nodes[0].split()[1]}"
        )
    severities = {problem.severity for problem in found}
    due = [item for item in found if item.severity == "Warning" or "Warning" not in severities]
    remedies += [item for problem in due if (item := remedy(agent, problem, failing))]
    return tuple(dict.fromkeys(remedies))


def remedy(agent: Manifest, problem: Problem, failing: Sequence[Manifest] = ()) -> str:
    """Return the remedy of a problem: a command for a known problem, else that of the message, else of the reason."""
    special = special_remedy(agent, problem)
    if special:
        return special
    own = _remedy_in(problem.message)
    if own:
        return own[0].upper() + own[1:]
    pod = name_of(failing[0]) if failing else "POD"
    # "See the condition X": that condition is a problem with a remedy too.
    general = "" if problem.remedy.startswith("See ") else problem.remedy.replace("`", "")
    named = re.sub(r"\bNAME\b", name_of(agent), general)
    return re.sub(r"\bPOD\b", pod, named)


def _remedy_in(message: str) -> str:
    """Return the part of a message that names an action or a command; empty if there is none.

    A message has the symptom, the cause and the remedy, separated by semicolons.
    """
    parts = [part.strip() for part in re.split(r";\s+|\.\s+", message) if part.strip()]
    actions = [
        part
        for part in parts[1:]
        if _ACTION.match(part) and not part.lower().startswith("see the condition")
    ]
    commands = [part for part in parts if _COMMAND.search(part)]
    chosen = actions or commands
    return "; ".join(dict.fromkeys(chosen))


_ACTION = re.compile(
    r"(add|allow|apply|change|check|choose|compare|correct|create|delete|fix|free|give|grant|install|label|make|move)\b"
    r"|(open|raise|reduce|remove|rename|repair|replace|restart|run|see|set|start|to (fix|resume|allow|use))\b"
    r"|(turn|update|upgrade|use|wait)\b",
    re.IGNORECASE,
)
_COMMAND = re.compile(r"\b(kubectl|helm) [a-z]")
