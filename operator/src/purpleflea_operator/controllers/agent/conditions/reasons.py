"""The closed lists of reasons for DatadogInstalled and TelemetryReady; docs/datadog-detection.md explains each.

Which of them holds is decided in `telemetry`, what to do about it stands in `remedies`.
"""

from enum import StrEnum


class DatadogReason(StrEnum):
    """Reasons of DatadogInstalled."""

    FOUND = "Found"
    NOT_FOUND = "NotFound"
    NONE_FOR_LINUX = "NoneForLinux"
    EXTENDED_DAEMON_SET = "ExtendedDaemonSet"
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
    NOT_INJECTED = "NotInjected"
    TELEMETRY_LOST = "TelemetryLost"
    AGENTS_SILENT = "AgentsSilent"
    NODE_AGENT_NOT_READY = "NodeAgentNotReady"
    NOT_VISIBLE = "NotVisible"
    WAITING_FOR_AGENTS = "WaitingForAgents"
    CONNECTED = "Connected"


class Delivery(StrEnum):
    """What is known of a pod by asking it, where that is not simply that it is heard."""

    LOST = "TelemetryLost"
    """It counts losses."""
    SILENT = "AgentsSilent"
    """It does not answer."""
    NEW = "New"
    """It has not answered yet."""
    DOUBTED = "Doubted"
    """Something spoke against it before this operator began to ask; not enough was heard to say otherwise."""
