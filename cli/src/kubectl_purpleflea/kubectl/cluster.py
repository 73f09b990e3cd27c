"""Reads of the objects that several commands need: agents, their children, halts and the operator."""

from collections.abc import Callable
from typing import Any, TypeVar

from kubectl_purpleflea.decisions.failures import Failure, KubectlError
from kubectl_purpleflea.decisions.operator_health import (
    DEFAULT_NAMESPACE,
    OPERATOR_LABELS,
    Installation,
    installations,
)
from kubectl_purpleflea.kubectl.client import Kubectl
from purpleflea_contract import kubernetes

AGENTS = f"purplefleaagents.{kubernetes.GROUP}"
HALTS = f"purplefleahalts.{kubernetes.GROUP}"
OBSERVABILITIES = f"purplefleaobservabilities.{kubernetes.GROUP}"
CHILDREN = f"{kubernetes.LABEL_MANAGED_BY}={kubernetes.MANAGED_BY}"

Value = TypeVar("Value")


def readable(read: Callable[[], Value], absent: Value) -> Value:
    """Return the result of a read, or `absent` if the user may not read it, or the kind is not installed.

    Raises:
        KubectlError: The request failed for another reason.
    """
    try:
        return read()
    except KubectlError as error:
        if error.kind in (Failure.FORBIDDEN, Failure.NOT_INSTALLED, Failure.NOT_FOUND):
            return absent
        raise


def where(kubectl: Kubectl, *, everywhere: bool) -> tuple[str, ...]:
    """Return the flags that select the namespace of a list."""
    return ("--all-namespaces",) if everywhere else ()


def operators(kubectl: Kubectl, namespace: str = "") -> list[Installation] | None:
    """Return the installed operators; None if the user may not read Deployments.

    A user without rights in all namespaces can have them in the namespace of the operator.
    """
    selector = f"--selector={OPERATOR_LABELS}"
    places = [f"--namespace={namespace}"] if namespace else ["--all-namespaces"]
    if not namespace:
        places.append(f"--namespace={DEFAULT_NAMESPACE}")
    for place in places:
        found: list[dict[str, Any]] | None = readable(
            lambda place=place: kubectl.items("deployments.apps", place, selector),  # type: ignore[misc]
            None,
        )
        if found is not None:
            return installations(found)
    return None


def lease_of(kubectl: Kubectl, installation: Installation) -> dict[str, Any] | None:
    """Return the Lease of an operator; None if there is none, or the user may not read it."""
    there = kubectl.in_namespace(installation.namespace)
    return readable(lambda: there.find("leases.coordination.k8s.io", installation.lease), None)


def context_namespace(kubectl: Kubectl) -> str:
    """Return the namespace in which kubectl acts; `default` if the context has none."""
    if kubectl.namespace:
        return kubectl.namespace
    try:
        found = kubectl.run("config", "view", "--minify", "--output=jsonpath={..namespace}").split()
    except KubectlError as error:
        if error.ends_command:
            raise
        found = []
    return found[0] if found else "default"


def lacks_namespace(kubectl: Kubectl, namespace: str) -> bool:
    """Return whether a namespace does not exist. False if the user may not read it."""
    found = readable(lambda: (kubectl.find("namespaces", namespace),), None)
    return found == (None,)


def missing_agent(kubectl: Kubectl, name: str) -> str:
    """Return an error about an agent that does not exist, with its remedy."""
    namespace = context_namespace(kubectl)
    if lacks_namespace(kubectl, namespace):
        return f"namespace {namespace} does not exist; list all: kubectl get namespaces"
    return f"PurpleFleaAgent {name} does not exist in namespace {namespace}; list all: kubectl get pfa -A"
