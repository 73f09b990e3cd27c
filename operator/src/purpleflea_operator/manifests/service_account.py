"""The ServiceAccount of an agent, which is created only if the spec requests it. The operator grants it no rights."""

from purpleflea_operator.manifests.metadata import Agent, child_manifest
from purpleflea_operator.parsing import MutableManifest


def service_account(agent: Agent) -> list[MutableManifest]:
    """Return the ServiceAccount if spec.pod.serviceAccount is set, else an empty list."""
    requested = agent.spec.pod.service_account
    if requested is None:
        return []
    manifest = child_manifest(agent, "v1", "ServiceAccount")
    manifest["metadata"]["annotations"] = dict(requested.annotations)
    # The pods set this field too, so the value of the pod applies.
    return [{**manifest, "automountServiceAccountToken": False}]


def pod_fields(agent: Agent) -> MutableManifest:
    """Return the fields of the pod spec that select the ServiceAccount.

    They are always set. The API server copies the name to the deprecated field `serviceAccount`, which has no field
    manager. If the operator omitted `serviceAccountName` later, the API server would restore it from that copy, and
    pods would still use an account that no longer exists.
    """
    pod = agent.spec.pod
    name = agent.name if pod.service_account is not None else pod.service_account_name
    return {
        "serviceAccountName": name or "default",
        "automountServiceAccountToken": pod.automount_service_account_token,
    }
