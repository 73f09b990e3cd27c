"""Reasons of TradingActive, DuplicateIdentity, StorageReady, WithinBudget and PositionsConsistent."""

from purpleflea_operator.api.agent_status import ConditionType
from purpleflea_operator.api.reasons import Reason, Severity, explain

TRADING = (
    explain(
        Reason.ACTIVE,
        {ConditionType.TRADING_ACTIVE: "True"},
        Severity.NORMAL,
        "The agents may trade. Agents that had another mode before have acknowledged that "
        "they resumed.",
    ),
    explain(
        Reason.RESUMING,
        {ConditionType.TRADING_ACTIVE: "Unknown"},
        Severity.WARNING,
        "The mode is Active again, but the named agents have not acknowledged it yet.",
        "Wait, or check whether the operator reaches the HTTP port of the named agents: `kubectl get networkpolicies`, "
        "`kubectl get pods --output=wide`",
    ),
    explain(
        Reason.HALTING,
        {ConditionType.TRADING_ACTIVE: "Unknown"},
        Severity.WARNING,
        "The mode is Halted, but the named agents have not acknowledged it yet, or still "
        "have an order in flight.",
        "Wait, or check whether the operator reaches the HTTP port of the named agents: `kubectl get networkpolicies`, "
        "`kubectl get pods --output=wide`",
    ),
    explain(
        Reason.HALTED,
        {ConditionType.TRADING_ACTIVE: "False"},
        Severity.WARNING,
        "No agent sends orders.",
        'To resume: `kubectl patch pfa NAME --type=merge -p \'{"spec":{"trading":{"mode":"Active"}}}\'`, or delete '
        "the PurpleFleaHalt that the message names: `kubectl delete pfh HALT`",
    ),
    explain(
        Reason.STOPPING,
        {ConditionType.TRADING_ACTIVE: "Unknown"},
        Severity.WARNING,
        "The mode is Stopped, but the named agents are not drained yet.",
        "Wait, at most `spec.pod.terminationGracePeriodSeconds`: `kubectl get pfa NAME --watch`",
    ),
    explain(
        Reason.STOPPED,
        {ConditionType.TRADING_ACTIVE: "False"},
        Severity.WARNING,
        "Every agent is drained, and the pods are deleted.",
        'To resume: `kubectl patch pfa NAME --type=merge -p \'{"spec":{"trading":{"mode":"Active"}}}\'`, or delete '
        "the PurpleFleaHalt that the message names: `kubectl delete pfh HALT`",
    ),
    explain(
        Reason.STOPPED_INCOMPLETE,
        {ConditionType.TRADING_ACTIVE: "False"},
        Severity.WARNING,
        "The agents are stopped, but something is left, such as an open position. "
        "`status.trading.undone` names it.",
        "Check the account of the named agents on the exchange. "
        "`kubectl get pfa NAME -o jsonpath='{.status.trading.undone}'` lists them.",
    ),
    explain(
        Reason.SPEC_INVALID,
        {ConditionType.TRADING_ACTIVE: "Unknown"},
        Severity.WARNING,
        "The spec is invalid, so the agents keep their mode.",
        "Fix the field that `SpecValid` names: `kubectl edit pfa NAME`",
    ),
)

IDENTITY = (
    explain(
        Reason.UNIQUE,
        {ConditionType.DUPLICATE_IDENTITY: "False"},
        Severity.NORMAL,
        "No other agent has these identities.",
    ),
    explain(
        Reason.NOT_VISIBLE,
        {ConditionType.DUPLICATE_IDENTITY: "Unknown"},
        Severity.QUIET,
        "The operator is bound to namespaces. No agent in these namespaces has the same "
        "identities; agents in other namespaces are unknown.",
    ),
    explain(
        Reason.NOT_STARTED,
        {ConditionType.DUPLICATE_IDENTITY: "True"},
        Severity.WARNING,
        "Another agent has the same identities, or its previous pods have not ended yet. No agent is started, and "
        "`Ready` is False. An agent that has never run holds identities against another one for 10 minutes at most, "
        "and not at all if it cannot start.",
        "Wait for the end of the pods. Otherwise change `spec.datadog.env`, `spec.datadog.service` or the name, or set "
        "`spec.datadog.duplicateIdentity: Allow`. To find the other agent: `kubectl get pfa --all-namespaces`",
    ),
    explain(
        Reason.ALREADY_RUNNING,
        {ConditionType.DUPLICATE_IDENTITY: "True"},
        Severity.WARNING,
        "Another agent has the same identities, but these agents were running already. They "
        "keep running, because they may hold positions; no further agent is started. If the spec "
        "has another env or service than the pods, the pods keep theirs until the identities are free.",
        "Change `spec.datadog.env`, `spec.datadog.service` or the name, or set "
        "`spec.datadog.duplicateIdentity: Allow`. To find the other agent: `kubectl get pfa --all-namespaces`",
    ),
    explain(
        Reason.ALLOWED,
        {ConditionType.DUPLICATE_IDENTITY: "True"},
        Severity.WARNING,
        "Another agent has the same identities, and `spec.datadog.duplicateIdentity` is `Allow`.",
        "To prevent this: "
        '`kubectl patch pfa NAME --type=merge -p \'{"spec":{"datadog":{"duplicateIdentity":"Refuse"}}}\'`',
    ),
)

STORAGE = (
    explain(
        Reason.READY,
        {ConditionType.STORAGE_READY: "True"},
        Severity.NORMAL,
        "Each agent has a volume as the spec requires.",
    ),
    explain(
        Reason.EPHEMERAL,
        {ConditionType.STORAGE_READY: "False"},
        Severity.QUIET,
        "The journal of an agent is lost when its pod leaves the node: `spec.storage.ephemeral` is true, or an earlier "
        "version of the operator created the agent without `spec.storage`.",
        "Set `spec.storage` to keep the journal; `{}` is sufficient. The pods are then replaced, one at a time.",
    ),
    explain(
        Reason.VOLUMES_KEPT,
        {ConditionType.STORAGE_READY: "False"},
        Severity.WARNING,
        "`spec.storage.ephemeral` is true, but the agents were created with volumes, which are kept.",
        "Set `spec.storage.ephemeral` to false, or delete the agent and create it again: `kubectl edit pfa NAME`",
    ),
    explain(
        Reason.NO_STORAGE_CLASS,
        {ConditionType.STORAGE_READY: "False"},
        Severity.WARNING,
        "A volume claim has no storage class, because the cluster has no default class. Its pod cannot be scheduled.",
        "Make a storage class the default one: `kubectl annotate storageclass CLASS "
        "storageclass.kubernetes.io/is-default-class=true`. Otherwise set `spec.storage.storageClassName` or "
        "`spec.storage.ephemeral` when the agent is created.",
    ),
    explain(
        Reason.VOLUME_LOST,
        {ConditionType.STORAGE_READY: "False"},
        Severity.WARNING,
        "The persistent volume of a claim was deleted, so its journal is lost. A running agent keeps it until its pod "
        "ends, and then cannot start.",
        "Restore the volume from a backup, or, for one agent at a time, delete the volume claim and the pod. The agent "
        "then starts with an empty journal. `kubectl describe pvc CLAIM` names the volume.",
    ),
    explain(
        Reason.PROVISIONING,
        {ConditionType.STORAGE_READY: "False"},
        Severity.IN_PROGRESS,
        "Volume claims were created less than a minute ago and have no volume yet.",
    ),
    explain(
        Reason.VOLUME_PENDING,
        {ConditionType.STORAGE_READY: "False"},
        Severity.WARNING,
        "Volume claims have had no volume for more than a minute, so their pods cannot start.",
        "`kubectl describe pvc CLAIM` shows why. If the claim waits for its pod to be scheduled, see "
        "`WorkloadAvailable`.",
    ),
    explain(
        Reason.EXPANDING,
        {ConditionType.STORAGE_READY: "False"},
        Severity.QUIET,
        "Volumes are being expanded.",
    ),
    explain(
        Reason.EXPANSION_REFUSED,
        {ConditionType.STORAGE_READY: "False"},
        Severity.WARNING,
        "The storage class does not allow expansion. The operator retries with a growing delay, at most 10 minutes.",
        "Set `allowVolumeExpansion` on the storage class (`kubectl edit storageclass CLASS`), or, for one agent at a "
        "time, delete the volume claim and the pod. The agent then starts with an empty journal.",
    ),
    explain(
        Reason.CANNOT_SHRINK,
        {ConditionType.STORAGE_READY: "False"},
        Severity.WARNING,
        "Volumes are larger than the spec requires. They keep their size.",
        "Set `spec.storage.size` to the size of the volumes (`kubectl get pvc`), or, for one agent at a time, delete "
        "the volume claim and the pod. The agent then starts with an empty journal.",
    ),
    explain(
        Reason.CLASS_DIFFERS,
        {ConditionType.STORAGE_READY: "False"},
        Severity.WARNING,
        "Volumes have another storage class than the spec requires. Only new volumes get "
        "the class of the spec.",
        "Keep the volumes (`kubectl get pvc`), or, for one agent at a time, delete the volume claim and the pod. The "
        "agent then starts with an empty journal.",
    ),
    explain(
        Reason.SPEC_INVALID,
        {ConditionType.STORAGE_READY: "Unknown"},
        Severity.WARNING,
        "The spec is invalid. The volumes are those of its last valid version.",
        "Fix the field that `SpecValid` names: `kubectl edit pfa NAME`",
    ),
)

BUDGET = (
    explain(
        Reason.WITHIN_BUDGET,
        {ConditionType.WITHIN_BUDGET: "True"},
        Severity.NORMAL,
        "The expected number of custom metrics is at most `spec.datadog.customMetricsBudget`.",
    ),
    explain(
        Reason.BUDGET_EXCEEDED,
        {ConditionType.WITHIN_BUDGET: "False"},
        Severity.WARNING,
        "The expected number of custom metrics is larger than `spec.datadog.customMetricsBudget`.",
        "Reduce `spec.replicas` or the number of markets, or raise "
        "`spec.datadog.customMetricsBudget`. The metrics are listed by `kubectl purpleflea cost -f agent.yaml`.",
    ),
)

POSITIONS = (
    explain(
        Reason.POSITIONS_AGREE,
        {ConditionType.POSITIONS_CONSISTENT: "True"},
        Severity.NORMAL,
        "All agents answered, and the reported positions agree with their own fills again.",
    ),
    explain(
        Reason.POSITIONS_DIFFER,
        {ConditionType.POSITIONS_CONSISTENT: "False"},
        Severity.WARNING,
        "The exchange reports another position than the fills of an agent, beyond fills in flight. The agent sizes on "
        "the larger of both, and the position does not grow.",
        "Stop the other client of the API key, or wait until the reports of the exchange are current. See the "
        "[runbook](runbooks/position-mismatch.md).",
    ),
)
