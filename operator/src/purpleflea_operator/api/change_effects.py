"""Effects of a change of each field of the spec on running agents. A unit test checks every field.

The default is a restart, because agents read their settings once. So each revision of a pod has a fixed behavior.
"""

from enum import StrEnum


class Effect(StrEnum):
    """The largest effect that a change can have."""

    RESTART = "restart"
    SCALE = "scale"
    CONTROL = "control"
    NONE = "none"
    REPORT = "report"
    RECREATE = "recreate"


MEANINGS = {
    Effect.RESTART: "The pods are replaced one at a time. Each waits until the previous pod is ready.",
    Effect.SCALE: "Identities are added or removed at the highest ordinals. The other agents continue to run.",
    Effect.CONTROL: "Running agents apply the change within about two seconds, without a restart.",
    Effect.NONE: "Only objects other than the pods change. All agents continue to run.",
    Effect.REPORT: "Only the status changes.",
    Effect.RECREATE: "The StatefulSet is recreated. The pods are kept and continue to run.",
}

_EFFECTS = {
    "replicas": Effect.SCALE,
    "trading.mode": Effect.CONTROL,
    "api.allowInsecureEndpoints": Effect.REPORT,
    "datadog.duplicateIdentity": Effect.REPORT,
    "network": Effect.NONE,
    "pod.serviceAccount.annotations": Effect.NONE,
    "pod.minReadySeconds": Effect.NONE,
    "datadog.customMetricsBudget": Effect.REPORT,
    "datadog.budgetPolicy": Effect.REPORT,
    "storage": Effect.RECREATE,
    "storage.ephemeral": Effect.RESTART,
    "storage.whenDeleted": Effect.NONE,
    "storage.whenScaled": Effect.NONE,
}

WITHOUT_RESTART = tuple(path for path, item in _EFFECTS.items() if item is not Effect.RESTART)
"""Paths of the fields whose change restarts no agent."""


def effect_of(path: str) -> Effect:
    """Return the effect of a change of the field at `path`, such as trading.mode."""
    while path:
        if path in _EFFECTS:
            return _EFFECTS[path]
        path = path.rpartition(".")[0]
    return Effect.RESTART
