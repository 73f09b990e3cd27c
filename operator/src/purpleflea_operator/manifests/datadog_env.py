"""Environment variables and annotations of Datadog on the pod template.

Each feature is a function from agent and connection to its part. The names come from the contract. All values are
explicit, so Datadog's admission webhook is not needed, and if it runs, it does not override anything.
"""

from typing import assert_never

import orjson

from purpleflea_contract import environment as env
from purpleflea_contract import kubernetes
from purpleflea_contract import tags as metric_tags
from purpleflea_operator.datadog.detection.connection import Connection, ConnectionMode
from purpleflea_operator.manifests import collection, datadog_sockets, user_tags
from purpleflea_operator.manifests.metadata import Agent, Defaults
from purpleflea_operator.parsing import MutableManifest


def annotations(agent: Agent, defaults: Defaults) -> dict[str, str]:
    """Return the annotations of the pod template: tags for all collected data, log collection, and checks."""
    tags = {**user_tags.effective(agent), metric_tags.STRATEGY.name: agent.spec.strategy}
    if agent.spec.datadog.team:
        tags[user_tags.TEAM] = agent.spec.datadog.team
    if agent.spec.datadog.cluster or defaults.cluster:
        tags[user_tags.CLUSTER] = agent.spec.datadog.cluster or defaults.cluster
    if agent.spec.datadog.connection == "Disabled":
        return {}
    collected = _instrumented(agent) if defaults.uses_instrumentation else _collected(agent)
    return {kubernetes.DD_ANNOTATION_TAGS: _json(tags), **collected}


def reserved(agent: Agent) -> frozenset[str]:
    """Return the annotations that users cannot set. They do not depend on the way in which checks are requested."""
    if agent.spec.datadog.connection == "Disabled":
        return frozenset()
    return frozenset({kubernetes.DD_ANNOTATION_TAGS, *_collected(agent)})


def environment(agent: Agent, connection: Connection) -> list[MutableManifest]:
    """Return the environment of the agent container, in a sequence in which $(VAR) references work."""
    return [
        *_unified_service_tags(),
        *_origin(),
        *local_configuration(is_remote=agent.spec.datadog.remote_configuration),
        *receivers(connection),
        *_features(agent, connection),
    ]


def _collected(agent: Agent) -> dict[str, str]:
    """Return the annotations if they have the logs and checks."""
    source, checks = collection.log_source(agent), collection.checks(agent)
    found = _without_logs() if source is None else {kubernetes.DD_ANNOTATION_LOGS: _json([source])}
    if checks:
        instances = {name: {"instances": items} for name, items in checks.items()}
        found[kubernetes.DD_ANNOTATION_CHECKS] = _json(instances)
        found[kubernetes.DD_ANNOTATION_TOLERATE_UNREADY] = "true"
    return found


def _instrumented(agent: Agent) -> dict[str, str]:
    """Return the annotations if a DatadogInstrumentation has the logs and checks. They depend on no check."""
    return {
        **(_without_logs() if collection.log_source(agent) is None else {}),
        kubernetes.DD_ANNOTATION_TOLERATE_UNREADY: "true",
        kubernetes.ANNOTATION_COLLECTION: kubernetes.DD_INSTRUMENTATION_KIND,
    }


def _without_logs() -> dict[str, str]:
    """Disable the logs, if the node agent collects those of all containers. No other kind can do it."""
    return {kubernetes.DD_ANNOTATION_LOGS_EXCLUDE: "true"}


def _unified_service_tags() -> list[MutableManifest]:
    return [
        _from_field(env.DD_ENV, f"metadata.labels['{kubernetes.DD_LABEL_ENV}']"),
        _from_field(env.DD_SERVICE, f"metadata.labels['{kubernetes.DD_LABEL_SERVICE}']"),
        _from_field(env.DD_VERSION, f"metadata.labels['{kubernetes.DD_LABEL_VERSION}']"),
    ]


def _origin() -> list[MutableManifest]:
    """Return the variables from which the node agent detects the pod of a packet without access to cgroups."""
    return [
        _from_field(env.DD_ENTITY_ID, "metadata.uid"),
        _from_field(env.DD_INTERNAL_POD_UID, "metadata.uid"),
        _value(
            env.DD_EXTERNAL_ENV,
            f"it-false,cn-{kubernetes.CONTAINER},pu-$({env.DD_INTERNAL_POD_UID})",
        ),
    ]


def local_configuration(*, is_remote: bool = False) -> list[MutableManifest]:
    """Return the variable that turns the tracer's remote configuration off or on, for a container that uses Datadog.

    Remote configuration lets Datadog's servers change sampling, instrumentation and security features of a running
    process. An agent trades with real money, so it needs spec.datadog.remoteConfiguration. The variable is also set
    without a connection, because a variable of `envFrom` may turn the tracer on.
    """
    return [_value(env.DD_REMOTE_CONFIGURATION_ENABLED, "true" if is_remote else "false")]


def receivers(connection: Connection) -> list[MutableManifest]:
    """Return the variables with the addresses for metrics and traces."""
    tracer_off = _value(env.DD_TRACE_ENABLED, "false")
    match connection.mode:
        case ConnectionMode.NONE:
            return [tracer_off]
        case (
            ConnectionMode.HOST_IP
            | ConnectionMode.SERVICE
            | ConnectionMode.SIDECAR
            | ConnectionMode.ENDPOINT
        ):
            addresses = _ports(connection)
        case ConnectionMode.SOCKET | ConnectionMode.CSI:
            addresses = _sockets(connection)
        case _:
            assert_never(connection.mode)
    return addresses if connection.supports_traces else [*addresses, tracer_off]


def _sockets(connection: Connection) -> list[MutableManifest]:
    urls = {
        env.DD_DOGSTATSD_URL: datadog_sockets.dogstatsd_url(connection),
        env.DD_TRACE_AGENT_URL: datadog_sockets.apm_url(connection),
    }
    return [_value(name, url) for name, url in urls.items() if url is not None]


def _ports(connection: Connection) -> list[MutableManifest]:
    variables = [
        _from_field(env.DD_AGENT_HOST, "status.hostIP")
        if connection.mode is ConnectionMode.HOST_IP
        else _value(env.DD_AGENT_HOST, connection.host)
    ]
    if connection.dogstatsd_port not in (None, env.DOGSTATSD_PORT):
        variables.append(_value(env.DD_DOGSTATSD_PORT, str(connection.dogstatsd_port)))
    if connection.apm_port not in (None, env.TRACE_PORT):
        # Not a URL: a host that is an IPv6 address needs brackets there, and an IPv4 address must not have them. The
        # address of the node is only known in the pod.
        variables.append(_value(env.DD_TRACE_AGENT_PORT, str(connection.apm_port)))
    return variables


def _features(agent: Agent, connection: Connection) -> list[MutableManifest]:
    if connection.mode is ConnectionMode.NONE:
        return []
    datadog = agent.spec.datadog
    variables: list[MutableManifest] = []
    if not datadog.apm.enabled and connection.supports_traces:
        variables.append(_value(env.DD_TRACE_ENABLED, "false"))
    if datadog.apm.sample_rate is not None:
        rules = [{"sample_rate": float(datadog.apm.sample_rate)}]
        variables.append(_value(env.DD_TRACE_SAMPLING_RULES, _json(rules)))
    if datadog.apm.runtime_metrics:
        variables.append(_value(env.DD_RUNTIME_METRICS_ENABLED, "true"))
    if datadog.apm.profiling:
        variables.append(_value(env.DD_PROFILING_ENABLED, "true"))
    if datadog.legacy_histograms:
        variables.append(_value(env.LEGACY_HISTOGRAMS, "true"))
    return variables


def _from_field(name: str, path: str) -> MutableManifest:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def _value(name: str, value: str) -> MutableManifest:
    return {"name": name, "value": value}


def _json(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
