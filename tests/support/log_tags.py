"""Which tags the log lines of an agent carry: derived from what sets them, so that no query groups by a wish."""

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
    """What the node agent adds by the labels and annotations of the pod."""
    spec = AgentSpec.model_validate(a_spec())
    agent = Agent(namespace="trading", name="momentum", uid="uid", generation=1, spec=spec)
    defaults = Defaults(image="localhost/agent:0.1.0")
    made = children(agent, defaults, Connection(mode=ConnectionMode.HOST_IP))
    (workload,) = (item for item in made if item["kind"] == "StatefulSet")
    metadata = workload["spec"]["template"]["metadata"]
    unified = {
        kubernetes.DD_LABEL_ENV: "env",
        kubernetes.DD_LABEL_SERVICE: "service",
        kubernetes.DD_LABEL_VERSION: "version",
    }
    found = {unified[name] for name in metadata["labels"] if name in unified}
    return found | set(json.loads(metadata["annotations"][kubernetes.DD_ANNOTATION_TAGS]))


def of_pipeline() -> set[str]:
    """What the log pipeline makes a tag."""
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
