"""The rules by which Flux, kpt and `cli-utils` compute the state of a custom resource (kstatus).

From the README of sigs.k8s.io/cli-utils/pkg/kstatus and `checkGenericProperties` and `checkReadyCondition` of its
package status: the deletion timestamp first, then the observed generation, then the conditions Reconciling and Stalled,
which are present only if they are true, and then Ready. A resource with none of these is Current.
"""

from typing import Literal

from purpleflea_operator.parsing import Manifest

State = Literal["Current", "InProgress", "Failed", "Terminating"]


def state(resource: Manifest) -> State:
    """Return the state of a resource."""
    metadata, status = resource["metadata"], resource.get("status", {})
    if metadata.get("deletionTimestamp"):
        return "Terminating"
    observed = status.get("observedGeneration")
    if observed is not None and observed != metadata.get("generation", 0):
        return "InProgress"
    conditions = {item["type"]: item["status"] for item in status.get("conditions", ())}
    if conditions.get("Reconciling") == "True":
        return "InProgress"
    if conditions.get("Stalled") == "True":
        return "Failed"
    return "Current" if conditions.get("Ready", "True") == "True" else "InProgress"
