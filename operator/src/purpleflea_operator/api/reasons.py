"""Reasons of all conditions and Events of all resources: the only place that has their text.

A reason is public API: clients match it, so a published value does not change. The package `explanations` has the
severity, the status, the meaning and the remedy of each reason. The rules that select a reason are not here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from purpleflea_operator.api.agent_status import ConditionStatus


class Severity(StrEnum):
    """Urgency of a reason: it decides whether, and with which type, an Event is posted."""

    NORMAL = "Normal"
    """The state that the user requested. After a Warning, an Event of type Normal reports the recovery."""
    WARNING = "Warning"
    """A state that a user should check. An Event of type Warning is posted."""
    IN_PROGRESS = "InProgress"
    """The requested change is being applied. No Event is posted."""
    QUIET = "Quiet"
    """The user chose this state, it ends by itself, or it cannot be observed. No Event is posted."""

    @property
    def posts_events(self) -> bool:
        """Whether a transition to this reason can post an Event."""
        return self in (Severity.NORMAL, Severity.WARNING)


class Reason(StrEnum):
    """Reasons of conditions and Events."""

    # Ready of an agent
    READY = "Ready"
    WAITING_FOR_OPERATOR = "WaitingForOperator"
    DUPLICATE_IDENTITY = "DuplicateIdentity"

    # SpecValid
    VALID = "Valid"
    FIELDS_UNSUPPORTED = "FieldsUnsupported"
    OVERRIDE_IGNORED = "OverrideIgnored"
    INVALID = "Invalid"

    # WorkloadAvailable, Progressing
    NOT_WATCHED = "NotWatched"
    ALL_READY = "AllReady"
    SCALED_TO_ZERO = "ScaledToZero"
    PROGRESSING = "Progressing"
    COMPLETE = "Complete"
    ROLLING_OUT = "RollingOut"
    OPERATOR_UPGRADE = "OperatorUpgrade"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    CONFIGURATION_MISSING = "ConfigurationMissing"
    CONTAINER_NOT_CREATED = "ContainerNotCreated"
    CRASH_LOOPING = "CrashLooping"
    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105 - not a password
    PODS_REFUSED = "PodsRefused"
    UNSCHEDULABLE = "Unschedulable"
    NODE_LOST = "NodeLost"
    VOLUME_NOT_MOUNTED = "VolumeNotMounted"
    NOT_READY = "NotReady"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    APPLY_FAILED = "ApplyFailed"
    NAME_TAKEN = "NameTaken"
    NOT_STORED = "NotStored"
    RECREATION_DELAYED = "RecreationDelayed"
    HALTS_UNREAD = "HaltsUnread"
    SPEC_INVALID = "SpecInvalid"

    # DatadogInstalled
    FOUND = "Found"
    NOT_FOUND = "NotFound"
    UNTRUSTED_NODE_AGENT = "UntrustedNodeAgent"
    NONE_FOR_LINUX = "NoneForLinux"
    EXTENDED_DAEMON_SET = "ExtendedDaemonSet"
    NOT_VISIBLE = "NotVisible"

    # TelemetryReady, in the sequence in which they are checked
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
    WAITING_FOR_AGENTS = "WaitingForAgents"
    NOT_COLLECTED = "NotCollected"
    CONNECTED = "Connected"

    # TradingActive
    ACTIVE = "Active"
    RESUMING = "Resuming"
    HALTING = "Halting"
    HALTED = "Halted"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    STOPPED_INCOMPLETE = "StoppedIncomplete"

    # Accepted, Halted and Draining of a halt
    ACCEPTED = "Accepted"
    SCOPE_LIMITED = "ScopeLimited"
    NOTHING_SELECTED = "NothingSelected"
    EXPIRED = "Expired"
    DRAINING = "Draining"
    DRAINED = "Drained"

    # DuplicateIdentity
    UNIQUE = "Unique"
    NOT_STARTED = "NotStarted"
    ALREADY_RUNNING = "AlreadyRunning"
    ALLOWED = "Allowed"

    # StorageReady
    EPHEMERAL = "Ephemeral"
    VOLUMES_KEPT = "VolumesKept"
    NO_STORAGE_CLASS = "NoStorageClass"
    PROVISIONING = "Provisioning"
    VOLUME_PENDING = "VolumePending"
    VOLUME_LOST = "VolumeLost"
    EXPANDING = "Expanding"
    EXPANSION_REFUSED = "ExpansionRefused"
    CANNOT_SHRINK = "CannotShrink"
    CLASS_DIFFERS = "ClassDiffers"

    # WithinBudget
    WITHIN_BUDGET = "WithinBudget"
    BUDGET_EXCEEDED = "BudgetExceeded"

    # PositionsConsistent
    POSITIONS_DIFFER = "PositionsDiffer"
    POSITIONS_AGREE = "PositionsAgree"

    # KeysValid of an observability resource
    NOT_CHECKED = "NotChecked"
    REJECTED = "Rejected"
    SECRET_MISSING = "SecretMissing"  # noqa: S105 - not a password
    SECRET_FORBIDDEN = "SecretForbidden"  # noqa: S105 - not a password
    KEY_MISSING = "KeyMissing"

    # Synced, Degraded
    IN_SYNC = "InSync"
    PLANNED = "Planned"
    EDITED = "Edited"
    OBJECTS_FAILED = "ObjectsFailed"
    RATE_LIMITED = "RateLimited"
    UNREACHABLE = "Unreachable"
    KEYS_INVALID = "KeysInvalid"
    OWNER_EXISTS = "OwnerExists"
    EXPLICIT = "Explicit"
    DELETING = "Deleting"
    AS_EXPECTED = "AsExpected"

    # Events of PurpleFleaObservability that belong to no condition
    EDITS_REVERTED = "EditsReverted"
    OBJECTS_REMADE = "ObjectsRemade"
    ALL_OBJECTS_GONE = "AllObjectsGone"
    OBJECTS_REMOVED = "ObjectsRemoved"
    OBJECTS_LEFT = "ObjectsLeft"
    DEPLOYMENT_MARKED = "DeploymentMarked"
    DEPLOYMENT_NOT_MARKED = "DeploymentNotMarked"
    REMOVED = "Removed"
    RETAINED = "Retained"
    LEFT_BEHIND = "LeftBehind"
    NOTHING_FOUND = "NothingFound"
    GAVE_UP = "GaveUp"

    # Events about the Lease of the operator
    NAMESPACE_NOT_WATCHED = "NamespaceNotWatched"
    NAMESPACE_WATCHED = "NamespaceWatched"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One reason in one or more conditions of a resource, as docs/conditions.md shows it."""

    reason: Reason
    statuses: Mapping[str, ConditionStatus] = field(default_factory=dict)
    """Status of each condition type that has this reason. Empty for an Event that belongs to no condition."""
    severity: Severity
    meaning: str
    remedy: str = ""
    """Action of the user; empty if none is needed."""
    is_terminal: bool = False
    """Whether a pod with this problem does not start until a user acts."""


def explain(
    reason: Reason,
    statuses: Mapping[str, ConditionStatus],
    severity: Severity,
    meaning: str,
    remedy: str = "",
) -> Explanation:
    """Return the explanation of a reason."""
    return Explanation(
        reason=reason, statuses=statuses, severity=severity, meaning=meaning, remedy=remedy
    )


class Explanations:
    """The explanations of one resource, by condition type and reason."""

    def __init__(self, items: Iterable[Explanation]) -> None:
        self.items = tuple(items)
        self._by_key: dict[tuple[str, str], Explanation] = {
            (kind, item.reason): item for item in self.items for kind in item.statuses
        }

    def of(self, condition: str) -> tuple[Explanation, ...]:
        """Return the explanations of one condition type, in the sequence of the documentation."""
        return tuple(item for item in self.items if condition in item.statuses)

    def get(self, condition: str, reason: str) -> Explanation | None:
        """Return one explanation; None if another version of the operator wrote the reason."""
        return self._by_key.get((condition, reason))

    def status(self, condition: str, reason: Reason) -> ConditionStatus:
        """Return the status that a condition has with a reason."""
        return self._by_key[condition, reason].statuses[condition]

    def severity(self, condition: str, reason: str) -> Severity:
        """Return the severity; Warning if another version of the operator wrote the reason."""
        found = self.get(condition, reason)
        return Severity.WARNING if found is None else found.severity

    def with_severity(self, severity: Severity) -> frozenset[Reason]:
        """Return the reasons that have a severity in at least one condition."""
        return frozenset(item.reason for item in self.items if item.severity is severity)
