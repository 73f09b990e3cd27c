"""Kubernetes names: the API group, labels and annotations that operator, agent and sandbox share.

The Datadog keys are written as Datadog's node agent reads them (documentation: unified service tagging,
Autodiscovery annotations v2).
"""

GROUP = "purpleflea.com"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

CONTAINER = "agent"
"""Name of the agent's container; Autodiscovery annotations carry it in their key."""

HOLD_CONTAINER = "await-node-agent"
"""Name of the init container that waits for the node agent (spec.datadog.whenMissing: Hold)."""
HOLD_MODULE = "purpleflea_agent.hold"
"""Module that the init container runs. It is part of the pod template, so a new name would restart agents with Hold."""

LABEL_NAME = "app.kubernetes.io/name"
LABEL_INSTANCE = "app.kubernetes.io/instance"
LABEL_COMPONENT = "app.kubernetes.io/component"
LABEL_PART_OF = "app.kubernetes.io/part-of"
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_STRATEGY = f"{GROUP}/strategy"
MANAGED_BY = "purpleflea-operator"

DD_LABEL_ENV = "tags.datadoghq.com/env"
DD_LABEL_SERVICE = "tags.datadoghq.com/service"
DD_LABEL_VERSION = "tags.datadoghq.com/version"
DD_ANNOTATION_TAGS = "ad.datadoghq.com/tags"
DD_ANNOTATION_LOGS = f"ad.datadoghq.com/{CONTAINER}.logs"
DD_ANNOTATION_LOGS_EXCLUDE = f"ad.datadoghq.com/{CONTAINER}.logs_exclude"
"""With "true", no logs of the container are collected, also where the node agent collects those of all."""
DD_ANNOTATION_CHECKS = f"ad.datadoghq.com/{CONTAINER}.checks"
DD_ANNOTATION_TOLERATE_UNREADY = "ad.datadoghq.com/tolerate-unready"
"""With "true", checks also run on a pod that is not ready: without it, none when they are needed."""

CHECK_NAME = "purpleflea_agent"
"""Name of the Agent check of an agent: its file in checks.d, its key in the annotation."""
OPENMETRICS_NAMESPACE = "purpleflea"
"""First part of the names of metrics that the node agent reads from an agent's /metrics."""

ANNOTATION_DESIRED_HASH = f"{GROUP}/desired-hash"
"""On each child: hash of what the operator last wanted it to be."""
ANNOTATION_SETTINGS = f"{GROUP}/settings"
"""On the pod: the whole of its settings.json. A pod of an earlier revision keeps the settings of that revision."""
ANNOTATION_REASON = f"{GROUP}/reason"
"""On an agent resource: why its trading mode is what it is, in words of the one who set it."""
