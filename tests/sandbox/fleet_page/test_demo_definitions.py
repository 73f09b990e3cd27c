"""Resource that the demo applies, validated against the operator's model and chart."""

from purpleflea_operator.api.observability import ObservabilitySpec
from purpleflea_sandbox.demo import definitions, installation
from purpleflea_sandbox.demo.secrets import SandboxKeys


class Recorder:
    """Record manifests instead of applying them to a cluster."""

    def __init__(self):
        self.applied = []

    def apply(self, *manifests):
        self.applied += manifests


def test_demo_resource_is_valid_and_uses_the_allowed_secret_and_url():
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
