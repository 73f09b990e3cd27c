"""The remedy for a pod that the scheduler cannot place, from the scheduler's explanation. Pure.

The explanation counts the nodes by the rule that excludes them, such as "0/3 nodes are available: 1 node(s) had
untolerated taint(s), 2 Insufficient cpu". The fragments are those of the plugins in pkg/scheduler/framework/plugins of
Kubernetes 1.31 to 1.37.
"""

from purpleflea_operator.manifests import volumes

_BOUND_TO_PLACE = (
    "PersistentVolume's node affinity",
    "volume node affinity conflict",
    "no available volume zone",
)
"""A volume of the pod can be used only on other nodes than those that have room for the pod."""
_NO_VOLUME = (
    "persistentvolumeclaim",
    "unbound immediate PersistentVolumeClaims",
    "available persistent volumes to bind",
    "enough free storage",
    "non-existent pv",
    "binding volumes",
)
_RULES = (
    (("taint",), "add the taint to spec.pod.tolerations, or remove it from a node"),
    (("unschedulable",), "run kubectl uncordon on a node if it is to take pods again"),
    (("Insufficient ", "Too many pods"), "add nodes, or lower spec.pod.resources"),
    (
        ("topology spread constraints",),
        "add a node where a pod is missing, or change spec.pod.topologySpreadConstraints",
    ),
    (
        ("Pod's node affinity/selector", "node selector"),
        "label a node, or change spec.pod.nodeSelector or spec.pod.affinity",
    ),
    (("affinity rules",), "add nodes, or change spec.pod.affinity"),
    (("free ports",), "add nodes, or remove the host port of the sidecar"),
    (("max volume count",), "add nodes, because the nodes have as many volumes as they can attach"),
)
"""Fragments of the explanation, and the remedy for the nodes that they exclude."""


def remedy(pod: str, explanation: str) -> str:
    """Return how the pod can be placed; if its volume is the cause, only that, because no other node can help."""
    if any(item in explanation for item in _BOUND_TO_PLACE):
        return _free_volume(pod)
    if any(item.lower() in explanation.lower() for item in _NO_VOLUME):
        return "see the condition StorageReady, and check spec.storage"
    found = [text for fragments, text in _RULES if any(item in explanation for item in fragments)]
    return f"on one of the nodes: {'; or '.join(found)}" if found else "check spec.pod"


def _free_volume(pod: str) -> str:
    return (
        "the volume of the pod exists only on its node or in its zone, so no other node can run the pod. Bring the "
        "node back, or make room on it. If the volume is lost for good, the agent can start with an empty journal: "
        f"kubectl delete --wait=false pvc/{volumes.STATE}-{pod} pod/{pod}, and compare its positions and orders on the "
        "exchange"
    )
