"""Settings of the node agent from its environment, with Datadog's variable names and meanings.

This is the only module of the node agent that reads the environment. SANDBOX_ variables do not exist in Datadog's
Agent.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class NodeAgentSettingsError(Exception):
    """A variable is invalid; the message contains the valid values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAgentSettings:
    """Settings of a node agent. If a port is 0, as in tests, the system chooses it."""

    intake_url: str
    api_key: str
    hostname: str
    node_name: str = ""
    host_tags: tuple[str, ...] = ()
    bind_host: str = "127.0.0.1"
    dogstatsd_port: int = 8125
    dogstatsd_socket: Path | None = None
    tag_cardinality: str = "low"
    origin_detection_client: bool = False
    apm_enabled: bool = True
    trace_listen_port: int = 8127
    trace_agent_url: str = "http://127.0.0.1:8126"
    logs_enabled: bool = False
    collect_all_logs: bool = False
    pod_logs: Path = Path("/var/log/pods")
    run_dir: Path = Path("/opt/datadog-agent/run")
    checks_python: Path | None = None
    """Interpreter with Datadog's base classes; if None, no checks run."""
    checks_d: Path = Path("/etc/datadog-agent/checks.d")
    conf_d: Path = Path("/etc/datadog-agent/conf.d")
    health_port: int = 5555
    flush_interval_s: float = 2.0
    last_flush_s: float = 2.0
    kubernetes_url: str = ""
    service_account: Path = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def from_environment(environment: Mapping[str, str]) -> NodeAgentSettings:
    """Read settings from variables. Raises NodeAgentSettingsError with the name of the invalid variable."""
    read = _EnvironmentReader(environment)
    node = read.text("SANDBOX_NODE_NAME")
    port = read.port("DD_APM_RECEIVER_PORT", 8126)
    socket, checks_python = read.text("DD_DOGSTATSD_SOCKET"), read.text("SANDBOX_CHECKS_PYTHON")
    return NodeAgentSettings(
        intake_url=read.required("DD_DD_URL").rstrip("/"),
        api_key=read.required("DD_API_KEY"),
        hostname=read.text("DD_HOSTNAME") or node or "localhost",
        node_name=node,
        host_tags=tuple(read.text("DD_TAGS").replace(",", " ").split()),
        bind_host="0.0.0.0" if read.flag("DD_DOGSTATSD_NON_LOCAL_TRAFFIC") else "127.0.0.1",  # noqa: S104 - configured
        dogstatsd_port=read.port("DD_DOGSTATSD_PORT", 8125),
        dogstatsd_socket=Path(socket) if socket else None,
        tag_cardinality=read.choice(
            "DD_DOGSTATSD_TAG_CARDINALITY", ("low", "orchestrator", "high")
        ),
        origin_detection_client=read.flag("DD_DOGSTATSD_ORIGIN_DETECTION_CLIENT"),
        apm_enabled=read.flag("DD_APM_ENABLED", default=True),
        trace_listen_port=read.port("SANDBOX_TRACE_LISTEN_PORT", 8127),
        trace_agent_url=f"http://127.0.0.1:{port}",
        logs_enabled=read.flag("DD_LOGS_ENABLED"),
        collect_all_logs=read.flag("DD_LOGS_CONFIG_CONTAINER_COLLECT_ALL"),
        pod_logs=Path(read.text("SANDBOX_POD_LOGS") or "/var/log/pods"),
        run_dir=Path(read.text("DD_RUN_PATH") or "/opt/datadog-agent/run"),
        checks_python=Path(checks_python) if checks_python else None,
        checks_d=Path(read.text("DD_ADDITIONAL_CHECKSD") or "/etc/datadog-agent/checks.d"),
        conf_d=Path(read.text("DD_CONFD_PATH") or "/etc/datadog-agent/conf.d"),
        health_port=read.port("DD_HEALTH_PORT", 5555),
        flush_interval_s=read.seconds("SANDBOX_FLUSH_INTERVAL", 2.0),
        kubernetes_url=_api_server(read),
    )


def _api_server(read: "_EnvironmentReader") -> str:
    host = read.text("KUBERNETES_SERVICE_HOST")
    shown = f"[{host}]" if ":" in host else host
    return f"https://{shown}:{read.port('KUBERNETES_SERVICE_PORT', 443)}" if host else ""


class _EnvironmentReader:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def text(self, name: str) -> str:
        return self._environment.get(name, "").strip()

    def required(self, name: str) -> str:
        value = self.text(name)
        if not value:
            raise NodeAgentSettingsError(
                f"{name} is not set; the chart sets it; without the chart run: export {name}=..."
            )
        return value

    def flag(self, name: str, *, default: bool = False) -> bool:
        value = self.text(name).lower()
        if value not in ("", "true", "false", "1", "0", "yes", "no"):
            raise NodeAgentSettingsError(f"{name} is {value!r}; it must be true or false")
        return value in ("true", "1", "yes") if value else default

    def port(self, name: str, default: int) -> int:
        value = self.text(name) or str(default)
        if not value.isdigit() or int(value) > 65535:
            raise NodeAgentSettingsError(f"{name} is {value!r}; it must be a port from 0 to 65535")
        return int(value)

    def seconds(self, name: str, default: float) -> float:
        value = self.text(name) or str(default)
        try:
            seconds = float(value)
        except ValueError:
            seconds = 0.0
        if not 0 < seconds <= 600:
            raise NodeAgentSettingsError(
                f"{name} is {value!r}; it must be a number of seconds up to 600"
            )
        return seconds

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        value = self.text(name) or choices[0]
        if value not in choices:
            raise NodeAgentSettingsError(
                f"{name} is {value!r}; it must be one of {', '.join(choices)}"
            )
        return value
