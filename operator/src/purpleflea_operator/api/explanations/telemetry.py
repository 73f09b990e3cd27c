"""Reasons of DatadogInstalled and TelemetryReady, in the sequence in which they are checked."""

from purpleflea_operator.api.agent_status import ConditionType
from purpleflea_operator.api.reasons import Reason, Severity, explain

INSTALLED = (
    explain(
        Reason.FOUND,
        {ConditionType.DATADOG_INSTALLED: "True"},
        Severity.NORMAL,
        "A node agent is installed. The message names the DaemonSet that agents report to, "
        "and others.",
    ),
    explain(
        Reason.EXPLICIT,
        {ConditionType.DATADOG_INSTALLED: "True"},
        Severity.NORMAL,
        "`spec.datadog.connection` is `Sidecar` or `Endpoint`, so no node agent is needed.",
    ),
    explain(
        Reason.NOT_FOUND,
        {ConditionType.DATADOG_INSTALLED: "False"},
        Severity.WARNING,
        "The cluster has no node agent.",
        "`helm install datadog-agent datadog/datadog --namespace datadog --create-namespace "
        "--set datadog.apiKeyExistingSecret=datadog-secret`",
    ),
    explain(
        Reason.UNTRUSTED_NODE_AGENT,
        {ConditionType.DATADOG_INSTALLED: "False"},
        Severity.WARNING,
        "The only node agents are in namespaces that the chart value `datadog.namespaces` does "
        "not contain. They are not used, because any user with rights in one namespace can "
        "create objects with Datadog's labels there.",
        "`helm upgrade purpleflea-operator ... --reuse-values --set "
        "'datadog.namespaces={datadog,datadog-agent,NAMESPACE}'` if you trust every user who may "
        "create objects in the namespace. Otherwise install a node agent in a trusted namespace.",
    ),
    explain(
        Reason.NONE_FOR_LINUX,
        {ConditionType.DATADOG_INSTALLED: "False"},
        Severity.WARNING,
        "Only nodes of another operating system have a node agent.",
        "`helm install datadog-agent datadog/datadog --namespace datadog --create-namespace "
        "--set datadog.apiKeyExistingSecret=datadog-secret`",
    ),
    explain(
        Reason.EXTENDED_DAEMON_SET,
        {ConditionType.DATADOG_INSTALLED: "Unknown"},
        Severity.WARNING,
        "The Datadog Operator (an older version) created an ExtendedDaemonSet, whose "
        "settings cannot be read.",
        "Set the connection in `spec.datadog.connection`, or `helm upgrade datadog-operator "
        "datadog/datadog-operator --reuse-values --set-string "
        "supportExtendedDaemonset=false`",
    ),
    explain(
        Reason.NOT_VISIBLE,
        {ConditionType.DATADOG_INSTALLED: "Unknown"},
        Severity.QUIET,
        "The operator is bound to namespaces, the API server refuses the DaemonSets, or the operator "
        "cannot read the DaemonSet of the node agent.",
        "Set the connection in `spec.datadog.connection`, grant `list` and `watch` on `daemonsets` with "
        "the chart's ClusterRole, or correct the DaemonSet.",
    ),
)

TELEMETRY = (
    explain(
        Reason.SPEC_INVALID,
        {ConditionType.TELEMETRY_READY: "Unknown"},
        Severity.WARNING,
        "The spec is invalid, and no connection of its last valid version is known. If one "
        "is known, it is evaluated.",
        "Fix the field that `SpecValid` names: `kubectl edit pfa NAME`",
    ),
    explain(
        Reason.DISABLED,
        {ConditionType.TELEMETRY_READY: "False"},
        Severity.QUIET,
        "`spec.datadog.connection` is `Disabled`.",
        "`kubectl patch pfa NAME --type=merge --patch "
        '\'{"spec":{"datadog":{"connection":"Auto"}}}\'`',
    ),
    explain(
        Reason.NODE_AGENT_MISSING,
        {ConditionType.TELEMETRY_READY: "False"},
        Severity.WARNING,
        "There is no trusted node agent. Agents keep the address they had, unless it leads to a "
        "node agent that is not trusted.",
        "`helm install datadog-agent datadog/datadog --namespace datadog --create-namespace "
        "--set datadog.apiKeyExistingSecret=datadog-secret`",
    ),
    explain(
        Reason.METRICS_OFF,
        {ConditionType.TELEMETRY_READY: "False"},
        Severity.WARNING,
        "The node agent does not accept metrics.",
        "`helm upgrade ... --set-string agents.containers.agent.envDict.DD_USE_DOGSTATSD=true`",
    ),
    explain(
        Reason.POD_SECURITY,
        {ConditionType.TELEMETRY_READY: "False"},
        Severity.WARNING,
        "Only sockets are available, and the namespace forbids `hostPath` volumes.",
        "`helm upgrade ... --set datadog.dogstatsd.useHostPort=true`",
    ),
    explain(
        Reason.NO_CONNECTION,
        {ConditionType.TELEMETRY_READY: "False"},
        Severity.WARNING,
        "The installation does not offer the requested connection, or offers none.",
        "`helm upgrade ... --set datadog.dogstatsd.useHostPort=true` "
        "(`datadog.dogstatsd.useSocketVolume`, `datadog.csi.enabled`, "
        "`agents.localService.forceLocalServiceEnabled`)",
    ),
    explain(
        Reason.NODES_UNCOVERED,
        {ConditionType.TELEMETRY_READY: "False"},
        Severity.WARNING,
        "Agents run on nodes without a ready node agent, such as `node-7 (taint "
        "dedicated=gpu:NoSchedule not tolerated)`.",
        "`helm upgrade ... --set 'agents.tolerations[0].operator=Exists'` "
        "(`agents.nodeSelector.KEY=null`, `agents.affinity=null`). For other causes, "
        "`kubectl get pods -o wide` shows the pods of the node agent.",
    ),
    explain(
        Reason.APM_OFF,
        {ConditionType.TELEMETRY_READY: "False"},
        Severity.WARNING,
        "The node agent does not accept traces, or that of some nodes does not.",
        "`helm upgrade ... --set datadog.apm.portEnabled=true`",
    ),
    explain(
        Reason.TRACES_UNREACHABLE,
        {ConditionType.TELEMETRY_READY: "False"},
        Severity.WARNING,
        "The node agent accepts traces, but not through this connection.",
        "`helm upgrade ... --set datadog.apm.portEnabled=true`",
    ),
    explain(
        Reason.LOGS_OFF,
        {ConditionType.TELEMETRY_READY: "False"},
        Severity.WARNING,
        "The node agent does not collect logs, or that of some nodes does not.",
        "`helm upgrade ... --set datadog.logs.enabled=true`",
    ),
    explain(
        Reason.NOT_INJECTED,
        {ConditionType.TELEMETRY_READY: "False"},
        Severity.WARNING,
        "Running pods lack the address of the node agent. A mutating admission webhook "
        "probably removed it.",
        "`kubectl get mutatingwebhookconfigurations`, then `kubectl rollout restart "
        "statefulset/NAME`",
    ),
    explain(
        Reason.TELEMETRY_LOST,
        {ConditionType.TELEMETRY_READY: "False"},
        Severity.WARNING,
        "Agents drop telemetry although a node agent is running on their node.",
        "`kubectl logs NODE_AGENT_POD --namespace datadog`, then "
        "`kubectl rollout restart daemonset --namespace datadog`",
    ),
    explain(
        Reason.AGENTS_SILENT,
        {ConditionType.TELEMETRY_READY: "Unknown"},
        Severity.WARNING,
        "Agents do not answer the operator, so their losses are unknown.",
        "Allow the operator to reach their HTTP port: `kubectl get networkpolicies`",
    ),
    explain(
        Reason.NOT_COLLECTED,
        {ConditionType.TELEMETRY_READY: "False"},
        Severity.WARNING,
        "The logs and checks are in a DatadogInstrumentation, and Datadog's Cluster Agent refuses it, or has not "
        "processed it for five minutes. Metrics and traces arrive.",
        "`kubectl describe datadoginstrumentation`; enable the kind in the Cluster Agent, or set the chart value "
        "`datadog.instrumentation=false`",
    ),
    explain(
        Reason.NODE_AGENT_NOT_READY,
        {ConditionType.TELEMETRY_READY: "False"},
        Severity.WARNING,
        "The operator cannot see nodes, and the DaemonSet of the node agent is not ready.",
        "`kubectl get daemonset --namespace datadog`, `kubectl get pods --namespace datadog`",
    ),
    explain(
        Reason.NOT_VISIBLE,
        {ConditionType.TELEMETRY_READY: "Unknown"},
        Severity.QUIET,
        "The operator is bound to namespaces, or the API server refuses nodes, pods or DaemonSets, so "
        "the operator cannot see the objects that would prove the connection.",
        "`helm upgrade purpleflea-operator ... --set telemetryRights=true`, or `--set watchNamespaces=null`",
    ),
    explain(
        Reason.WAITING_FOR_AGENTS,
        {ConditionType.TELEMETRY_READY: "Unknown"},
        Severity.IN_PROGRESS,
        "Some agents start, wait for their node agent, wait until agents of other resources "
        "have restarted, or have not answered the operator yet. The others are connected.",
        "`kubectl get pods`",
    ),
    explain(
        Reason.CONNECTED,
        {ConditionType.TELEMETRY_READY: "True"},
        Severity.NORMAL,
        "Every agent has the connection it needs, its node has a ready node agent, and each "
        "agent has answered the operator.",
    ),
)
