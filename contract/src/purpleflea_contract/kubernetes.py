"""Kubernetes names: the API group, labels and annotations that operator, agent and sandbox share.

The Datadog keys are those that the Datadog Agent reads (documentation: unified service tagging, Autodiscovery
annotations v2).
"""

GROUP = "purpleflea.com"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

CONTAINER = "agent"
"""Name of the agent's container, which is part of the keys of Autodiscovery annotations."""

HOLD_CONTAINER = "await-node-agent"
"""Name of the init container that waits for the node agent (spec.datadog.whenMissing: Hold)."""
HOLD_MODULE = "purpleflea_agent.hold"
"""Module that the init container runs. It is part of the pod template, so a new name would restart agents with Hold."""

LABEL_NAME = "app.kubernetes.io/name"
LABEL_INSTANCE = "app.kubernetes.io/instance"
LABEL_COMPONENT = "app.kubernetes.io/component"
LABEL_PART_OF = "app.kubernetes.io/part-of"
LABEL_NAMESPACE = "kubernetes.io/metadata.name"
"""Label with the name of the namespace, which the API server sets on each namespace."""
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_STRATEGY = f"{GROUP}/strategy"
MANAGED_BY = "purpleflea-operator"
MAX_AGENT_LABELS = 64
"""Labels that an agent resource may have, which is up to 24 kB. The API server does not bound their number.

If it has more, its labels do not count: each PurpleFleaHalt of its namespace that selects by labels applies to it.
"""
LABEL_TOO_MANY = f"{GROUP}/too-many-labels"
"""The operator keeps only this label of an agent that has more than `MAX_AGENT_LABELS`."""

DD_LABEL_ENV = "tags.datadoghq.com/env"
DD_LABEL_SERVICE = "tags.datadoghq.com/service"
DD_LABEL_VERSION = "tags.datadoghq.com/version"
DD_LABEL_ADMISSION = "admission.datadoghq.com/enabled"
"""If "false", Datadog's admission webhooks do not change the pod. Their addresses would replace those of the
operator."""
DD_ANNOTATION_TAGS = "ad.datadoghq.com/tags"
DD_ANNOTATION_LOGS = f"ad.datadoghq.com/{CONTAINER}.logs"
DD_ANNOTATION_LOGS_EXCLUDE = f"ad.datadoghq.com/{CONTAINER}.logs_exclude"
"""If "true", no logs of the container are collected, even if the node agent collects the logs of all containers."""
DD_ANNOTATION_CHECKS = f"ad.datadoghq.com/{CONTAINER}.checks"
DD_INSTRUMENTATION_VERSION = "datadoghq.com/v1alpha1"
DD_INSTRUMENTATION_KIND = "DatadogInstrumentation"
"""Kind of Datadog's operator (Agent 7.82 and newer): the checks and logs of one workload, outside of its pods."""
DD_ANNOTATION_TOLERATE_UNREADY = "ad.datadoghq.com/tolerate-unready"
"""If "true", checks also run on a pod that is not ready. Without it they would not run when they are needed most."""

CHECK_NAME = "purpleflea_agent"
"""Name of the Agent check of an agent: its file in checks.d, its key in the annotation."""
OPENMETRICS_NAMESPACE = "purpleflea"
"""Prefix of the metrics that the node agent reads from /metrics of an agent."""

ANNOTATION_DESIRED_HASH = f"{GROUP}/desired-hash"
"""On each child: hash of the desired state that the operator last applied."""
ANNOTATION_TEMPLATE_HASH = f"{GROUP}/template-hash"
"""On the pod template, and so on each pod: hash of the template that the operator rendered."""
ANNOTATION_SPEC_HASH = f"{GROUP}/spec-hash"
"""On the StatefulSet: hash of the fields of the spec that its pod template was rendered from."""
ANNOTATION_ROLLOUT_CAUSE = f"{GROUP}/rollout-cause"
"""On the StatefulSet: OperatorUpgrade if the operator, and no user, caused the last change of the pod template."""
ANNOTATION_LAST_GOOD_TEMPLATE = f"{GROUP}/last-good-template"
"""On the StatefulSet: hash of the last template before the current one with which all pods were ready."""
ANNOTATION_UPGRADE = f"{GROUP}/upgrade"
"""On an agent resource: any new value requests the upgrade of the agent if the upgrade policy is Manual. On the
StatefulSet: the value that was in effect when the pod template was last written."""
ANNOTATION_COLLECTION = f"{GROUP}/collection"
"""On the pod template: DatadogInstrumentation if that kind has the checks and logs, and not the pod's annotations."""
ANNOTATION_SETTINGS = f"{GROUP}/settings"
"""On the pod: its settings.json. A pod of an earlier revision keeps the settings of that revision."""
ANNOTATION_REASON = f"{GROUP}/reason"
"""On an agent resource: reason for its trading mode, as free text of the user who set it."""

ANNOTATION_HALTED = f"{GROUP}/halted"
"""On the ConfigMap of an agent: "true" if a PurpleFleaHalt requests its mode. A restarted operator reads it."""
ANNOTATION_SUPERSEDES = f"{GROUP}/supersedes"
"""On the ConfigMap of an agent: version that a halt replaced, so that a delayed write over that version is rejected."""
ANNOTATION_REQUESTED_BY = f"{GROUP}/requested-by"
"""On a PurpleFleaHalt: user who created it. The admission policy of the chart sets and checks it."""
ANNOTATION_FORCE_RESUME = f"{GROUP}/force-resume"
"""On a PurpleFleaHalt: "true" lets the admission policy of the chart accept its deletion while agents drain."""
