"""Renders agents: a server-side dry run of the manifest, then the operator's own code with that object.

The API server applies defaults, admission and the present object, as `kubectl apply` would. Nothing is changed.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kubectl_purpleflea.decisions.failures import Failure, KubectlError
from kubectl_purpleflea.decisions.live_fields import compared, whole
from kubectl_purpleflea.decisions.objects import Manifest, at, items, name_of, namespace_of
from kubectl_purpleflea.decisions.operator_health import DEFAULT_NAMESPACE, Installation
from kubectl_purpleflea.kubectl.client import Kubectl
from kubectl_purpleflea.kubectl.cluster import AGENTS, operators
from kubectl_purpleflea.kubectl.operator_route import OperatorError, Render
from purpleflea_contract.rendering import ChildReference, Rendering


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An agent as the API server would store it."""

    agent: dict[str, Any]
    live: dict[str, Any] | None
    """The agent that exists; None if there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A child that the operator would write or delete."""

    id: str
    live: Manifest | None
    rendered: Manifest | None
    problem: str = ""
    """Why it cannot be compared, or not be written; empty if it can."""


def installation_for(kubectl: Kubectl, namespace: str, chosen: str) -> Installation:
    """Return the operator that watches a namespace.

    Raises:
        OperatorError: There is none, or more than one.
        KubectlError: The request failed.
    """
    known = operators(kubectl, chosen)
    if known is None:
        # Without the right to list Deployments, the names of the chart are used.
        return Installation(
            namespace=chosen or DEFAULT_NAMESPACE,
            name="purpleflea-operator",
            lease="purpleflea-operator",
            image="",
            version="",
            replicas=1,
            ready=1,
        )
    found = [item for item in known if not item.watched or namespace in item.watched]
    if not found:
        raise OperatorError(
            f"no operator watches namespace {namespace}; install its chart, or name its namespace with "
            "--operator-namespace"
        )
    if len(found) > 1:
        places = ", ".join(item.namespace for item in found)
        raise OperatorError(
            f"operators in {places} watch namespace {namespace}; choose one with --operator-namespace"
        )
    return found[0]


def candidate(kubectl: Kubectl, manifest: Manifest) -> Candidate:
    """Return a manifest as the API server would store it, by a dry run.

    Raises:
        KubectlError: The API server refuses it, or the request failed.
    """
    found = kubectl.json(
        "apply", "--dry-run=server", "--filename=-", stdin=json.dumps(manifest, default=str)
    )
    if not isinstance(found, dict) or not name_of(found):
        raise KubectlError(Failure.NO_ANSWER, "the dry run returned no object")
    live = kubectl.in_namespace(namespace_of(found)).find(AGENTS, name_of(found))
    return Candidate(agent=found, live=live)


def differences(
    kubectl: Kubectl, wanted: Candidate, rendered: Rendering, render: Render
) -> Iterator[Difference]:
    """Yield the children that the operator would change.

    Raises:
        OperatorError: The operator did not answer.
        KubectlError: A request failed.
    """
    there = kubectl.in_namespace(namespace_of(wanted.agent))
    former = [] if wanted.live is None else render(wanted.live)["children"]
    for reference in rendered["written"]:
        child = _child(rendered["children"], reference)
        before = _child(former, reference)
        yield _written(there, wanted, reference, child, before)
    for reference in rendered["deleted"]:
        live, problem = _live(there, reference)
        if live is not None or problem:
            yield Difference(id=_id(wanted, reference), live=live, rendered=None, problem=problem)


def _written(
    kubectl: Kubectl,
    wanted: Candidate,
    reference: ChildReference,
    child: Manifest,
    before: Manifest,
) -> Difference:
    found = _id(wanted, reference)
    live, problem = _live(kubectl, reference)
    if live is None:
        return Difference(id=found, live=None, rendered=child, problem=problem)
    owners = [item.get("uid") for item in items(at(live, "metadata", "ownerReferences"))]
    if at(wanted.agent, "metadata", "uid") not in owners:
        return Difference(
            id=found,
            live=None,
            rendered=None,
            problem="the object exists and belongs to another owner, so the operator does not change it; delete it",
        )
    shown, new = compared(live, before, child)
    return Difference(id=found, live=shown, rendered=new)


def _live(kubectl: Kubectl, reference: ChildReference) -> tuple[Manifest | None, str]:
    """Return a child in the cluster, or None and the reason if it cannot be read."""
    group, _, version = reference["apiVersion"].rpartition("/")
    kind = ".".join((reference["kind"], version, group)) if group else reference["kind"]
    try:
        found = kubectl.find(kind, reference["name"])
    except KubectlError as error:
        if error.kind is not Failure.FORBIDDEN:
            raise
        return None, f"it cannot be compared: {error}"
    return (None if found is None else whole(found)), ""


def _child(children: list[dict[str, Any]], reference: ChildReference) -> Manifest:
    wanted = (reference["kind"], reference["name"])
    return next((item for item in children if (item.get("kind"), name_of(item)) == wanted), {})


def _id(wanted: Candidate, reference: ChildReference) -> str:
    return f"{reference['kind']}/{namespace_of(wanted.agent)}/{reference['name']}"
