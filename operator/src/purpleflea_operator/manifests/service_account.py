"""The ServiceAccount of an agent's own, made only where it is asked for; the operator gives it no rights."""

from purpleflea_operator.manifests.metadata import Agent, manifest
from purpleflea_operator.parsing import MutableManifest


def service_account(agent: Agent) -> list[MutableManifest]:
    """The ServiceAccount, where spec.pod.serviceAccount asks for one."""
    wanted = agent.spec.pod.service_account
    if wanted is None:
        return []
    found = manifest(agent, "v1", "ServiceAccount")
    found["metadata"]["annotations"] = dict(wanted.annotations)
    # Pods say for themselves whether they get a token.
    return [{**found, "automountServiceAccountToken": False}]


def identity_of_pods(agent: Agent) -> MutableManifest:
    """What the pod says about its ServiceAccount.

    Said always: a name that is left out again comes back by the field's former name (serviceAccount), which the API
    server keeps beside it and nobody owns, and pods would go on asking for an account that is gone.
    """
    pod = agent.spec.pod
    name = agent.name if pod.service_account is not None else pod.service_account_name
    return {
        "serviceAccountName": name or "default",
        "automountServiceAccountToken": pod.automount_service_account_token,
    }
