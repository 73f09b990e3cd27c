"""Environment variables, paths and ports between the operator (which sets them) and the agent (which reads them).

Nothing else reads or writes these names. The DD_ names are those that ddtrace 4.16 and datadog 0.56 really read
(found in their sources): DD_DOGSTATSD_HOST, for one, is read by no DogStatsD client.
"""

AGENT_ID = "PURPLEFLEA_AGENT_ID"
"""Identity of the agent: metadata.name of its pod."""
CONFIG_DIR = "PURPLEFLEA_CONFIG_DIR"
"""Folder of settings.json and control.json (the mounted ConfigMap)."""
API_KEY_FILE = "PURPLEFLEA_API_KEY_FILE"
"""File with the Purple Flea API key; re-read when it changes."""
API_TOKEN_FILE = "PURPLEFLEA_API_TOKEN_FILE"  # noqa: S105 - the name of a variable
"""File with the bearer token of the agent's own money-moving endpoints; absent or empty = they are closed."""
STATE_DIR = "PURPLEFLEA_STATE_DIR"
"""Folder of the trade journal."""
HTTP_HOST = "PURPLEFLEA_HTTP_HOST"
"""Address that the agent's HTTP server binds; all of them unless set."""
HTTP_PORT_VARIABLE = "PURPLEFLEA_HTTP_PORT"
"""Port that the agent's HTTP server binds; HTTP_PORT unless set (in a pod it is never set)."""

DD_AGENT_HOST = "DD_AGENT_HOST"
DD_DOGSTATSD_PORT = "DD_DOGSTATSD_PORT"
DD_DOGSTATSD_URL = "DD_DOGSTATSD_URL"
DD_TRACE_AGENT_URL = "DD_TRACE_AGENT_URL"
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

SETTINGS_FILE = "settings.json"
CONTROL_FILE = "control.json"

DEFAULT_CONFIG_DIR = "/etc/purpleflea"
DEFAULT_STATE_DIR = "/var/lib/purpleflea"
DEFAULT_API_KEY_DIR = "/var/run/purpleflea/api-key"
DEFAULT_API_TOKEN_DIR = "/var/run/purpleflea/api-token"  # noqa: S105 - a folder

DEFAULT_HTTP_HOST = "0.0.0.0"  # noqa: S104 - the kubelet and the operator must reach it
HTTP_PORT = 8000
DOGSTATSD_PORT = 8125
TRACE_PORT = 8126
