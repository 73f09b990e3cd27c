"""Reads everything that `doctor` checks. Objects that the user may not read are left out."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from kubectl_purpleflea.decisions.failures import Failure, KubectlError
from kubectl_purpleflea.decisions.finding import Finding
from kubectl_purpleflea.decisions.findings import Observed, findings
from kubectl_purpleflea.decisions.objects import at, labels_of, name_of, namespace_of, text
from kubectl_purpleflea.decisions.operator_health import Installation
from kubectl_purpleflea.decisions.rights import rules_of
from kubectl_purpleflea.kubectl.client import Kubectl
from kubectl_purpleflea.kubectl.cluster import (
    AGENTS,
    CHILDREN,
    context_namespace,
    lacks_namespace,
    lease_of,
    operators,
    readable,
)

Objects = list[dict[str, Any]]
CONCURRENT = 8
_KEYS_ONLY = '{{range $key, $value := .data}}{{$key}}{{"\\n"}}{{end}}'
"""Template that prints the names of the keys of a Secret and no value, so that no value leaves kubectl."""
_HOOKS = "mutatingwebhookconfigurations,validatingwebhookconfigurations"


def examine(kubectl: Kubectl, *, everywhere: bool, operator_namespace: str) -> list[Finding]:
    """Return the findings.

    Raises:
        KubectlError: The API server does not answer.
    """
    place = ("--all-namespaces",) if everywhere else ()
    agents = _agents(kubectl, place)
    namespace = context_namespace(kubectl)

    def of(kind: str, *flags: str) -> Objects | None:
        return readable(lambda: kubectl.items(kind, *flags), None)

    with ThreadPoolExecutor(CONCURRENT) as pool:
        crds = pool.submit(of, "customresourcedefinitions.apiextensions.k8s.io")
        pods = pool.submit(of, "pods", *place, f"--selector={CHILDREN}")
        hooks = pool.submit(of, _HOOKS)
        leases = pool.submit(of, "leases.coordination.k8s.io", "--namespace=kube-node-lease")
        spaces = pool.submit(of, "namespaces")
        rules = pool.submit(_rules, kubectl, namespace)
        installed = pool.submit(operators, kubectl, operator_namespace)
        secrets = _secrets(kubectl, agents or [], pool)
    server_now = _server_now(kubectl)
    known = spaces.result()
    is_missing = not everywhere and not agents and lacks_namespace(kubectl, namespace)
    return findings(
        Observed(
            namespace=namespace,
            now=datetime.now(UTC),
            server_now=server_now,
            crds=crds.result(),
            operators=installed.result(),
            leases=_leases(kubectl, installed.result() or ()),
            rules=rules.result(),
            agents=agents,
            pods=pods.result(),
            secrets=secrets,
            node_leases=leases.result(),
            webhooks=hooks.result(),
            namespaces=None
            if known is None
            else {name_of(item): labels_of(item) for item in known},
            has_namespace=not is_missing,
        )
    )


def _agents(kubectl: Kubectl, place: tuple[str, ...]) -> Objects | None:
    """Return the agents; none if their kind is not installed, and None if the user may not read them."""
    try:
        return kubectl.items(AGENTS, *place)
    except KubectlError as error:
        if error.kind is Failure.NOT_INSTALLED:
            return []
        if error.kind is Failure.FORBIDDEN:
            return None
        raise


def _leases(
    kubectl: Kubectl, installed: Iterable[Installation]
) -> dict[str, dict[str, Any] | None]:
    return {f"{item.namespace}/{item.name}": lease_of(kubectl, item) for item in installed}


def _rules(kubectl: Kubectl, namespace: str) -> list[dict[str, Any]] | None:
    """Return the rights of the user in a namespace, with one request; None if they are not reported completely."""
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    try:
        found = kubectl.post("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", body)
    except KubectlError as error:
        if error.ends_command:
            raise
        return None
    # Some authorizers, such as webhooks of cloud providers, cannot list their rules.
    is_complete = isinstance(found, dict) and not at(found, "status", "incomplete")
    return [dict(item) for item in rules_of(found)] if is_complete else None


def _server_now(kubectl: Kubectl) -> datetime | None:
    """Return the clock of the API server, from an object that it creates for each user and does not store."""
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    try:
        found = kubectl.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", body)
        return datetime.fromisoformat(text(at(found, "metadata", "creationTimestamp")))
    except KubectlError as error:
        if error.ends_command:
            raise
        return None
    except ValueError:
        return None


def _secrets(
    kubectl: Kubectl, agents: Objects, pool: ThreadPoolExecutor
) -> dict[tuple[str, str], frozenset[str] | None]:
    wanted = {
        (namespace_of(agent), name)
        for agent in agents
        for name in (
            text(at(agent, "spec", "api", "keySecretRef", "name")),
            text(at(agent, "spec", "api", "tokenSecretRef")),
        )
        if name
    }
    found = pool.map(lambda item: (item, _keys(kubectl, *item)), sorted(wanted))
    return {item: keys for item, keys in found if not isinstance(keys, Failure)}


def _keys(kubectl: Kubectl, namespace: str, name: str) -> frozenset[str] | Failure | None:
    """Return the names of the keys of a Secret; None if it does not exist, and the cause if it cannot be read."""
    there = kubectl.in_namespace(namespace)
    try:
        output = there.run("get", "secret", name, f"--output=go-template={_KEYS_ONLY}")
    except KubectlError as error:
        if error.ends_command:
            raise
        return None if error.kind is Failure.NOT_FOUND else error.kind
    return frozenset(output.split())
