"""The effect of a change of each field, as rendered, equals the effect on the reference page."""

import pytest

from purpleflea_operator.api.agent import AgentSpec
from purpleflea_operator.api.change_effects import MEANINGS, Effect, effect_of
from purpleflea_operator.controllers.agent.decisions.connection_choice import best_connection
from purpleflea_operator.datadog.detection.connection import Connection, ConnectionMode
from purpleflea_operator.datadog.detection.facts import NO_DATADOG, PodSecurity
from purpleflea_operator.manifests.children import children
from purpleflea_operator.manifests.metadata import Agent, Defaults
from support import spec_fields

HOST_IP = Connection(mode=ConnectionMode.HOST_IP, dogstatsd_port=8125, apm_port=8126)
ONE_VALUE = {
    "api.dialect",
    "datadog.whenMissing",
    "pod.sidecars[].securityContext.privileged",
    "pod.sidecars[].securityContext.allowPrivilegeEscalation",
    "pod.volumes[].emptyDir.medium",
}
"""Fields with a single value, whose change cannot be tested."""
OTHER_VALUES = {
    # Auto selects HostIP here, so a change from Auto to HostIP has no effect.
    "datadog.connection": ["Auto", "Disabled"],
}


class NoNodes:
    """The view of a cluster without node agents."""

    facts = NO_DATADOG

    def pod_security(self, _namespace):
        return PodSecurity.PRIVILEGED


def rendered(spec, **changes):
    has_endpoint = "endpoint" in spec.get("datadog", {})
    if has_endpoint:
        # The address has an effect only with this connection.
        spec = {**spec, "datadog": {**spec["datadog"], "connection": "Endpoint"}}
    agent = Agent(
        namespace="trading",
        name="momentum",
        uid="u",
        generation=1,
        spec=AgentSpec.model_validate(spec, extra="forbid"),
        **changes,
    )
    connection = best_connection(agent, None, NoNodes()) if has_endpoint else HOST_IP
    return {item["kind"]: item for item in children(agent, Defaults(image="agent:1"), connection)}


def effect(before, after):
    old, new = before["StatefulSet"]["spec"], after["StatefulSet"]["spec"]
    if old["template"] != new["template"]:
        return Effect.RESTART
    if old.get("volumeClaimTemplates") != new.get("volumeClaimTemplates"):
        return Effect.RECREATE
    if old["replicas"] != new["replicas"]:
        return Effect.SCALE
    if before["ConfigMap"] != after["ConfigMap"]:
        return Effect.CONTROL
    return Effect.NONE if before != after else Effect.REPORT


def values_of(field):
    return OTHER_VALUES.get(field) or spec_fields.values(PATHS[field])


PATHS = {spec_fields.name(path): path for path in spec_fields.paths()}
CHANGEABLE = sorted(field for field in PATHS if len(values_of(field)) > 1)


@pytest.mark.parametrize("field", CHANGEABLE)
def test_a_change_of_a_field_has_the_effect_in_the_reference(field):
    values = values_of(field)
    before, after = (rendered(spec_fields.spec_with(PATHS[field], value)) for value in values)
    rendered_effect, documented = effect(before, after), effect_of(field.replace("[]", ""))
    assert rendered_effect == documented, f"correct the effect of {field} in api/change_effects.py"


def test_only_fields_with_a_single_value_have_no_test_of_their_effect():
    assert PATHS.keys() - set(CHANGEABLE) <= ONE_VALUE


def test_changes_of_control_and_surrounding_objects_restart_no_agent():
    without_restart = {
        field for field in PATHS if effect_of(field.replace("[]", "")) is not Effect.RESTART
    }
    assert {
        "trading.mode",
        "replicas",
        "network.egressCidrs",
        "storage.whenDeleted",
    } <= without_restart
    assert "risk.maxOrderUsd" not in without_restart


def test_every_effect_is_explained():
    assert MEANINGS.keys() == set(Effect)


def test_adding_storage_later_restarts_the_agents():
    without = rendered(spec_fields.spec_with(("replicas",), 1), has_ephemeral_pods=True)
    added = rendered(spec_fields.spec_with(("storage", "whenDeleted"), "Retain"))
    assert effect(without, added) is Effect.RESTART
