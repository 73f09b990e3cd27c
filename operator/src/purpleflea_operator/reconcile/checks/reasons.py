"""The closed lists of reasons for DatadogInstalled and TelemetryReady; docs/datadog-detection.md explains each.

Which of them holds is decided in `telemetry`, what to do about it stands in `remedies`.
"""

from enum import StrEnum


class DatadogReason(StrEnum):
    """Reasons of DatadogInstalled."""

    FOUND = "Found"
    NOT_FOUND = "NotFound"
    NONE_FOR_LINUX = "NoneForLinux"
    NOT_VISIBLE = "NotVisible"


class TelemetryReason(StrEnum):
    """Reasons of TelemetryReady, in the order in which they are looked for."""

    SPEC_INVALID = "SpecInvalid"
    DISABLED = "Disabled"
    NODE_AGENT_MISSING = "NodeAgentMissing"
    METRICS_OFF = "MetricsOff"
    POD_SECURITY = "PodSecurityForbids"
    NO_CONNECTION = "NoConnection"
    NODES_UNCOVERED = "NodesUncovered"
    APM_OFF = "ApmOff"
    TRACES_UNREACHABLE = "TracesUnreachable"
    LOGS_OFF = "LogsOff"
    WAITING_FOR_AGENTS = "WaitingForAgents"
    NOT_INJECTED = "NotInjected"
    TELEMETRY_LOST = "TelemetryLost"
    AGENTS_SILENT = "AgentsSilent"
    NODE_AGENT_NOT_READY = "NodeAgentNotReady"
    NOT_VISIBLE = "NotVisible"
    CONNECTED = "Connected"
