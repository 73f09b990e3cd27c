"""Tolerations, affinity and topology spread."""

import re
from collections.abc import Iterator

from purpleflea_operator.api.scheduling import (
    Affinity,
    LabelSelector,
    NodeSelectorTerm,
    PodAffinity,
    PodAffinityTerm,
    Requirement,
    Toleration,
)
from purpleflea_operator.api.types import DOMAIN_LIMIT, LABEL_VALUE, QUALIFIED_NAME
from purpleflea_operator.manifests.metadata import Agent
from purpleflea_operator.manifests.refusals.refusal import Refusal, duplicates

NODE_FIELD = "metadata.name"
_NODE_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def refusals(agent: Agent) -> Iterator[Refusal]:
    """Yield the refused fields of scheduling."""
    pod = agent.spec.pod
    for index, toleration in enumerate(pod.tolerations):
        yield from _toleration(f"spec.pod.tolerations.{index}", toleration)
    spread = (
        (item.topology_key, item.when_unsatisfiable) for item in pod.topology_spread_constraints
    )
    keys = (f"{key}, {action}" for key, action in spread)
    yield from duplicates("spec.pod.topologySpreadConstraints", keys, "the constraint")
    if pod.affinity is not None:
        yield from _affinity("spec.pod.affinity", pod.affinity)


def _toleration(field: str, toleration: Toleration) -> Iterator[Refusal]:
    if toleration.key is not None and not _is_key(toleration.key):
        yield Refusal(f"{field}.key", f"{toleration.key} is not the key of a taint; correct it")
    if toleration.operator == "Equal":
        if toleration.key is None:
            yield Refusal(f"{field}.key", "operator Equal needs a key; set key, or operator Exists")
        if toleration.value is not None and not re.fullmatch(LABEL_VALUE, toleration.value):
            yield Refusal(
                f"{field}.value", f"{toleration.value} is not the value of a taint; correct it"
            )
    elif toleration.value is not None:
        yield Refusal(f"{field}.value", "operator Exists must not have a value; remove value")
    if toleration.toleration_seconds is not None and toleration.effect != "NoExecute":
        yield Refusal(
            f"{field}.tolerationSeconds", "tolerationSeconds needs effect NoExecute; set effect"
        )


def _is_key(text: str) -> bool:
    is_short = len(text.rpartition("/")[0]) <= DOMAIN_LIMIT
    return is_short and re.fullmatch(QUALIFIED_NAME, text) is not None


def _affinity(field: str, affinity: Affinity) -> Iterator[Refusal]:
    nodes = affinity.node_affinity
    if nodes is not None:
        required = nodes.required_during_scheduling_ignored_during_execution
        for index, term in enumerate(required.node_selector_terms if required else ()):
            at = f"{field}.nodeAffinity.{_REQUIRED}.nodeSelectorTerms.{index}"
            yield from _node_term(at, term)
        preferred = nodes.preferred_during_scheduling_ignored_during_execution or ()
        for index, item in enumerate(preferred):
            at = f"{field}.nodeAffinity.{_PREFERRED}.{index}.preference"
            yield from _node_term(at, item.preference)
    for name, pods in (
        ("podAffinity", affinity.pod_affinity),
        ("podAntiAffinity", affinity.pod_anti_affinity),
    ):
        if pods is not None:
            yield from _pod_affinity(f"{field}.{name}", pods)


def _node_term(field: str, term: NodeSelectorTerm) -> Iterator[Refusal]:
    for index, item in enumerate(term.match_expressions or ()):
        at = f"{field}.matchExpressions.{index}"
        if item.operator in ("Gt", "Lt"):
            if len(item.values or ()) != 1:
                yield Refusal(f"{at}.values", f"operator {item.operator} needs exactly one value")
        else:
            yield from _values(at, item)
    for index, item in enumerate(term.match_fields or ()):
        at = f"{field}.matchFields.{index}"
        names = item.values or ()
        is_valid = (
            item.key == NODE_FIELD
            and item.operator in ("In", "NotIn")
            and len(names) == 1
            and _NODE_NAME.fullmatch(names[0])
        )
        if not is_valid:
            yield Refusal(
                at,
                f"a condition on fields needs key {NODE_FIELD}, operator In or NotIn, and the name of one node",
            )


def _pod_affinity(field: str, affinity: PodAffinity) -> Iterator[Refusal]:
    required = affinity.required_during_scheduling_ignored_during_execution or ()
    for index, term in enumerate(required):
        yield from _pod_term(f"{field}.{_REQUIRED}.{index}", term)
    preferred = affinity.preferred_during_scheduling_ignored_during_execution or ()
    for index, item in enumerate(preferred):
        yield from _pod_term(
            f"{field}.{_PREFERRED}.{index}.podAffinityTerm", item.pod_affinity_term
        )


def _pod_term(field: str, term: PodAffinityTerm) -> Iterator[Refusal]:
    for name, selector in (
        ("labelSelector", term.label_selector),
        ("namespaceSelector", term.namespace_selector),
    ):
        if selector is not None:
            yield from _selector(f"{field}.{name}", selector)


def _selector(field: str, selector: LabelSelector) -> Iterator[Refusal]:
    for index, item in enumerate(selector.match_expressions or ()):
        at = f"{field}.matchExpressions.{index}"
        if item.operator in ("Gt", "Lt"):
            yield Refusal(
                f"{at}.operator",
                f"operator {item.operator} is only for nodes; use In, NotIn, Exists or DoesNotExist",
            )
        else:
            yield from _values(at, item)


def _values(field: str, requirement: Requirement) -> Iterator[Refusal]:
    needs_values = requirement.operator in ("In", "NotIn")
    if needs_values and not requirement.values:
        yield Refusal(f"{field}.values", f"operator {requirement.operator} needs values; add them")
    if not needs_values and requirement.values:
        yield Refusal(
            f"{field}.values", f"operator {requirement.operator} has no values; remove them"
        )
