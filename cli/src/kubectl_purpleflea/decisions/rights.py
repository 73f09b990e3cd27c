"""The rights that each command needs, and those that a user lacks. Pure. The table of the documentation is this one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubectl_purpleflea.decisions.objects import items
from purpleflea_contract import kubernetes

GROUP = kubernetes.GROUP


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """A verb on a resource."""

    command: str
    group: str
    resource: str
    verbs: tuple[str, ...]
    purpose: str
    is_optional: bool = False
    """Whether the command works without it, and shows less."""


def _right(
    command: str, resource: str, verbs: str, purpose: str, *, optional: bool = False
) -> Right:
    name, _, group = resource.partition(".")
    return Right(
        command=command,
        group=group,
        resource=name,
        verbs=tuple(verbs.split()),
        purpose=purpose,
        is_optional=optional,
    )


RIGHTS = (
    _right(
        "halt, stop",
        f"purplefleahalts.{GROUP}",
        "create get watch",
        "create the halt and wait for its proof",
    ),
    _right("halt, stop", "deployments.apps", "list", "find the operator", optional=True),
    _right(
        "halt, stop",
        "leases.coordination.k8s.io",
        "get",
        "see at once that the operator is down",
        optional=True,
    ),
    _right(
        "halt, stop without the operator",
        f"purplefleaagents.{GROUP}",
        "list",
        "select the agents",
    ),
    _right(
        "halt, stop without the operator", "configmaps", "list get patch create", "write the mode"
    ),
    _right(
        "halt, stop without the operator",
        "pods",
        "list get patch",
        "make the kubelet read the mode at once",
    ),
    _right(
        "halt, stop without the operator",
        "pods/portforward",
        "create get",
        "read the acknowledgements",
    ),
    _right("resume", f"purplefleahalts.{GROUP}", "list get delete", "delete the halts"),
    _right("resume", f"purplefleahalts.{GROUP}", "patch", "resume --force", optional=True),
    _right("resume", f"purplefleaagents.{GROUP}", "list get", "wait until the agents have resumed"),
    _right(
        "resume",
        "configmaps",
        "list",
        "see that an operator has ended the halt",
        optional=True,
    ),
    _right("status, why", f"purplefleaagents.{GROUP}", "list get", "read the agents"),
    _right("status, why", "pods", "list", "show the identities", optional=True),
    _right(
        "status, why",
        "statefulsets.apps",
        "list",
        "show the partition of a rollout",
        optional=True,
    ),
    _right("status NAME", "pods/portforward", "create get", "read the drawdown", optional=True),
    _right("why", "events", "list", "show warnings", optional=True),
    _right("why", "pods/log", "get", "show the last errors", optional=True),
    _right("why", "nodes", "list", "find nodes that are down", optional=True),
    _right(
        "render",
        f"purplefleaagents.{GROUP}",
        "get create patch",
        "check the manifest in a dry run",
        optional=True,
    ),
    _right(
        "render",
        "pods/portforward",
        "create get",
        "reach the operator, in its namespace",
        optional=True,
    ),
    _right(
        "render",
        "leases.coordination.k8s.io",
        "get",
        "find the replica that leads, in its namespace",
        optional=True,
    ),
    _right(
        "render",
        "statefulsets.apps",
        "get",
        "compare the objects; likewise for the other kinds",
        optional=True,
    ),
    _right(
        "doctor",
        "customresourcedefinitions.apiextensions.k8s.io",
        "list",
        "check the CRDs",
        optional=True,
    ),
    _right(
        "doctor", "secrets", "get", "check that the keys exist; values are not read", optional=True
    ),
    _right(
        "doctor",
        "mutatingwebhookconfigurations.admissionregistration.k8s.io",
        "list",
        "find webhooks that change pods",
        optional=True,
    ),
)


def missing(
    rules: Iterable[Mapping[str, Any]], rights: Sequence[Right] = RIGHTS
) -> list[tuple[Right, list[str]]]:
    """Return the rights that the rules of a SelfSubjectRulesReview do not grant, with the verbs that are missing.

    A rule that is limited to names of objects does not count, because the names are not known.
    """
    known = [item for item in rules if not item.get("resourceNames")]
    found = []
    for right in rights:
        verbs = [
            verb for verb in right.verbs if not any(_grants(rule, right, verb) for rule in known)
        ]
        if verbs:
            found.append((right, verbs))
    return found


def _grants(rule: Mapping[str, Any], right: Right, verb: str) -> bool:
    return (
        _has(rule.get("apiGroups"), right.group)
        and _has(rule.get("verbs"), verb)
        and (
            _has(rule.get("resources"), right.resource)
            or (
                "/" in right.resource
                and _has(rule.get("resources"), f"*/{right.resource.split('/')[1]}")
            )
        )
    )


def _has(values: object, wanted: str) -> bool:
    return isinstance(values, list) and (wanted in values or "*" in values)


def rules_of(review: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the rules in the response to a SelfSubjectRulesReview."""
    status = review.get("status")
    return items(status.get("resourceRules")) if isinstance(status, Mapping) else []


def markdown() -> str:
    """Return the table of the documentation."""
    rows = [
        f"| {item.command} | {'/'.join(filter(None, (item.group, item.resource)))} | {', '.join(item.verbs)} | "
        f"{item.purpose} | {'no' if item.is_optional else 'yes'} |\n"
        for item in RIGHTS
    ]
    return f"| command | resource | verbs | purpose | required |\n|---|---|---|---|---|\n{''.join(rows)}"
