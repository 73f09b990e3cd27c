"""What the demo asks the operator for, against the operator's own model and chart."""

from purpleflea_operator.api.observability import ObservabilitySpec
from purpleflea_sandbox.demo import definitions, installation
from purpleflea_sandbox.demo.secrets import SandboxKeys


class Recorder:
    """Takes manifests in the place of a cluster."""

    def __init__(self):
        self.applied = []

    def apply(self, *manifests):
        self.applied += manifests


def test_the_demo_names_the_secret_and_the_address_that_the_operator_may_read_and_a_spec_that_is_valid():
    tools = Recorder()
    definitions.apply(
        tools, SandboxKeys(exchange_key="e", exchange_admin_token="a", datadog_key="d")
    )
    secret, resource = tools.applied
    spec = ObservabilitySpec.model_validate(resource["spec"], extra="forbid")
    assert spec.env == definitions.ENV
    assert spec.keys_secret_ref.name == secret["metadata"]["name"]
    assert {spec.keys_secret_ref.api_key, spec.keys_secret_ref.app_key} == set(secret["data"])
    place = secret["metadata"]["namespace"]
    assert place == resource["metadata"]["namespace"] == installation.OPERATOR
    assert {
        "observability.secrets[0].namespace": place,
        "observability.secrets[0].name": secret["metadata"]["name"],
        "observability.urls[0]": spec.url,
    } == definitions.OPERATOR_VALUES
