"""The findings of `doctor`: problems of the installation, each with the command that fixes it. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from kubectl_purpleflea.decisions.finding import Finding, Severity, counted, finding, unread
from kubectl_purpleflea.decisions.fleet import Problem, pod_state, problems
from kubectl_purpleflea.decisions.objects import (
    Manifest,
    at,
    id_of,
    items,
    labels_of,
    mapping,
    name_of,
    namespace_of,
    text,
)
from kubectl_purpleflea.decisions.operator_health import Installation, silence_s
from kubectl_purpleflea.decisions.rights import missing
from kubectl_purpleflea.decisions.story import remedy
from kubectl_purpleflea.decisions.webhooks import touches_pods
from purpleflea_contract import kubernetes

KINDS = ("purplefleaagents", "purplefleahalts", "purplefleaobservabilities")
MAX_SKEW_S = 5.0
_PULL = ("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName")
INSTALL = (
    "helm upgrade --install purpleflea-operator charts/purpleflea-operator --namespace=purpleflea-system "
    "--create-namespace"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """Everything that the checks read. None stands for objects that the user may not read."""

    namespace: str
    now: datetime
    """Clock of this machine."""
    server_now: datetime | None = None
    """Clock of the API server."""
    crds: Sequence[Manifest] | None = None
    operators: Sequence[Installation] | None = None
    leases: Mapping[str, Manifest | None] = field(default_factory=dict)
    """Lease by <namespace>/<name> of the operator."""
    rules: Sequence[Mapping[str, Any]] | None = None
    agents: Sequence[Manifest] | None = None
    pods: Sequence[Manifest] | None = None
    secrets: Mapping[tuple[str, str], frozenset[str] | None] = field(default_factory=dict)
    """Keys in each Secret by namespace and name; None if it does not exist. Secrets that cannot be read are absent."""
    node_leases: Sequence[Manifest] | None = None
    webhooks: Sequence[Manifest] | None = None
    namespaces: Mapping[str, Mapping[str, str]] | None = None
    """Labels by namespace."""
    has_namespace: bool = True
    """Whether the namespace exists; also if this is not known."""


def findings(observed: Observed) -> list[Finding]:
    """Return all findings, the most urgent first."""
    checks = (
        _namespace,
        _crds,
        _operator,
        _rights,
        _node_agents,
        _keys,
        _clocks,
        _webhooks,
        _images,
        _agents,
    )
    found = [item for check in checks for item in check(observed)]
    return sorted(found, key=lambda item: -item.severity)


def _namespace(observed: Observed) -> Iterator[Finding]:
    if not observed.has_namespace:
        content = f"namespace {observed.namespace} does not exist"
        fix = f"choose another with --namespace, or: kubectl create namespace {observed.namespace}"
        yield finding("namespace", Severity.ERROR, content, fix)


def _crds(observed: Observed) -> Iterator[Finding]:
    check = "CRDs"
    if observed.crds is None:
        yield unread(check, "the CRDs cannot be read", "list customresourcedefinitions")
        return
    known = {name_of(item): item for item in observed.crds}
    for kind in KINDS:
        crd = known.get(f"{kind}.{kubernetes.GROUP}")
        if crd is None:
            yield finding(check, Severity.ERROR, f"the CRD of {kind} is not installed", INSTALL)
            continue
        versions = [
            text(item.get("name"))
            for item in items(at(crd, "spec", "versions"))
            if item.get("served")
        ]
        if kubernetes.VERSION not in versions:
            content = f"the CRD of {kind} serves {', '.join(versions)} and not {kubernetes.VERSION}"
            yield finding(
                check,
                Severity.ERROR,
                content,
                "install the plugin and the chart of the same release",
            )
    if all(f"{kind}.{kubernetes.GROUP}" in known for kind in KINDS):
        yield finding(check, Severity.OK, f"{len(KINDS)} CRDs are installed")


def _operator(observed: Observed) -> Iterator[Finding]:
    check = "operator"
    if observed.operators is None:
        content = "the Deployment of the operator cannot be read"
        yield unread(check, content, "list deployments there; name it with --operator-namespace")
        return
    if not observed.operators:
        yield finding(check, Severity.ERROR, "the operator is not installed", INSTALL)
    for item in observed.operators:
        name = f"{item.namespace}/{item.name}"
        silent = silence_s(observed.leases.get(name), observed.server_now or observed.now)
        where = f"--namespace={item.namespace}"
        if item.replicas == 0:
            fix = f"kubectl scale deployment {item.name} --replicas=2 {where}"
            yield finding(
                check, Severity.ERROR, f"{name} is scaled to 0; halts also work without it", fix
            )
        elif silent is not None and silent >= MAX_SKEW_S:
            fix = f"kubectl logs deployment/{item.name} {where}; kubectl describe pods {where}"
            content = f"no replica of {name} leads: the Lease ended {silent:.0f} s ago; halts also work without it"
            yield finding(check, Severity.ERROR, content, fix)
        elif item.ready < item.replicas:
            content = f"{item.ready}/{item.replicas} replicas of {name} are ready"
            yield finding(check, Severity.WARNING, content, f"kubectl describe pods {where}")
        elif silent is None:
            content = f"the Lease of {name} cannot be read or does not exist"
            yield unread(check, content, f"get leases in namespace {item.namespace}")
        else:
            yield finding(check, Severity.OK, f"{name} {item.version} runs ({item.image})")
        if item.watched and observed.namespace not in item.watched:
            content = f"{name} does not watch the namespace {observed.namespace}"
            fix = "add the namespace to the chart value watchNamespaces"
            yield finding(check, Severity.WARNING, content, fix)


def _rights(observed: Observed) -> Iterator[Finding]:
    check = "rights"
    if observed.rules is None:
        content = "the API server does not report your rights"
        fix = "see whether you have one right: kubectl auth can-i create pfh"
        yield finding(check, Severity.UNKNOWN, content, fix)
        return
    lacking = missing(observed.rules)
    for right, verbs in lacking:
        resource = f"{right.resource}.{right.group}" if right.group else right.resource
        content = f"{right.command}: you may not {', '.join(verbs)} {resource} ({right.purpose})"
        severity = Severity.NOTE if right.is_optional else Severity.WARNING
        yield finding(check, severity, content, _role(right.command, observed.namespace))
    if not lacking:
        yield finding(check, Severity.OK, f"you have all rights in namespace {observed.namespace}")


def _role(command: str, namespace: str) -> str:
    role = "purpleflea-resumer" if command == "resume" else "purpleflea-halter"
    role = role if command in ("resume", "halt, stop") else "edit"
    return (
        f"kubectl create rolebinding NAME --clusterrole={role} --user=USER --namespace={namespace}"
    )


def _node_agents(observed: Observed) -> Iterator[Finding]:
    check = "node agents"
    for agent in observed.agents or ():
        nodes = mapping(at(agent, "status", "datadog", "nodes"))
        for item in items(nodes.get("missing")):
            content = f"{id_of(agent)}: node {text(item.get('node'))} has no node agent: {text(item.get('reason'))}"
            fix = next(
                (_fix(agent, p) for p in problems(agent) if p.condition == "TelemetryReady"), ""
            )
            yield finding(check, Severity.WARNING, content, fix)


def _keys(observed: Observed) -> Iterator[Finding]:
    check = "keys"
    count = hidden = 0
    for agent in observed.agents or ():
        reference = mapping(at(agent, "spec", "api", "keySecretRef"))
        namespace, name = namespace_of(agent), text(reference.get("name"))
        wanted = [(name, text(reference.get("key")) or "api-key")]
        token = text(at(agent, "spec", "api", "tokenSecretRef"))
        wanted += [(token, "token")] if token else []
        for secret, key in wanted:
            if (namespace, secret) not in observed.secrets:
                hidden += bool(secret)
                continue
            keys = observed.secrets[namespace, secret]
            count += 1
            fix = f"kubectl create secret generic {secret} --namespace={namespace} --from-literal={key}=VALUE"
            if keys is None:
                content = f"{id_of(agent)}: Secret {secret} does not exist"
                yield finding(check, Severity.ERROR, content, fix)
            elif key not in keys:
                content = f"{id_of(agent)}: Secret {secret} has no key {key}"
                replace = f"{fix} --dry-run=client -o yaml | kubectl apply -f -"
                yield finding(check, Severity.ERROR, content, replace)
    if hidden:
        yield unread(check, f"{counted(hidden, 'Secret')} cannot be read", "get secrets")
    if count:
        content = f"checked {counted(count, 'reference')} to Secrets; no value was read"
        yield finding(check, Severity.OK, content)


def _clocks(observed: Observed) -> Iterator[Finding]:
    check = "clocks"
    if observed.server_now is None:
        fix = "you need the right to create selfsubjectreviews, and Kubernetes 1.28 or newer"
        yield finding(check, Severity.UNKNOWN, "the API server does not report its time", fix)
        return
    skew = (observed.now - observed.server_now).total_seconds()
    # The API server reports whole seconds.
    if abs(skew) > MAX_SKEW_S:
        ahead = "ahead of" if skew > 0 else "behind"
        content = f"the clock of this machine is {abs(skew):.0f} s {ahead} the API server, so --expires is off by that"
        yield finding(check, Severity.WARNING, content, "timedatectl set-ntp true")
    if observed.node_leases is None:
        yield unread(
            check,
            "the clocks of the nodes cannot be read",
            "list leases in namespace kube-node-lease",
        )
    for lease in observed.node_leases or ():
        renewed = _moment(at(lease, "spec", "renewTime"))
        if renewed is not None and (renewed - observed.server_now).total_seconds() > MAX_SKEW_S:
            early = (renewed - observed.server_now).total_seconds()
            content = f"the clock of node {name_of(lease)} is {early:.0f} s ahead of the API server"
            yield finding(
                check, Severity.WARNING, content, "repair time synchronization (NTP) on the node"
            )
    if abs(skew) <= MAX_SKEW_S:
        yield finding(check, Severity.OK, "the clock of this machine agrees with the API server")


def _moment(value: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(text(value))
    except ValueError:
        return None
    return found if found.tzinfo else None


def _webhooks(observed: Observed) -> Iterator[Finding]:
    check = "admission webhooks"
    if observed.webhooks is None:
        right = "list mutatingwebhookconfigurations and validatingwebhookconfigurations"
        yield unread(check, "the admission webhooks cannot be read", right)
        return
    if observed.webhooks and observed.namespaces is None:
        content = "the labels of namespaces cannot be read, by which webhooks select"
        yield unread(check, content, "list namespaces")
    labels = observed.namespaces or {}
    spaces = sorted({namespace_of(agent) for agent in observed.agents or ()})
    for configuration in observed.webhooks:
        for webhook in items(configuration.get("webhooks")):
            touched = [name for name in spaces if touches_pods(webhook, name, labels.get(name, {}))]
            if not touched:
                continue
            name = f"{name_of(configuration)}/{text(webhook.get('name'))}"
            is_fatal = webhook.get("failurePolicy", "Fail") == "Fail"
            effect = (
                "refuses new pods while its service does not answer"
                if is_fatal
                else "may change new pods"
            )
            content = f"webhook {name} applies to the agents in {', '.join(touched)} and {effect}"
            fix = (
                "if this is not intended, restrict its namespaceSelector: kubectl edit "
                f"{text(configuration.get('kind')) or 'MutatingWebhookConfiguration'} {name_of(configuration)}"
            )
            yield finding(check, Severity.NOTE, content, fix)


def _images(observed: Observed) -> Iterator[Finding]:
    if observed.pods is None:
        yield unread("images", "the pods cannot be read", "list pods")
    for pod in observed.pods or ():
        if pod_state(pod) in _PULL:
            statuses = items(at(pod, "status", "containerStatuses"))
            statuses += items(at(pod, "status", "initContainerStatuses"))
            bad = [
                item for item in statuses if text(at(item, "state", "waiting", "reason")) in _PULL
            ]
            image = text(bad[0].get("image"))
            agent = labels_of(pod).get(kubernetes.LABEL_INSTANCE, "NAME")
            content = f"{id_of(pod)}: image {image} cannot be pulled: {text(at(bad[0], 'state', 'waiting', 'message'))}"
            fix = f"kubectl edit pfa {agent} --namespace={namespace_of(pod)} (spec.image, spec.image.pullSecrets)"
            yield finding("images", Severity.ERROR, content, fix)


def _agents(observed: Observed) -> Iterator[Finding]:
    if observed.agents is None:
        yield unread("agents", "the agents cannot be read", "list purplefleaagents")
    for agent in observed.agents or ():
        for problem in problems(agent):
            if problem.severity == "Warning":
                content = f"{id_of(agent)}: {problem.condition}/{problem.reason}: {problem.message}"
                fix = _fix(agent, problem)
                yield finding("agents", Severity.WARNING, content, fix, problem.link)
    if observed.agents:
        yield finding("agents", Severity.OK, f"checked {counted(len(observed.agents), 'agent')}")


def _fix(agent: Manifest, problem: Problem) -> str:
    found = remedy(agent, problem)
    if "kubectl purpleflea doctor" in found:
        return "fix the problems of the operator in this list first"
    return found or f"kubectl purpleflea why {name_of(agent)} --namespace={namespace_of(agent)}"
