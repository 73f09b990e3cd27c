"""The PurpleFleaObservability resource of the demo.

The operator creates all other Datadog objects from it.
"""

import base64
from collections.abc import Mapping
from typing import Any

from purpleflea_sandbox.demo import installation
from purpleflea_sandbox.demo.secrets import SandboxKeys
from purpleflea_sandbox.demo.tools import Tools

NAME = "fleet"
KEYS_SECRET = "datadog-keys"  # noqa: S105 - the name of a Secret
ENV = "sandbox"
DATADOG_URL = f"http://datadog-intake.{installation.DATADOG}.svc"
OPERATOR_VALUES: Mapping[str, str] = {
    "observability.secrets[0].namespace": installation.OPERATOR,
    "observability.secrets[0].name": KEYS_SECRET,
    "observability.urls[0]": DATADOG_URL,
}
"""Values of the operator chart: the one Secret that the operator may read, and the URL to which it
may send the keys in it.
"""


def apply(tools: Tools, keys: SandboxKeys) -> None:
    """Create the Secret with the keys and the PurpleFleaObservability resource."""
    tools.apply(_secret(keys))
    tools.apply(_resource())


def _secret(keys: SandboxKeys) -> dict[str, Any]:
    # The stand-in accepts any application key if none is configured.
    values = {"api-key": keys.datadog_key, "app-key": "sandbox"}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": KEYS_SECRET, "namespace": installation.OPERATOR},
        "data": {key: base64.b64encode(text.encode()).decode() for key, text in values.items()},
    }


def _resource() -> dict[str, Any]:
    return {
        "apiVersion": "purpleflea.com/v1alpha1",
        "kind": "PurpleFleaObservability",
        "metadata": {"name": NAME, "namespace": installation.OPERATOR},
        "spec": {
            "keysSecretRef": {"name": KEYS_SECRET},
            "url": DATADOG_URL,
            "allowInsecureUrl": True,
            "env": ENV,
            "resync": "30s",
        },
    }
