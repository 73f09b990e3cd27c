"""Explanation of each reason of a PurpleFleaObservability: severity, status, meaning and remedy.

docs/conditions.md is generated from it. The rules that select a reason are not here.
"""

from purpleflea_operator.api.observability_status import ObservabilityCondition
from purpleflea_operator.api.reasons import (
    Explanation,
    Explanations,
    Reason,
    Severity,
    explain,
)

KEYS_VALID = ObservabilityCondition.KEYS_VALID
SYNCED = ObservabilityCondition.SYNCED
DEGRADED = ObservabilityCondition.DEGRADED


def _bad_keys(reason: Reason, meaning: str, remedy: str) -> Explanation:
    return explain(reason, {KEYS_VALID: "False"}, Severity.WARNING, meaning, remedy)


def _blocked(reason: Reason, meaning: str, remedy: str) -> Explanation:
    """Return the explanation of a reason that makes Synced False and Degraded True."""
    return explain(reason, {SYNCED: "False", DEGRADED: "True"}, Severity.WARNING, meaning, remedy)


def _event(reason: Reason, severity: Severity, meaning: str, remedy: str = "") -> Explanation:
    return explain(reason, {}, severity, meaning, remedy)


OBSERVABILITY_REASONS = Explanations(
    (
        explain(Reason.VALID, {KEYS_VALID: "True"}, Severity.NORMAL, "Datadog accepts the keys."),
        explain(
            Reason.NOT_CHECKED,
            {KEYS_VALID: "Unknown"},
            Severity.QUIET,
            "The operator has not used the keys yet.",
        ),
        _bad_keys(
            Reason.REJECTED,
            "Datadog rejects the keys.",
            "Check `spec.site` (or `spec.url`) and the values in the Secret: `kubectl edit secret SECRET`",
        ),
        _bad_keys(
            Reason.SECRET_MISSING,
            "The Secret of `spec.keysSecretRef` does not exist.",
            "Create it: `kubectl create secret generic SECRET --from-literal=api-key=... --from-literal=app-key=...`",
        ),
        _bad_keys(
            Reason.SECRET_FORBIDDEN,
            "The operator has no permission to read the Secret.",
            "Add the Secret to the chart value `observability.secrets`: `helm upgrade purpleflea-operator CHART "
            "--namespace purpleflea-system --reuse-values "
            "--set 'observability.secrets[0].namespace=default,observability.secrets[0].name=datadog-keys'`",
        ),
        _bad_keys(
            Reason.KEY_MISSING,
            "The Secret lacks a key that `spec.keysSecretRef` names, or its value is not a Datadog key.",
            "Set the key in the Secret: `kubectl edit secret SECRET`",
        ),
        explain(
            Reason.IN_SYNC,
            {SYNCED: "True"},
            Severity.NORMAL,
            "Each object is as the spec requires. The message counts objects that wait for their metric.",
        ),
        explain(
            Reason.PLANNED,
            {SYNCED: "False"},
            Severity.NORMAL,
            "`spec.mode` is `Plan`, so the operator writes nothing. The listed objects would change.",
            "Set `spec.mode: Manage` to apply the changes.",
        ),
        explain(
            Reason.EDITED,
            {SYNCED: "False"},
            Severity.NORMAL,
            "Objects were edited in Datadog, and `spec.driftPolicy: Keep` keeps the edits.",
            "Set `spec.driftPolicy: Revert` to restore the objects.",
        ),
        explain(
            Reason.PROGRESSING,
            {SYNCED: "False"},
            Severity.IN_PROGRESS,
            "The operator is creating objects.",
        ),
        explain(
            Reason.RATE_LIMITED,
            {SYNCED: "False"},
            Severity.IN_PROGRESS,
            "Datadog limits the rate of requests. The operator continues when the limit resets.",
        ),
        _blocked(
            Reason.OBJECTS_FAILED,
            "Datadog rejects objects. The message has the first errors; the other objects are kept in sync.",
            "Fix the cause that `status.objects[].lastError` names: `kubectl get pfo NAME --output=yaml`",
        ),
        _blocked(
            Reason.UNREACHABLE,
            "Datadog does not answer. The operator retries.",
            "Check the network between the operator and `spec.site` (or `spec.url`): `kubectl logs "
            "deploy/purpleflea-operator --namespace purpleflea-system`",
        ),
        _blocked(
            Reason.KEYS_INVALID,
            "There are no usable keys.",
            "See the reason of `KeysValid`.",
        ),
        _blocked(
            Reason.SPEC_INVALID,
            "The spec is invalid. The operator changes nothing in Datadog.",
            "Fix the field that the message names: `kubectl edit pfo NAME`",
        ),
        _blocked(
            Reason.OWNER_EXISTS,
            "`spec.adoptFrom` names a PurpleFleaObservability that exists. The operator changes nothing in Datadog, "
            "because two resources would manage the same objects.",
            "Delete the other resource with `spec.deletionPolicy: Retain`, or remove its uid from `spec.adoptFrom`: "
            "`kubectl get pfo --all-namespaces`",
        ),
        _blocked(
            Reason.DELETING,
            "The resource is being deleted, and objects are still in Datadog. The operator retries for 10 minutes.",
            "Fix the cause that the message names, or keep the objects: "
            '`kubectl patch pfo NAME --type=merge -p \'{"spec":{"deletionPolicy":"Retain"}}\'`',
        ),
        explain(
            Reason.AS_EXPECTED, {DEGRADED: "False"}, Severity.NORMAL, "Datadog rejects no object."
        ),
        _event(
            Reason.EDITS_REVERTED,
            Severity.WARNING,
            "Objects were edited in Datadog, and `spec.driftPolicy: Revert` restored them.",
            "Change the spec instead, or set `spec.driftPolicy: Keep`: `kubectl edit pfo NAME`",
        ),
        _event(
            Reason.OBJECTS_REMADE,
            Severity.WARNING,
            "Objects were deleted in Datadog, and the operator created them again.",
            "To remove an object, disable its feature in `spec.features`: `kubectl edit pfo NAME`",
        ),
        _event(
            Reason.ALL_OBJECTS_GONE,
            Severity.WARNING,
            "All objects that the status names are missing, and the operator creates them again.",
            "If the keys now belong to another Datadog organization, delete the listed objects in the previous one. To "
            "list them: `kubectl get events --field-selector involvedObject.kind=PurpleFleaObservability`",
        ),
        _event(
            Reason.OBJECTS_REMOVED,
            Severity.NORMAL,
            "The spec no longer includes the objects, and the operator removed them from Datadog.",
        ),
        _event(
            Reason.OBJECTS_LEFT,
            Severity.WARNING,
            "The spec no longer includes the objects, but they lost their ownership tag, so they stay in Datadog.",
            "Delete the listed objects in Datadog if they are not needed. To list them: `kubectl get events "
            "--field-selector involvedObject.kind=PurpleFleaObservability`",
        ),
        _event(
            Reason.DEPLOYMENT_MARKED,
            Severity.NORMAL,
            "All agents of the service run a version, and its deployment is recorded in Datadog.",
        ),
        _event(
            Reason.DEPLOYMENT_NOT_MARKED,
            Severity.WARNING,
            "Datadog rejects the deployment of a version.",
            "Fix the cause that the message names: `kubectl get pfo NAME -o jsonpath='{.status.deployments}'`",
        ),
        _event(
            Reason.REMOVED,
            Severity.NORMAL,
            "The resource was deleted, and its objects are removed from Datadog.",
        ),
        _event(
            Reason.RETAINED,
            Severity.NORMAL,
            "The resource was deleted, and its objects stay in Datadog, because `spec.deletionPolicy` is `Retain` or "
            "`spec.mode` is `Plan`.",
        ),
        _event(
            Reason.LEFT_BEHIND,
            Severity.WARNING,
            "The resource was deleted, but objects stay in Datadog, because nothing proves that the operator created "
            "them.",
            "Delete the listed objects in Datadog if they are not needed. To list them: `kubectl get events "
            "--field-selector involvedObject.kind=PurpleFleaObservability`",
        ),
        _event(
            Reason.NOTHING_FOUND,
            Severity.WARNING,
            "The resource was deleted, but none of the objects that the status names exists in Datadog.",
            "If the keys now belong to another Datadog organization, delete the listed objects in the previous one. To "
            "list them: `kubectl get events --field-selector involvedObject.kind=PurpleFleaObservability`",
        ),
        _event(
            Reason.GAVE_UP,
            Severity.WARNING,
            "The resource was deleted, but its objects could not be removed for 10 minutes. The operator released the "
            "resource.",
            "Delete the objects with the tag `purpleflea-uid:UID` in Datadog. The UID is in the Event: `kubectl get "
            "events --field-selector reason=GaveUp --output=yaml`",
        ),
    )
)
