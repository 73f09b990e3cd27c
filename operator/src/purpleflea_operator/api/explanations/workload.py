"""Reasons of Ready, SpecValid, WorkloadAvailable and Progressing."""

from dataclasses import replace

from purpleflea_operator.api.agent_status import ConditionStatus, ConditionType
from purpleflea_operator.api.reasons import Explanation, Reason, Severity, explain

SUMMARY = (
    explain(
        Reason.READY,
        {ConditionType.READY: "True"},
        Severity.NORMAL,
        "`SpecValid` and `WorkloadAvailable` are True, so all agents can do their work.",
    ),
    explain(
        Reason.WAITING_FOR_OPERATOR,
        {ConditionType.READY: "Unknown"},
        Severity.QUIET,
        "The operator has not reported this agent yet. A new agent has this condition until it is "
        "ready, has a problem, or has been starting for a few seconds.",
        "If it stays, see whether the operator runs and watches the namespace.",
    ),
    explain(
        Reason.DUPLICATE_IDENTITY,
        {ConditionType.READY: "False"},
        Severity.WARNING,
        "`DuplicateIdentity` has the reason `NotStarted`, because another agent, or a pod of it that has not ended "
        "yet, has the same identities in Datadog, so no agent is started.",
        "See `DuplicateIdentity`.",
    ),
)

SPEC = (
    explain(
        Reason.VALID,
        {ConditionType.SPEC_VALID: "True"},
        Severity.NORMAL,
        "The spec is valid, and all of it takes effect.",
    ),
    explain(
        Reason.OVERRIDE_IGNORED,
        {ConditionType.SPEC_VALID: "True"},
        Severity.WARNING,
        "The spec is valid, but the named overrides in `spec.pod` are ignored, because the "
        "operator sets these fields, or because an annotation for Autodiscovery is not only about its own pod.",
        "Remove the overrides, or use the separate field of the spec if there is one: `kubectl edit pfa NAME`",
    ),
    explain(
        Reason.FIELDS_UNSUPPORTED,
        {ConditionType.SPEC_VALID: "True"},
        Severity.WARNING,
        "The CRD is newer than the operator, and the spec has fields that the operator does not "
        "have. They are ignored.",
        "Upgrade the operator to the version of the CRD: `helm upgrade purpleflea-operator CHART --namespace "
        "purpleflea-system --reset-then-reuse-values --set image.tag= --set image.digest=`. The last two options "
        "remove an image that was set for a rollback.",
    ),
    explain(
        Reason.INVALID,
        {ConditionType.SPEC_VALID: "False"},
        Severity.WARNING,
        "The spec is invalid. The last valid version keeps running.",
        "Fix the field that the message names, and apply the manifest again. `kubectl explain pfa.spec --recursive` "
        "shows the fields.",
    ),
)

AVAILABLE = (
    explain(
        Reason.ALL_READY,
        {ConditionType.WORKLOAD_AVAILABLE: "True"},
        Severity.NORMAL,
        "Every agent runs the current spec and passes its readiness probe.",
    ),
    explain(
        Reason.SCALED_TO_ZERO,
        {ConditionType.WORKLOAD_AVAILABLE: "True"},
        Severity.NORMAL,
        "No agent is requested, because `spec.replicas` is 0, `spec.trading.mode` is `Stopped`, or a PurpleFleaHalt "
        "stops the agents.",
    ),
    explain(
        Reason.PROGRESSING,
        {ConditionType.WORKLOAD_AVAILABLE: "False"},
        Severity.IN_PROGRESS,
        "Agents are being started or replaced, and no pod reports a problem.",
    ),
)

PROGRESS = (
    explain(
        Reason.COMPLETE,
        {ConditionType.PROGRESSING: "True"},
        Severity.NORMAL,
        "Every agent runs the current spec and is ready.",
    ),
    explain(
        Reason.ROLLING_OUT,
        {ConditionType.PROGRESSING: "True"},
        Severity.IN_PROGRESS,
        "Agents are being started or replaced, one at a time.",
    ),
    explain(
        Reason.RECREATION_DELAYED,
        {ConditionType.PROGRESSING: "True"},
        Severity.IN_PROGRESS,
        "The StatefulSet must be recreated, because claim templates are immutable. It was recreated less than 10 "
        "minutes ago, so the operator waits. The agents keep running.",
    ),
    explain(
        Reason.NOT_WATCHED,
        {ConditionType.WORKLOAD_AVAILABLE: "Unknown"},
        Severity.WARNING,
        "For more than a minute, the API server has refused the operator a list of the namespace that it needs. The "
        "agents run on, but the status may be outdated, and changes may not be applied.",
        "Grant the rights with the roles of the chart: `helm upgrade purpleflea-operator CHART --namespace "
        "purpleflea-system --reuse-values`. If the namespace was deleted, remove it from `watchNamespaces`. "
        "If the operator may not write the status either, only the Event `NamespaceNotWatched` about its Lease and the "
        "metric `purpleflea_operator_watches_failing` report it.",
    ),
    explain(
        Reason.HALTS_UNREAD,
        {ConditionType.PROGRESSING: "False"},
        Severity.WARNING,
        "The operator cannot read the PurpleFleaHalts, and one of them may select the agents. Therefore it starts no "
        "further agent that would trade. The agents that run keep their mode.",
        "The message names the failing request. If a permission is missing: `helm upgrade purpleflea-operator CHART "
        "--namespace purpleflea-system --reuse-values`",
    ),
    explain(
        Reason.NOT_STORED,
        {ConditionType.PROGRESSING: "False"},
        Severity.WARNING,
        "An admission webhook or another controller changes a field that the operator writes. The operator has "
        "stopped repeating the write, or repeats it at long intervals. The agents keep running.",
        "Correct the webhook (`kubectl get mutatingwebhookconfigurations`) or the controller. Then run the command of "
        "the message, which lets the operator write again.",
    ),
    explain(
        Reason.OPERATOR_UPGRADE,
        {ConditionType.PROGRESSING: "True"},
        Severity.QUIET,
        "Another version of the operator, or another default image, changes the pods. The agents wait for their "
        "turn or for a request, or are being replaced. See [upgrade.md](upgrade.md).",
        "If the upgrade policy is `Manual`: "
        '`kubectl annotate pfa NAME --overwrite purpleflea.com/upgrade="$(date +%s)"`',
    ),
    explain(
        Reason.DEADLINE_EXCEEDED,
        {ConditionType.PROGRESSING: "False"},
        Severity.WARNING,
        "There was no progress for 10 minutes, and no pod reports a problem.",
        "`kubectl describe pod POD`, `kubectl logs POD`",
    ),
    explain(
        Reason.SPEC_INVALID,
        {ConditionType.PROGRESSING: "False"},
        Severity.WARNING,
        "The spec is invalid, so nothing is rolled out.",
        "Fix the field that `SpecValid` names: `kubectl edit pfa NAME`",
    ),
)


def _problem(
    reason: Reason, meaning: str, remedy: str, *, is_terminal: bool = False
) -> Explanation:
    """Return the explanation of a problem that makes WorkloadAvailable and Progressing False."""
    statuses: dict[str, ConditionStatus] = {
        ConditionType.WORKLOAD_AVAILABLE: "False",
        ConditionType.PROGRESSING: "False",
    }
    found = explain(reason, statuses, Severity.WARNING, meaning, remedy)
    return replace(found, is_terminal=is_terminal)


PROBLEMS = (
    _problem(
        Reason.IMAGE_PULL_FAILED,
        "The image of a pod cannot be pulled.",
        "Check `spec.image` and `spec.image.pullSecrets`. `kubectl describe pod POD` shows the answer of the registry.",
        is_terminal=True,
    ),
    _problem(
        Reason.CONFIGURATION_MISSING,
        "A pod refers to a ConfigMap, a Secret or a key that does not exist.",
        "Create the object that the message names, or correct `spec.pod`: `kubectl get configmaps,secrets`",
        is_terminal=True,
    ),
    _problem(
        Reason.CONTAINER_NOT_CREATED,
        "The kubelet cannot create or start a container.",
        "Check `spec.image` and `spec.pod`: `kubectl describe pod POD`",
        is_terminal=True,
    ),
    _problem(
        Reason.CRASH_LOOPING,
        "A container exits repeatedly. The message has the reason and the exit code of its "
        "last run.",
        "`kubectl logs --previous POD`",
        is_terminal=True,
    ),
    _problem(
        Reason.SECRET_NOT_FOUND,
        "A pod cannot mount a Secret, because it does not exist.",
        "Create the Secret that `spec.api.keySecretRef` names, in the namespace of the agent: `kubectl create secret "
        "generic SECRET --from-literal=api-key=YOUR_KEY`",
        is_terminal=True,
    ),
    _problem(
        Reason.PODS_REFUSED,
        "The API server rejects new pods, because of a quota or an admission rule.",
        "Raise the quota (`kubectl describe quota`), or change `spec.pod`. `kubectl describe statefulset NAME` has the "
        "answer of the API server.",
        is_terminal=True,
    ),
    _problem(
        Reason.NOT_READY,
        "A started agent reports that it is not ready, such as because the exchange refuses its API key or cannot be "
        "reached. The message has the reason of the agent, which is also the answer of its `/readyz`.",
        "Check the field that the message names. The agent tries again by itself. `kubectl logs POD` has the details.",
    ),
    _problem(
        Reason.NODE_LOST,
        "The node of an agent does not respond or is not ready. The agent may still trade there, so it is not replaced "
        "until Kubernetes confirms its end.",
        "Bring the node back. If that is not possible, turn its machine off, and only then: `kubectl taint node NODE "
        "node.kubernetes.io/out-of-service=nodeshutdown:NoExecute`. See [nodes.md](nodes.md).",
    ),
    _problem(
        Reason.UNSCHEDULABLE,
        "No node fits a pod. The message has the explanation of the scheduler.",
        "Check `spec.pod`, or add nodes: `kubectl describe pod POD`, `kubectl describe nodes`",
    ),
    _problem(
        Reason.VOLUME_NOT_MOUNTED,
        "A volume of a pod cannot be mounted. The message has the explanation of the kubelet.",
        "Fix the cause that the message names: `kubectl describe pod POD`",
    ),
    _problem(
        Reason.APPLY_FAILED,
        "The API server rejects an object of the agent, or writes keep failing.",
        "Fix the cause that the message names. The operator retries. `kubectl describe pfa NAME` shows the whole "
        "answer of the API server.",
    ),
    _problem(
        Reason.NAME_TAKEN,
        "An object that the agent needs exists already and has another owner.",
        "Delete the object that the message names, or recreate the agent under another name. To see the owner of a "
        "StatefulSet: `kubectl describe statefulset NAME`",
    ),
)
