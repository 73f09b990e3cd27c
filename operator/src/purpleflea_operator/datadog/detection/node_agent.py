"""Detect node agents among DaemonSets by the labels, containers and ports that Datadog's installers set.

Labels only detect a node agent; its namespace decides if it is used (`trust`).

Names are not used, because users select the names of Helm releases, and a Helm release and a DatadogAgent can have the
same name. CRDs and a running Datadog Operator are not used either, because the Helm chart installs both by default.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import assert_never

from purpleflea_operator import parsing
from purpleflea_operator.datadog.detection import containers
from purpleflea_operator.datadog.detection.facts import (
    OFF,
    ContainerVariable,
    DatadogFacts,
    Installer,
    LocalService,
    NodeAgent,
    Switch,
    TelemetryReceiver,
    UntrustedNodeAgent,
)
from purpleflea_operator.datadog.detection.placement import ANYWHERE, daemon_set_placement
from purpleflea_operator.datadog.detection.trust import DEFAULT_TRUST, TrustedNamespaces
from purpleflea_operator.parsing import Manifest, count, mapping, mappings, text

ServiceId = tuple[str, str]
"""Namespace and name."""
Services = Mapping[ServiceId, Manifest]

CHART = re.compile(r"^datadog-(\d[\w.+-]*)$")
AGENT_CONTAINERS = ("agent", "unprivileged-single-agent")
TRACE_CONTAINERS = ("trace-agent", "unprivileged-single-agent")
METRICS_CONTAINERS = (*AGENT_CONTAINERS, "agent-data-plane")
DOGSTATSD_PORT = "dogstatsdport"
TRACE_PORT = "traceport"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverNames:
    """Names of the port of a receiver, and of the variables that configure it."""

    port: str
    protocol: str
    port_variable: str
    socket_variable: str
    non_local_variable: str
    """Variable that opens the receiver to other pods."""
    unset: Switch
    """State of that variable if it is not set. The image opens the receiver for traces, but not that for metrics."""


DOGSTATSD = ReceiverNames(
    port=DOGSTATSD_PORT,
    port_variable="DD_DOGSTATSD_PORT",
    socket_variable="DD_DOGSTATSD_SOCKET",
    non_local_variable="DD_DOGSTATSD_NON_LOCAL_TRAFFIC",
    protocol="UDP",
    unset=Switch.OFF,
)
APM = ReceiverNames(
    port=TRACE_PORT,
    port_variable="DD_APM_RECEIVER_PORT",
    socket_variable="DD_APM_RECEIVER_SOCKET",
    non_local_variable="DD_APM_NON_LOCAL_TRAFFIC",
    protocol="TCP",
    unset=Switch.ON,
)
DATADOG_VARIABLES = frozenset(
    {"DD_API_KEY", "DD_KUBERNETES_KUBELET_HOST", "DD_KUBERNETES_KUBELET_NODENAME"}
)
"""Variables that every installation of the node agent sets."""
LOGS_VARIABLE = "DD_LOGS_ENABLED"
LABEL_DATADOG_AGENT = "agent.datadoghq.com/name"
"""Label with the name of the DatadogAgent that a DaemonSet belongs to."""
CSI_DRIVER = "k8s.csi.datadoghq.com"


def datadog_facts(
    daemon_sets: Iterable[Manifest],
    services: Services,
    *,
    trusted: TrustedNamespaces = DEFAULT_TRUST,
    csi_driver: bool | None = False,
) -> DatadogFacts:
    """Return the node agents among `daemon_sets`. `services` has the Services of `service_of` that exist.

    Node agents outside the trusted namespaces are separate. Their Services are not used, and their readiness and
    placement are left out, because a rollout of them must not be a change of the facts.
    """
    agents: list[NodeAgent] = []
    unreadable: list[str] = []
    untrusted: list[UntrustedNodeAgent] = []
    for item in daemon_sets:
        installer = installer_of(item)
        if installer is None:
            continue
        namespace, name = _namespace_and_name(item)
        is_trusted = namespace in trusted
        agent = _readable(item, installer, services if is_trusted else {})
        if not is_trusted:
            settings = agent and replace(agent, is_ready=False, placement=ANYWHERE)
            untrusted.append(
                UntrustedNodeAgent(namespace=namespace, name=name, node_agent=settings)
            )
        elif agent is None:
            unreadable.append(f"{namespace}/{name}")
        else:
            agents.append(agent)
    return DatadogFacts(
        node_agents=tuple(sorted(agents, key=_sort_key)),
        untrusted=tuple(sorted(untrusted, key=lambda item: (item.namespace, item.name))),
        trusted_namespaces=trusted,
        csi_driver=csi_driver,
        unreadable=tuple(sorted(unreadable)),
    )


def _readable(daemon_set: Manifest, installer: Installer, services: Services) -> NodeAgent | None:
    """Return the node agent, or None if the DaemonSet cannot be parsed, because it must not hide the others."""
    try:
        return _node_agent(daemon_set, installer, services)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return None


def is_trusted_node_agent(daemon_set: Manifest, trusted: TrustedNamespaces) -> bool:
    """Return True if a DaemonSet is a Datadog node agent in a trusted namespace."""
    return _namespace_and_name(daemon_set)[0] in trusted and installer_of(daemon_set) is not None


def _namespace_and_name(daemon_set: Manifest) -> tuple[str, str]:
    metadata = mapping(daemon_set.get("metadata"))
    return text(metadata.get("namespace")), text(metadata.get("name"))


def _sort_key(agent: NodeAgent) -> tuple[bool, bool, str, str]:
    # Readiness and size are not used. They change during a rollout of the node agent, and messages would change too.
    return not agent.is_for_linux, agent.nodes == 0, agent.namespace, agent.name


def installer_of(daemon_set: Manifest) -> Installer | None:
    """Return the tool that installed this DaemonSet; None if it is not a Datadog node agent."""
    labels = _labels(daemon_set)
    if containers.first_container(daemon_set, *AGENT_CONTAINERS) is None:
        return None
    if labels.get("app.kubernetes.io/managed-by") == "datadog-operator":
        is_agent = labels.get("agent.datadoghq.com/component", "agent") == "agent"
        return Installer.OPERATOR if is_agent else None
    is_chart = CHART.match(text(labels.get("helm.sh/chart"))) is not None
    is_agent = "agent" in (
        labels.get("app.kubernetes.io/component"),
        labels.get("agent.datadoghq.com/component"),
    )
    if not is_agent or not _runs_datadog(daemon_set):
        return None
    if is_chart:
        return Installer.HELM
    # Without the label on its pods, the operator could not see them on the nodes.
    template = mapping(mapping(daemon_set.get("spec")).get("template"))
    pod_labels = mapping(mapping(template.get("metadata")).get("labels"))
    is_visible = pod_labels.get("app.kubernetes.io/component") == "agent"
    return Installer.MANIFEST if is_visible and _has_api_key(daemon_set) else None


def service_of(daemon_set: Manifest) -> ServiceId:
    """Return namespace and name of the node-local Service that belongs to a node agent, whether or not it exists.

    Each profile of a DatadogAgent has a separate DaemonSet, and all of them share the Service of the DatadogAgent.
    """
    metadata = mapping(daemon_set.get("metadata"))
    namespace, own_name = text(metadata.get("namespace")), text(metadata.get("name"))
    installer = installer_of(daemon_set)
    match installer:
        case Installer.OPERATOR:
            datadog_agent = parsing.name(_labels(daemon_set).get(LABEL_DATADOG_AGENT))
            return namespace, f"{datadog_agent}-agent" if datadog_agent else own_name
        case Installer.HELM | Installer.MANIFEST | None:
            return namespace, own_name
        case _:
            assert_never(installer)


def _labels(daemon_set: Manifest) -> Manifest:
    return mapping(mapping(daemon_set.get("metadata")).get("labels"))


def _node_agent(daemon_set: Manifest, installer: Installer, services: Services) -> NodeAgent:
    """Return the node agent that a DaemonSet describes.

    Raises:
        ValueError: The uid, name or namespace is missing.
    """
    metadata, status = daemon_set["metadata"], mapping(daemon_set.get("status"))
    main = containers.first_container(daemon_set, *AGENT_CONTAINERS) or {}
    logs = containers.switch(main, LOGS_VARIABLE, unset=Switch.OFF)
    chart = CHART.match(text(_labels(daemon_set).get("helm.sh/chart")))
    service = services.get(service_of(daemon_set))
    return NodeAgent(
        installer=installer,
        uid=_required(metadata, "uid"),
        name=_required(metadata, "name"),
        namespace=_required(metadata, "namespace"),
        release=_release(metadata),
        chart_version=parsing.tag(chart.group(1)) if chart else None,
        agent_version=containers.image_path(main)[1] or None,
        dogstatsd=_dogstatsd(daemon_set),
        apm=_apm(daemon_set),
        logs=logs,
        logs_blocked_by=_logs_blocked_by(main, logs),
        service=_local_service(daemon_set, service),
        placement=daemon_set_placement(daemon_set),
        is_ready=_is_ready(metadata, status),
        invalid_values=_invalid_values(daemon_set, service),
        nodes=count(status.get("desiredNumberScheduled")),
    )


def _required(metadata: Manifest, key: str) -> str:
    value = text(metadata.get(key))
    if not value:
        raise ValueError(f"metadata.{key} is not a text")
    return value


def _is_ready(metadata: Manifest, status: Manifest) -> bool:
    """Return True if all selected nodes, and no others, have a ready pod of the current version."""
    desired = count(status.get("desiredNumberScheduled"))
    counts = (count(status.get(name)) for name in ("updatedNumberScheduled", "numberReady"))
    return (
        count(status.get("observedGeneration")) >= count(metadata.get("generation"))
        and desired > 0
        and all(item >= desired for item in counts)
        and not status.get("numberMisscheduled", 0)
    )


def _release(metadata: Manifest) -> str:
    # The name becomes part of commands in messages, so only a valid name may replace metadata.name.
    annotated = parsing.name(mapping(metadata.get("annotations")).get("meta.helm.sh/release-name"))
    labelled = parsing.name(mapping(metadata.get("labels")).get(LABEL_DATADOG_AGENT))
    return annotated or labelled or str(metadata["name"])


def _has_api_key(daemon_set: Manifest) -> bool:
    main = containers.first_container(daemon_set, *AGENT_CONTAINERS) or {}
    return any(item.get("name") == "DD_API_KEY" for item in mappings(main.get("env")))


def _runs_datadog(daemon_set: Manifest) -> bool:
    """Return True if the first container runs Datadog's agent.

    Users rename its image when they mirror it, but neither the command of the chart nor the names of Datadog's
    variables and ports.
    """
    main = containers.first_container(daemon_set, *AGENT_CONTAINERS) or {}
    command = main.get("command")
    names = {text(item.get("name")) for item in mappings(main.get("env"))}
    ports = {text(item.get("name")) for item in mappings(main.get("ports"))}
    return (
        containers.image_path(main)[0] == "agent"
        or (isinstance(command, list) and command[:2] == ["agent", "run"])
        or (DOGSTATSD_PORT in ports and any(name.startswith("DD_") for name in names))
        or not names.isdisjoint(DATADOG_VARIABLES)
    )


def _dogstatsd(daemon_set: Manifest) -> TelemetryReceiver:
    container = containers.container_with_port(daemon_set, DOGSTATSD_PORT)
    container = container or containers.first_container(daemon_set, *AGENT_CONTAINERS) or {}
    state = containers.switch(container, "DD_USE_DOGSTATSD", unset=Switch.ON)
    if state is Switch.OFF:
        # No installer sets this variable.
        return TelemetryReceiver(blocked_by=_variable(container, "DD_USE_DOGSTATSD"))
    receiving = containers.with_variables_of(container, _dogstatsd_containers(daemon_set))
    return _receiver(daemon_set, receiving, state, names=DOGSTATSD)


def _dogstatsd_containers(daemon_set: Manifest) -> list[Manifest]:
    """Return the containers that can run DogStatsD. A variable in the last one has precedence."""
    return [
        item for item in containers.containers(daemon_set) if item["name"] in METRICS_CONTAINERS
    ]


def _apm(daemon_set: Manifest) -> TelemetryReceiver:
    container = containers.first_container(daemon_set, *TRACE_CONTAINERS)
    if container is None:
        return OFF
    state = containers.switch(container, "DD_APM_ENABLED", unset=Switch.ON)
    if state is Switch.OFF:
        # If the installation turns traces off, it omits their port. So a declared port means that the user did it.
        is_by_user = containers.declared_port(daemon_set, TRACE_PORT) is not None
        return TelemetryReceiver(
            blocked_by=_variable(container, "DD_APM_ENABLED") if is_by_user else None
        )
    return _receiver(daemon_set, container, state, names=APM)


def _receiver(
    daemon_set: Manifest, container: Manifest, state: Switch, *, names: ReceiverNames
) -> TelemetryReceiver:
    is_closed = (
        containers.switch(container, names.non_local_variable, unset=names.unset) is Switch.OFF
    )
    port = containers.port(daemon_set, container, names.port, names.port_variable)
    declared = containers.declared_port(daemon_set, names.port)
    if declared is not None and not containers.has_protocol(declared, names.protocol):
        port = None
    blocked_by: ContainerVariable | None
    if is_closed:
        blocked_by = _variable(container, names.non_local_variable)
    elif port is None and declared is not None:
        number = parsing.port(declared.get("containerPort"))
        blocked_by = (
            None if number is None else _variable(container, names.port_variable, value=str(number))
        )
    else:
        blocked_by = None
    return TelemetryReceiver(
        state=state,
        port=None if is_closed else port,
        socket=containers.socket(daemon_set, container, names.socket_variable),
        blocked_by=blocked_by,
    )


def _logs_blocked_by(main: Manifest, logs: Switch) -> ContainerVariable | None:
    is_by_user = logs is Switch.OFF and containers.is_overridden(main, LOGS_VARIABLE)
    return _variable(main, LOGS_VARIABLE) if is_by_user else None


def _variable(container: Manifest, name: str, *, value: str = "true") -> ContainerVariable:
    return ContainerVariable(container=container["name"], name=name, value=value)


def _local_service(daemon_set: Manifest, service: Manifest | None) -> LocalService | None:
    """Return the Service if its traffic stays on the node; metrics would else get the tags of other nodes.

    Its selector must select the pods of the DaemonSet.
    """
    spec = mapping((service or {}).get("spec"))
    if service is None or spec.get("internalTrafficPolicy") != "Local":
        return None
    selected = mapping(spec.get("selector")).items()
    template = mapping(mapping(daemon_set.get("spec")).get("template"))
    labels = mapping(mapping(template.get("metadata")).get("labels"))
    if labels and not all(labels.get(key) == value for key, value in selected):
        return None
    name = parsing.name(mapping(service.get("metadata")).get("name"))
    if name is None:
        return None
    return LocalService(
        name=name,
        dogstatsd_port=_service_port(daemon_set, service, DOGSTATSD),
        apm_port=_service_port(daemon_set, service, APM),
    )


def _service_port(daemon_set: Manifest, service: Manifest, names: ReceiverNames) -> int | None:
    """Return the port of a Service that leads to the declared port of a receiver; None if there is none."""
    declared = containers.named_port(daemon_set, names.port)
    for item in mappings(mapping(service.get("spec")).get("ports")):
        target = item.get("targetPort", item.get("port"))
        if isinstance(target, str) and parsing.port(target) is None:
            target = containers.named_port(daemon_set, target)
        is_target = parsing.port(target) == declared
        if declared is not None and is_target and containers.has_protocol(item, names.protocol):
            return parsing.port(item.get("port"))
    return None


def _invalid_values(daemon_set: Manifest, service: Manifest | None) -> tuple[str, ...]:
    """Return reasons why values of a node agent cannot be used."""
    metrics = containers.container_with_port(daemon_set, DOGSTATSD_PORT)
    metrics = metrics or containers.first_container(daemon_set, *AGENT_CONTAINERS) or {}
    traces = containers.first_container(daemon_set, *TRACE_CONTAINERS) or {}
    reasons = [
        reason
        for container, names in ((metrics, DOGSTATSD), (traces, APM))
        for reason in containers.invalid_values(
            daemon_set, container, names.port, (names.port_variable, names.socket_variable)
        )
    ]
    for item in mappings(mapping((service or {}).get("spec")).get("ports")):
        is_used = item.get("name") in (DOGSTATSD_PORT, TRACE_PORT)
        if is_used and parsing.port(item.get("port")) is None:
            reasons.append(f"port {item['name']} of its Service is not a port from 1 to 65535")
    return tuple(reasons)
