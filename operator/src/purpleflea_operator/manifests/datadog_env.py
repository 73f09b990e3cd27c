"""What makes an agent observed: environment, labels and annotations of Datadog on the pod template.

Each feature is a function from agent and connection to its part; the names are in the contract. Everything is written
out, so that Datadog's admission webhook is not needed (and overrides nothing where it runs).
"""

import orjson

from purpleflea_contract import environment as env
from purpleflea_contract import kubernetes, secrets
from purpleflea_contract import tags as metric_tags
from purpleflea_operator.datadog.detection.connection import Connection, ConnectionMode
from purpleflea_operator.manifests import datadog_sockets
from purpleflea_operator.manifests.metadata import Agent
from purpleflea_operator.parsing import MutableManifest

MASKING_RULES = (
    ("mask_api_keys", secrets.API_KEY),
    ("mask_private_keys", secrets.PRIVATE_KEY),
)


def annotations(agent: Agent) -> dict[str, str]:
    """Annotations of the pod template: tags of all that the node agent collects, and opt-in log collection."""
    tags = {**agent.spec.datadog.tags, "strategy": agent.spec.strategy}
    if agent.spec.datadog.team:
        tags["team"] = agent.spec.datadog.team
    if agent.spec.datadog.connection == "Disabled":
        return {}
    return {
        kubernetes.DD_ANNOTATION_TAGS: _json(tags),
        **_log_annotations(agent),
        **_check_annotations(agent),
    }


def environment(agent: Agent, connection: Connection) -> list[MutableManifest]:
    """Environment of the agent container, in an order in which $(VAR) references work."""
    return [
        *_unified_service_tags(),
        *_origin(),
        *local_configuration(),
        *receivers(connection),
        *_features(agent, connection),
    ]


def _log_annotations(agent: Agent) -> dict[str, str]:
    """Opt in to collection, or out of it where the node agent collects all containers."""
    if not agent.spec.datadog.logs.enabled:
        return {kubernetes.DD_ANNOTATION_LOGS_EXCLUDE: "true"}
    return {kubernetes.DD_ANNOTATION_LOGS: _json([_log_source(agent)])}


def _log_source(agent: Agent) -> MutableManifest:
    source: MutableManifest = {"source": "python", "service": agent.spec.datadog.service}
    if agent.spec.datadog.logs.mask_secrets:
        source["log_processing_rules"] = [
            {
                "type": "mask_sequences",
                "name": name,
                "replace_placeholder": "[masked]",
                "pattern": pattern,
            }
            for name, pattern in MASKING_RULES
        ]
    return source


def _check_annotations(agent: Agent) -> dict[str, str]:
    """What the node agent is to run on each pod: nothing unless it is asked for."""
    checks: MutableManifest = {}
    address = f"http://%%host%%:{env.HTTP_PORT}"
    # An agent is called as its pod. Said here too, so that the alarm of one that never answered names it.
    tags = [f"{metric_tags.AGENT_ID.name}:%%kube_pod_name%%"]
    check, open_metrics = agent.spec.datadog.check, agent.spec.datadog.open_metrics
    if check.enabled:
        every = {"min_collection_interval": check.interval_seconds}
        checks[kubernetes.CHECK_NAME] = {"instances": [{"url": address, "tags": tags, **every}]}
    if open_metrics.enabled:
        instance = {
            "openmetrics_endpoint": f"{address}/metrics",
            "namespace": kubernetes.OPENMETRICS_NAMESPACE,
            "metrics": list(open_metrics.metrics),
            "tags": tags,
            "min_collection_interval": open_metrics.interval_seconds,
        }
        checks["openmetrics"] = {"instances": [instance]}
    if not checks:
        return {}
    return {
        kubernetes.DD_ANNOTATION_CHECKS: _json(checks),
        kubernetes.DD_ANNOTATION_TOLERATE_UNREADY: "true",
    }


def _unified_service_tags() -> list[MutableManifest]:
    return [
        _from_field(env.DD_ENV, f"metadata.labels['{kubernetes.DD_LABEL_ENV}']"),
        _from_field(env.DD_SERVICE, f"metadata.labels['{kubernetes.DD_LABEL_SERVICE}']"),
        _from_field(env.DD_VERSION, f"metadata.labels['{kubernetes.DD_LABEL_VERSION}']"),
    ]


def _origin() -> list[MutableManifest]:
    """By these the node agent knows which pod a packet came from, without access to cgroups."""
    return [
        _from_field(env.DD_ENTITY_ID, "metadata.uid"),
        _from_field(env.DD_INTERNAL_POD_UID, "metadata.uid"),
        _value(
            env.DD_EXTERNAL_ENV,
            f"it-false,cn-{kubernetes.CONTAINER},pu-$({env.DD_INTERNAL_POD_UID})",
        ),
    ]


def local_configuration() -> list[MutableManifest]:
    """The variable that turns the tracer's remote configuration off, for every container with variables of Datadog.

    Remote configuration lets Datadog's servers change sampling, instrumentation and security features of a running
    process. An agent trades with real money, so only its spec may change it. The variable is also set without a
    connection, because a variable of `envFrom` may turn the tracer on.
    """
    return [_value(env.DD_REMOTE_CONFIGURATION_ENABLED, "false")]


def receivers(connection: Connection) -> list[MutableManifest]:
    """The variables that say where metrics and traces go."""
    if connection.mode is ConnectionMode.NONE:
        return [_value(env.DD_TRACE_ENABLED, "false")]
    by_socket = connection.mode in (ConnectionMode.SOCKET, ConnectionMode.CSI)
    addresses = _by_socket(connection) if by_socket else _by_port(connection)
    if not connection.supports_traces:
        addresses.append(_value(env.DD_TRACE_ENABLED, "false"))
    return addresses


def _by_socket(connection: Connection) -> list[MutableManifest]:
    urls = {
        env.DD_DOGSTATSD_URL: datadog_sockets.dogstatsd_url(connection),
        env.DD_TRACE_AGENT_URL: datadog_sockets.apm_url(connection),
    }
    return [_value(name, url) for name, url in urls.items() if url is not None]


def _by_port(connection: Connection) -> list[MutableManifest]:
    found = [
        _from_field(env.DD_AGENT_HOST, "status.hostIP")
        if connection.mode is ConnectionMode.HOST_IP
        else _value(env.DD_AGENT_HOST, connection.host)
    ]
    if connection.dogstatsd_port not in (None, env.DOGSTATSD_PORT):
        found.append(_value(env.DD_DOGSTATSD_PORT, str(connection.dogstatsd_port)))
    if connection.apm_port not in (None, env.TRACE_PORT):
        url = f"http://$({env.DD_AGENT_HOST}):{connection.apm_port}"
        found.append(_value(env.DD_TRACE_AGENT_URL, url))
    return found


def _features(agent: Agent, connection: Connection) -> list[MutableManifest]:
    if connection.mode is ConnectionMode.NONE:
        return []
    datadog = agent.spec.datadog
    found: list[MutableManifest] = []
    if not datadog.apm.enabled and connection.supports_traces:
        found.append(_value(env.DD_TRACE_ENABLED, "false"))
    if datadog.apm.sample_rate is not None:
        rules = [{"sample_rate": float(datadog.apm.sample_rate)}]
        found.append(_value(env.DD_TRACE_SAMPLING_RULES, _json(rules)))
    if datadog.apm.runtime_metrics:
        found.append(_value(env.DD_RUNTIME_METRICS_ENABLED, "true"))
    if datadog.apm.profiling:
        found.append(_value(env.DD_PROFILING_ENABLED, "true"))
    if datadog.legacy_histograms:
        found.append(_value(env.LEGACY_HISTOGRAMS, "true"))
    return found


def _from_field(name: str, path: str) -> MutableManifest:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def _value(name: str, value: str) -> MutableManifest:
    return {"name": name, "value": value}


def _json(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
