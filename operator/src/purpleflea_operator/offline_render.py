"""`python -m purpleflea_operator render`: the children of an agent on stdin, without a cluster, as JSON.

It uses the renderer and the settings of an operator, and sends no request. What only a cluster has is left out: the
connection to the node agent, halts, and the present objects.
"""

import sys
from dataclasses import replace
from typing import Any

import orjson

from purpleflea_contract.rendering import MAX_BYTES, Rendering
from purpleflea_operator import __version__
from purpleflea_operator.controllers.agent.decisions.gather import in_cluster, parsed
from purpleflea_operator.datadog.detection.connection import NO_CONNECTION
from purpleflea_operator.kube import resources
from purpleflea_operator.manifests.children import children
from purpleflea_operator.parsing import Manifest, mapping, text
from purpleflea_operator.settings import OperatorSettings

COMMAND = "render"
CHART_NAMESPACE = "purpleflea-system"
"""Namespace of the operator in the documentation of the chart."""
NO_CLUSTER_NOTE = "rendered without a cluster, so the connection to the node agent, halts and the rollout are left out"


def main() -> int:
    """Print the rendering of the agent on stdin; return 1 with one line on stderr if it is not an agent."""
    body = sys.stdin.buffer.read(MAX_BYTES + 1)
    try:
        document: object = orjson.loads(body) if len(body) <= MAX_BYTES else None
    except ValueError:
        document = None
    metadata = mapping(mapping(document).get("metadata"))
    required = [text(metadata.get(key)) for key in ("namespace", "name", "uid")]
    if mapping(document).get("kind") != resources.AGENT.kind or not all(required):
        message = "stdin is not a PurpleFleaAgent as JSON with namespace, name and UID"
        print(f"purpleflea-operator: {message}", file=sys.stderr)
        return 1
    answer = rendering(mapping(document), OperatorSettings())
    sys.stdout.buffer.write(orjson.dumps(answer) + b"\n")
    return 0


def rendering(resource: Manifest, settings: OperatorSettings) -> Rendering:
    """Return the children of an agent in an empty cluster without node agents."""
    agent, invalid = in_cluster(*parsed(_with_spec(resource)), settings.cluster)
    defaults = settings.defaults
    if not defaults.operator_namespace:
        # Without it, the NetworkPolicy would refuse the operator.
        defaults = replace(defaults, operator_namespace=CHART_NAMESPACE)
    found = () if agent is None else children(agent, defaults, NO_CONNECTION)
    return Rendering(
        operator=__version__,
        children=[dict(item) for item in found],
        written=[],
        deleted=[],
        recreates=False,
        invalid=invalid,
        notes=[NO_CLUSTER_NOTE],
    )


def _with_spec(resource: Manifest) -> dict[str, Any]:
    metadata = {"generation": 1, **mapping(resource.get("metadata"))}
    return {**resource, "metadata": metadata, "spec": dict(mapping(resource.get("spec")))}
