"""DaemonSets -> node agents, by the labels, containers and ports that Datadog's installers give them.

Names prove nothing: Helm release names are free, and a Helm release and a DatadogAgent can yield the same one. Neither
do CRDs or a running Datadog operator: the Helm chart brings both by default.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from purpleflea_operator import parsing
from purpleflea_operator.datadog.detection import containers
from purpleflea_operator.datadog.detection.facts import (
    OFF,
    DatadogFacts,
    Installer,
    LocalService,
    NodeAgent,
    Receiver,
    Switch,
    Variable,
)
from purpleflea_operator.datadog.detection.placement import daemon_set_placement
from purpleflea_operator.parsing import Manifest, count, rows, table, text

ServiceId = tuple[str, str]
"""Namespace and name."""
Services = Mapping[ServiceId, Manifest]

CHART = re.compile(r"^datadog-(\d[\w.+-]*)$")
AGENT_CONTAINERS = ("agent", "unprivileged-single-agent")
TRACE_CONTAINERS = ("trace-agent", "unprivileged-single-agent")
DOGSTATSD_PORT = "dogstatsdport"
TRACE_PORT = "traceport"


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What a receiver is told by: the name of its port, and variables."""

    port: str
    number: str
    socket: str
    non_local: str
    """Opens it to other pods."""


DOGSTATSD = Names(
    port=DOGSTATSD_PORT,
    number="DD_DOGSTATSD_PORT",
    socket="DD_DOGSTATSD_SOCKET",
    non_local="DD_DOGSTATSD_NON_LOCAL_TRAFFIC",
)
APM = Names(
    port=TRACE_PORT,
    number="DD_APM_RECEIVER_PORT",
    socket="DD_APM_RECEIVER_SOCKET",
    non_local="DD_APM_NON_LOCAL_TRAFFIC",
)
LOGS = "DD_LOGS_ENABLED"
DATADOG_AGENT = "agent.datadoghq.com/name"
"""Label with the name of the DatadogAgent that a DaemonSet was made for."""
CSI_DRIVER = "k8s.csi.datadoghq.com"


def datadog_facts(
    daemon_sets: Iterable[Manifest], services: Services, *, csi_driver: bool | None = False
) -> DatadogFacts:
    """The node agents among `daemon_sets`; `services` are those that exist of the ones `service_of` names."""
    found: list[NodeAgent] = []
    unreadable = []
    for item in daemon_sets:
        try:
            agent = node_agent(item, services)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            # One DaemonSet that cannot be read must not hide the others.
            unreadable.append(_label(item))
        else:
            found += [agent] if agent is not None else []
    return DatadogFacts(
        node_agents=tuple(sorted(found, key=_preference)),
        csi_driver=csi_driver,
        unreadable=tuple(sorted(unreadable)),
    )


def _label(daemon_set: Manifest) -> str:
    metadata = table(daemon_set.get("metadata"))
    return f"{text(metadata.get('namespace'))}/{text(metadata.get('name'))}"


def _preference(agent: NodeAgent) -> tuple[bool, bool, str, str]:
    # Neither readiness nor size: they change while node agents roll out, and what is told would change with them.
    return not agent.is_for_linux, agent.nodes == 0, agent.namespace, agent.name


def installer_of(daemon_set: Manifest) -> Installer | None:
    """What installed this DaemonSet; None where it is no Datadog node agent."""
    labels = _labels(daemon_set)
    if containers.container(daemon_set, *AGENT_CONTAINERS) is None:
        return None
    if labels.get("app.kubernetes.io/managed-by") == "datadog-operator":
        is_agent = labels.get("agent.datadoghq.com/component", "agent") == "agent"
        return Installer.OPERATOR if is_agent else None
    is_chart = CHART.match(text(labels.get("helm.sh/chart"))) is not None
    is_agent = "agent" in (
        labels.get("app.kubernetes.io/component"),
        labels.get("agent.datadoghq.com/component"),
    )
    return Installer.HELM if is_chart and is_agent and _has_agent_image(daemon_set) else None


def service_of(daemon_set: Manifest) -> ServiceId:
    """Namespace and name of the node-local Service that belongs to a node agent, if there is one.

    Profiles of a DatadogAgent have DaemonSets of their own and share its Service.
    """
    metadata = table(daemon_set.get("metadata"))
    owner = parsing.name(_labels(daemon_set).get(DATADOG_AGENT))
    is_operator = installer_of(daemon_set) is Installer.OPERATOR
    name = f"{owner}-agent" if is_operator and owner else text(metadata.get("name"))
    return text(metadata.get("namespace")), name


def _labels(daemon_set: Manifest) -> Manifest:
    return table(table(daemon_set.get("metadata")).get("labels"))


def node_agent(daemon_set: Manifest, services: Services) -> NodeAgent | None:
    """What is known about one DaemonSet; None where it is no Datadog node agent."""
    installer = installer_of(daemon_set)
    if installer is None:
        return None
    metadata, status = daemon_set["metadata"], table(daemon_set.get("status"))
    main = containers.container(daemon_set, *AGENT_CONTAINERS) or {}
    logs = containers.switch(main, LOGS, unset=Switch.OFF)
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
        logs_blocked_by=_logs_barrier(main, logs),
        service=_local_service(service),
        placement=daemon_set_placement(daemon_set),
        is_ready=_is_ready(metadata, status),
        invalid_values=_invalid_values(daemon_set, service),
        nodes=count(status.get("desiredNumberScheduled")),
    )


def _required(metadata: Manifest, key: str) -> str:
    found = text(metadata.get(key))
    if not found:
        raise ValueError(f"metadata.{key} is not a text")
    return found


def _is_ready(metadata: Manifest, status: Manifest) -> bool:
    """Whether each node that a DaemonSet wants runs a ready pod of its present version, and no other node runs one."""
    wanted = count(status.get("desiredNumberScheduled"))
    counts = (count(status.get(name)) for name in ("updatedNumberScheduled", "numberReady"))
    return (
        count(status.get("observedGeneration")) >= count(metadata.get("generation"))
        and wanted > 0
        and all(count >= wanted for count in counts)
        and not status.get("numberMisscheduled", 0)
    )


def _release(metadata: Manifest) -> str:
    # The name becomes part of commands for people, so that text of another form must not take its place.
    annotated = parsing.name(table(metadata.get("annotations")).get("meta.helm.sh/release-name"))
    labelled = parsing.name(table(metadata.get("labels")).get(DATADOG_AGENT))
    return annotated or labelled or str(metadata["name"])


def _has_agent_image(daemon_set: Manifest) -> bool:
    main = containers.container(daemon_set, *AGENT_CONTAINERS)
    return containers.image_path(main)[0] == "agent"


def _dogstatsd(daemon_set: Manifest) -> Receiver:
    owner = containers.owner_of_port(daemon_set, DOGSTATSD_PORT)
    owner = owner or containers.container(daemon_set, *AGENT_CONTAINERS) or {}
    state = containers.switch(owner, "DD_USE_DOGSTATSD", unset=Switch.ON)
    if state is Switch.OFF:
        # No installer sets this variable.
        return Receiver(blocked_by=_variable(owner, "DD_USE_DOGSTATSD"))
    return _receiver(daemon_set, owner, state, names=DOGSTATSD)


def _apm(daemon_set: Manifest) -> Receiver:
    owner = containers.container(daemon_set, *TRACE_CONTAINERS)
    if owner is None:
        return OFF
    state = containers.switch(owner, "DD_APM_ENABLED", unset=Switch.ON)
    if state is Switch.OFF:
        # An installer that turns traces off leaves their port out.
        is_users = containers.declared_port(daemon_set, TRACE_PORT) is not None
        return Receiver(blocked_by=_variable(owner, "DD_APM_ENABLED") if is_users else None)
    return _receiver(daemon_set, owner, state, names=APM)


def _receiver(daemon_set: Manifest, owner: Manifest, state: Switch, *, names: Names) -> Receiver:
    is_closed = containers.switch(owner, names.non_local, unset=Switch.ON) is Switch.OFF
    port = containers.port(daemon_set, owner, names.port, names.number)
    declared = containers.declared_port(daemon_set, names.port)
    blocked_by: Variable | None
    if is_closed:
        blocked_by = _variable(owner, names.non_local)
    elif port is None and declared is not None:
        number = parsing.port(declared.get("containerPort"))
        blocked_by = None if number is None else _variable(owner, names.number, value=str(number))
    else:
        blocked_by = None
    return Receiver(
        state=state,
        port=None if is_closed else port,
        socket=containers.socket(daemon_set, owner, names.socket),
        blocked_by=blocked_by,
    )


def _logs_barrier(main: Manifest, logs: Switch) -> Variable | None:
    is_users = logs is Switch.OFF and containers.is_overridden(main, LOGS)
    return _variable(main, LOGS) if is_users else None


def _variable(owner: Manifest, name: str, *, value: str = "true") -> Variable:
    return Variable(container=owner["name"], name=name, value=value)


def _local_service(service: Manifest | None) -> LocalService | None:
    """The Service, if it keeps to the node: another one would mix up the nodes' tags."""
    spec = table((service or {}).get("spec"))
    if service is None or spec.get("internalTrafficPolicy") != "Local":
        return None
    ports = {text(item.get("name")): item.get("port") for item in rows(spec.get("ports"))}
    name = parsing.name(table(service.get("metadata")).get("name"))
    if name is None:
        return None
    return LocalService(
        name=name,
        dogstatsd_port=parsing.port(ports.get(DOGSTATSD_PORT)),
        apm_port=parsing.port(ports.get(TRACE_PORT)),
    )


def _invalid_values(daemon_set: Manifest, service: Manifest | None) -> tuple[str, ...]:
    """Reasons why values of a node agent cannot be used."""
    metrics = containers.owner_of_port(daemon_set, DOGSTATSD_PORT)
    metrics = metrics or containers.container(daemon_set, *AGENT_CONTAINERS) or {}
    traces = containers.container(daemon_set, *TRACE_CONTAINERS) or {}
    found = [
        reason
        for owner, names in ((metrics, DOGSTATSD), (traces, APM))
        for reason in containers.invalid_values(
            daemon_set, owner, names.port, (names.number, names.socket)
        )
    ]
    for item in rows(table((service or {}).get("spec")).get("ports")):
        known = item.get("name") in (DOGSTATSD_PORT, TRACE_PORT)
        if known and parsing.port(item.get("port")) is None:
            found.append(f"port {item['name']} of its Service is not a port from 1 to 65535")
    return tuple(found)
