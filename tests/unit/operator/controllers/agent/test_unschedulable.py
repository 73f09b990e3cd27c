"""Remedies for pods that the scheduler cannot place."""

import pytest

from purpleflea_operator.controllers.agent.decisions.conditions.unschedulable import remedy

JOURNAL = (
    "kubectl delete --wait=false pvc/state-momentum-1 pod/momentum-1, and compare its positions"
)
STORAGE = "see the condition StorageReady, and check spec.storage"


@pytest.mark.parametrize(
    ("explanation", "expected"),
    [
        (
            "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 node(s) didn't match PersistentVolume's "
            "node affinity.",
            JOURNAL,
        ),
        ("0/3 nodes are available: 3 node(s) had volume node affinity conflict.", JOURNAL),
        (
            "0/6 nodes are available: 2 Insufficient cpu, 4 node(s) had no available volume zone",
            JOURNAL,
        ),
        ("0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims.", STORAGE),
        ('0/3 nodes are available: persistentvolumeclaim "state-momentum-1" not found.', STORAGE),
        (
            "0/3 nodes are available: 3 node(s) didn't find available persistent volumes to bind.",
            STORAGE,
        ),
        ("0/3 nodes are available: 3 node(s) did not have enough free storage.", STORAGE),
        (
            'running PreBind plugin "VolumeBinding": binding volumes: context deadline exceeded',
            STORAGE,
        ),
        (
            "0/3 nodes are available: 3 node(s) had untolerated taint {dedicated: gpu}.",
            "on one of the nodes: add the taint to spec.pod.tolerations, or remove it from a node",
        ),
        (
            "0/3 nodes are available: 3 node(s) were unschedulable.",
            "on one of the nodes: run kubectl uncordon on a node if it is to take pods again",
        ),
        (
            "0/3 nodes are available: 3 Insufficient memory.",
            "on one of the nodes: add nodes, or lower spec.pod.resources",
        ),
        (
            "0/3 nodes are available: 1 Too many pods, 2 node(s) didn't match pod topology spread constraints.",
            "on one of the nodes: add nodes, or lower spec.pod.resources; or add a node where a pod is missing, or "
            "change spec.pod.topologySpreadConstraints",
        ),
        (
            "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.",
            "on one of the nodes: label a node, or change spec.pod.nodeSelector or spec.pod.affinity",
        ),
        (
            "0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules.",
            "on one of the nodes: add nodes, or change spec.pod.affinity",
        ),
        (
            "0/3 nodes are available: 3 node(s) didn't have free ports for the requested pod ports.",
            "on one of the nodes: add nodes, or remove the host port of the sidecar",
        ),
        (
            "0/3 nodes are available: 3 node(s) exceed max volume count.",
            "on one of the nodes: add nodes, because the nodes have as many volumes as they can attach",
        ),
        ("no nodes available to schedule pods", "check spec.pod"),
        ("", "check spec.pod"),
    ],
)
def test_the_remedy_follows_from_the_rule_that_excludes_the_nodes(explanation, expected):
    assert expected in remedy("momentum-1", explanation)
