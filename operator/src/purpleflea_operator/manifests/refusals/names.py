"""Names and metadata: the name of the agent, and the labels, annotations and keys that become metadata."""

from collections.abc import Iterator

from purpleflea_operator.manifests.metadata import Agent
from purpleflea_operator.manifests.refusals.refusal import Refusal, duplicates

NAME_LIMIT = 52
"""Longest name of a StatefulSet. The label controller-revision-hash of its pods is the name with a hash of 10
characters, and the name of a pod is a label too."""
ANNOTATIONS_LIMIT = 200 * 1024
"""Bytes of the user's annotations of a pod. Kubernetes allows 256 KiB in total, and the rest is for the operator."""


def refusals(agent: Agent) -> Iterator[Refusal]:
    """Yield the refused names and metadata."""
    yield from _name(agent.name)
    pod = agent.spec.pod
    if _size(pod.annotations) > ANNOTATIONS_LIMIT:
        yield Refusal(
            "spec.pod.annotations",
            f"the annotations are larger than {ANNOTATIONS_LIMIT // 1024} KiB; shorten them, or use a ConfigMap",
        )
    if agent.spec.image is not None:
        yield from duplicates("spec.image.pullSecrets", agent.spec.image.pull_secrets, "the Secret")


def _name(name: str) -> Iterator[Refusal]:
    if len(name) > NAME_LIMIT:
        yield Refusal(
            "metadata.name",
            f"the name has {len(name)} characters, but names of pods and their labels allow at most {NAME_LIMIT}; "
            "create the agent again with a shorter name",
        )
    if "." in name:
        yield Refusal(
            "metadata.name",
            "the name contains a dot, which the host name of a pod does not allow; create the agent again with "
            "another name",
        )


def _size(annotations: dict[str, str]) -> int:
    return sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items())
