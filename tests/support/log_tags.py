"""Tags of an agent's log lines, derived from the manifests and the pipeline that set them, so that queries group only
by tags that exist.
"""

import json

from purpleflea_contract import kubernetes
from purpleflea_operator.api.agent import AgentSpec
from purpleflea_operator.datadog.definitions import catalog
from purpleflea_operator.datadog.definitions.objects import ObjectKind
from purpleflea_operator.datadog.definitions.parameters import Parameters
from purpleflea_operator.datadog.detection.connection import Connection, ConnectionMode
from purpleflea_operator.manifests.children import children
from purpleflea_operator.manifests.metadata import Agent, Defaults
from support.builders import a_spec


def of_pods() -> set[str]:
    """Return the tags that the node agent adds from labels and annotations of the pod."""
    spec = AgentSpec.model_validate(a_spec())
    agent = Agent(namespace="trading", name="momentum", uid="uid", generation=1, spec=spec)
    defaults = Defaults(image="localhost/agent:0.1.0")
    objects = children(agent, defaults, Connection(mode=ConnectionMode.HOST_IP))
    (workload,) = (item for item in objects if item["kind"] == "StatefulSet")
    metadata = workload["spec"]["template"]["metadata"]
    unified = {
        kubernetes.DD_LABEL_ENV: "env",
        kubernetes.DD_LABEL_SERVICE: "service",
        kubernetes.DD_LABEL_VERSION: "version",
    }
    tags = {unified[name] for name in metadata["labels"] if name in unified}
    return tags | set(json.loads(metadata["annotations"][kubernetes.DD_ANNOTATION_TAGS]))


def of_pipeline() -> set[str]:
    """Return the tags that the log pipeline adds."""
    pipelines = (
        item.body
        for item in catalog.everything(Parameters())
        if item.kind is ObjectKind.LOG_PIPELINE
    )
    return {
        processor["target"]
        for pipeline in pipelines
        for processor in pipeline["processors"]
        if processor.get("target_type") == "tag"
    }
