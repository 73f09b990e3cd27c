"""What a change of a field of the spec does to agents that run. A test holds each field to it.

The default is a restart: the agents read their settings once, so that one revision of a pod has one behaviour.
"""

from enum import StrEnum


class Effect(StrEnum):
    """What a change does, at the most."""

    RESTART = "restart"
    SCALE = "scale"
    CONTROL = "control"
    BESIDE = "none"
    REPORT = "report"
    RENEW = "renew"


MEANINGS = {
    Effect.RESTART: "The pods are replaced, one at a time, each after the one before is ready.",
    Effect.SCALE: "Identities come or go, highest ordinal first; the others run on.",
    Effect.CONTROL: "The agents hear of it while they run, within a second or two.",
    Effect.BESIDE: "Only other objects than the pods change; every agent runs on.",
    Effect.REPORT: "Only the status changes.",
    Effect.RENEW: "The StatefulSet is made anew around the pods, which run on.",
}

_EFFECTS = {
    "replicas": Effect.SCALE,
    "trading.mode": Effect.CONTROL,
    "datadog.duplicateIdentity": Effect.REPORT,
    "network": Effect.BESIDE,
    "pod.serviceAccount.annotations": Effect.BESIDE,
    "datadog.customMetricsBudget": Effect.REPORT,
    "datadog.budgetPolicy": Effect.REPORT,
    "storage": Effect.RENEW,
    "storage.whenDeleted": Effect.BESIDE,
    "storage.whenScaled": Effect.BESIDE,
}


def effect_of(path: str) -> Effect:
    """The effect of a change of the field at `path`, such as trading.mode."""
    while path:
        if path in _EFFECTS:
            return _EFFECTS[path]
        path = path.rpartition(".")[0]
    return Effect.RESTART
