"""Environment variables, paths and ports between the operator (which sets them) and the agent (which reads them).

No other module contains these names. The DD_ names are those that ddtrace 4.16 and datadog 0.56 read in their source
code. For example, no DogStatsD client reads DD_DOGSTATSD_HOST.
"""

from dataclasses import dataclass

AGENT_ID = "PURPLEFLEA_AGENT_ID"
PAGE_AGENT_ID = "AGENT_ID"
"""Name of the variable in the manifest of the published integration. It is read if AGENT_ID is not set."""
CONFIG_DIR = "PURPLEFLEA_CONFIG_DIR"
API_KEY_FILE = "PURPLEFLEA_API_KEY_FILE"
API_TOKEN_FILE = "PURPLEFLEA_API_TOKEN_FILE"  # noqa: S105 - the name of a variable
STATE_DIR = "PURPLEFLEA_STATE_DIR"
GRACE_PERIOD_S = "PURPLEFLEA_GRACE_PERIOD_S"
LEGACY_HISTOGRAMS = "PURPLEFLEA_LEGACY_HISTOGRAMS"
HTTP_HOST = "PURPLEFLEA_HTTP_HOST"
HTTP_PORT_VARIABLE = "PURPLEFLEA_HTTP_PORT"

DD_AGENT_HOST = "DD_AGENT_HOST"
DD_DOGSTATSD_PORT = "DD_DOGSTATSD_PORT"
DD_DOGSTATSD_URL = "DD_DOGSTATSD_URL"
DD_TRACE_AGENT_URL = "DD_TRACE_AGENT_URL"
DD_TRACE_AGENT_PORT = "DD_TRACE_AGENT_PORT"
DD_TRACE_ENABLED = "DD_TRACE_ENABLED"
DD_ENV = "DD_ENV"
DD_SERVICE = "DD_SERVICE"
DD_VERSION = "DD_VERSION"
DD_ENTITY_ID = "DD_ENTITY_ID"
DD_EXTERNAL_ENV = "DD_EXTERNAL_ENV"
DD_INTERNAL_POD_UID = "DD_INTERNAL_POD_UID"
DD_LOGS_INJECTION = "DD_LOGS_INJECTION"
DD_TRACE_SAMPLING_RULES = "DD_TRACE_SAMPLING_RULES"
DD_RUNTIME_METRICS_ENABLED = "DD_RUNTIME_METRICS_ENABLED"
DD_PROFILING_ENABLED = "DD_PROFILING_ENABLED"
DD_REMOTE_CONFIGURATION_ENABLED = "DD_REMOTE_CONFIGURATION_ENABLED"

SETTINGS_FILE = "settings.json"
CONTROL_FILE = "control.json"

DEFAULT_CONFIG_DIR = "/etc/purpleflea"
DEFAULT_STATE_DIR = "/var/lib/purpleflea"
DEFAULT_API_KEY_DIR = "/var/run/purpleflea/api-key"
DEFAULT_API_TOKEN_DIR = "/var/run/purpleflea/api-token"  # noqa: S105 - a folder
SOCKETS_DIR = "/var/run/datadog"
APM_SOCKETS_DIR = "/var/run/datadog-apm"
TEMPORARY_DIR = "/tmp"  # noqa: S108 - a volume in the container

DEFAULT_HTTP_HOST = "::"
"""Every address of both families, because the kubelet and the operator connect over IPv4 or IPv6."""
DEFAULT_GRACE_PERIOD_S = 30
HTTP_PORT = 8000
DOGSTATSD_PORT = 8125
TRACE_PORT = 8126


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A variable, when the operator sets it, and its meaning for an agent."""

    name: str
    set: str
    meaning: str
    unset: str = ""
    """Value with the same effect as no variable. Most are empty, but the tracer reads an empty switch as false and
    refuses an empty port."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MountedFolder:
    """A folder that the operator mounts into an agent's container."""

    path: str
    mounted: str
    meaning: str


VARIABLES = (
    Variable(
        name=AGENT_ID,
        set="always",
        meaning="Identity of the agent: the name of its pod. Sent as X-Agent-Id and as the tag agent_id.",
    ),
    Variable(name=CONFIG_DIR, set="always", meaning="Folder of settings.json and control.json."),
    Variable(name=STATE_DIR, set="always", meaning="Folder of the trade journal."),
    Variable(
        name=API_KEY_FILE,
        set="always",
        meaning="File with the Purple Flea API key. Read it again when it changes and after a 401.",
    ),
    Variable(
        name=API_TOKEN_FILE,
        set="with spec.api.tokenSecretRef",
        meaning="File with the bearer token of the agent's routes that move money. Without it they are closed.",
    ),
    Variable(
        name=GRACE_PERIOD_S,
        set="always",
        meaning="Seconds from SIGTERM to SIGKILL (spec.pod.terminationGracePeriodSeconds).",
    ),
    Variable(
        name=LEGACY_HISTOGRAMS,
        set="with spec.datadog.legacyHistograms",
        meaning="true sends distributions as histograms.",
        unset="false",
    ),
    Variable(
        name=HTTP_HOST,
        set="never",
        meaning="Address to bind. If it is not set, every IPv6 and IPv4 address is bound.",
    ),
    Variable(
        name=HTTP_PORT_VARIABLE,
        set="never",
        meaning=f"Port to bind; {HTTP_PORT} unless set.",
        unset=str(HTTP_PORT),
    ),
    Variable(
        name=DD_AGENT_HOST,
        set="if a node agent was detected and is not reached by sockets",
        meaning="Host of the node agent, for metrics and traces.",
    ),
    Variable(
        name=DD_DOGSTATSD_PORT,
        set=f"if it is not {DOGSTATSD_PORT}",
        meaning="UDP port of the node agent's DogStatsD server.",
        unset=str(DOGSTATSD_PORT),
    ),
    Variable(
        name=DD_DOGSTATSD_URL,
        set="if it is a socket",
        meaning="Address of the DogStatsD server, such as unix:///var/run/datadog/dsd.socket.",
    ),
    Variable(
        name=DD_TRACE_AGENT_URL,
        set="if it is a socket",
        meaning="Address of the node agent's trace intake.",
    ),
    Variable(
        name=DD_TRACE_AGENT_PORT,
        set=f"if it is not {TRACE_PORT}",
        meaning="TCP port of the node agent's trace intake on DD_AGENT_HOST, which may be an IPv6 address.",
        unset=str(TRACE_PORT),
    ),
    Variable(
        name=DD_TRACE_ENABLED,
        set="to false if no trace intake was detected, or spec.datadog.apm.enabled is false",
        meaning="Whether traces are created.",
        unset="true",
    ),
    Variable(name=DD_ENV, set="always", meaning="Unified service tag env."),
    Variable(name=DD_SERVICE, set="always", meaning="Unified service tag service."),
    Variable(name=DD_VERSION, set="always", meaning="Unified service tag version."),
    Variable(
        name=DD_ENTITY_ID,
        set="always",
        meaning="UID of the pod, for origin detection of its metrics.",
    ),
    Variable(
        name=DD_INTERNAL_POD_UID, set="always", meaning="UID of the pod, for the next variable."
    ),
    Variable(
        name=DD_EXTERNAL_ENV, set="always", meaning="Origin of metrics and traces, by container."
    ),
    Variable(
        name=DD_LOGS_INJECTION,
        set="never",
        meaning="Trace ids on log records; on by default in ddtrace 4.",
    ),
    Variable(
        name=DD_TRACE_SAMPLING_RULES,
        set="with spec.datadog.apm.sampleRate",
        meaning="Share of traces that are kept.",
    ),
    Variable(
        name=DD_RUNTIME_METRICS_ENABLED,
        set="with spec.datadog.apm.runtimeMetrics",
        meaning="Metrics of the Python runtime.",
        unset="false",
    ),
    Variable(
        name=DD_PROFILING_ENABLED,
        set="with spec.datadog.apm.profiling",
        meaning="Continuous profiling.",
        unset="false",
    ),
    Variable(
        name=DD_REMOTE_CONFIGURATION_ENABLED,
        set="always; true with spec.datadog.remoteConfiguration, else false",
        meaning="Remote configuration of the tracer: whether Datadog's servers may change the process of an agent.",
    ),
)

ALIASES = {
    "DATADOG_TAGS": "",
    "DD_AGENT_PORT": str(TRACE_PORT),
    "DD_DOGSTATSD_DISABLE": "",
    "DD_DOGSTATSD_HOST": "",
    "DD_TAGS": "",
    "DD_TRACE_AGENT_HOSTNAME": "",
    "OTEL_RESOURCE_ATTRIBUTES": "",
    "OTEL_SERVICE_NAME": "",
}
"""Variables that Datadog's libraries read instead of, or in addition to, those above, and the value without an effect.
The operator never needs them, and with another value they would replace addresses and tags that it sets."""

MOUNTS = (
    MountedFolder(
        path=DEFAULT_CONFIG_DIR,
        mounted="always, read-only",
        meaning="settings.json (of the revision of the pod) and control.json (from a ConfigMap).",
    ),
    MountedFolder(
        path=DEFAULT_API_KEY_DIR,
        mounted="always, read-only",
        meaning="Secret: the API key, a file.",
    ),
    MountedFolder(
        path=DEFAULT_API_TOKEN_DIR,
        mounted="with spec.api.tokenSecretRef, read-only",
        meaning="Secret: the bearer token, a file.",
    ),
    MountedFolder(
        path=DEFAULT_STATE_DIR,
        mounted="always",
        meaning="Journal: a PersistentVolumeClaim, or with spec.storage.ephemeral an emptyDir with the lifetime of the"
        " pod.",
    ),
    MountedFolder(
        path=SOCKETS_DIR,
        mounted="with spec.datadog.connection Socket or CSI, read-only",
        meaning="Folder with the sockets of the node agent.",
    ),
    MountedFolder(
        path=APM_SOCKETS_DIR,
        mounted="if the socket of the trace intake is in another folder, read-only",
        meaning="Folder with that socket.",
    ),
    MountedFolder(
        path=TEMPORARY_DIR,
        mounted="always",
        meaning="Temporary files, because the root file system is read-only.",
    ),
)
