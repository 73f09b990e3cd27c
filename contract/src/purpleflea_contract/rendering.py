"""The route of the operator that shows the children of an agent before it is applied, for `kubectl purpleflea render`.

Only a client in the pod of the operator reaches it, such as `kubectl port-forward`. It changes nothing.
"""

from typing import Any, TypedDict

PATH = "/v1/render"
"""POST a PurpleFleaAgent as the API server would store it, with its UID."""
PORT = 8080
"""Port of the operator's HTTP server in the chart."""
MAX_BYTES = 1_572_864
"""Largest body of a request, which is the largest request of etcd."""


class ChildReference(TypedDict):
    """A child of an agent."""

    apiVersion: str
    kind: str
    name: str


class Rendering(TypedDict):
    """The answer."""

    operator: str
    """Version of the operator."""
    children: list[dict[str, Any]]
    """Manifests of the desired children, in the sequence of their writes; empty if the spec is invalid."""
    written: list[ChildReference]
    """The children that the operator would create or change."""
    deleted: list[ChildReference]
    """The children that the operator would delete."""
    recreates: bool
    """Whether the StatefulSet is deleted without its pods and created again, because a field is immutable."""
    invalid: str
    """The error in the spec; empty if it is valid."""
    notes: list[str]
    """Reasons for which the children differ from the spec."""
