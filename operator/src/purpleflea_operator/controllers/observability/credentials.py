"""API keys for Datadog, from the one Secret that a resource names. No other module of the operator reads a Secret."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from purpleflea_operator.api.observability import KeysSecretRef
from purpleflea_operator.api.reasons import Reason
from purpleflea_operator.datadog.client.transport import Keys
from purpleflea_operator.kube import errors, resources
from purpleflea_operator.kube.protocol import KubeClient
from purpleflea_operator.kube.resources import ObjectRef


class KeysError(Exception):
    """There are no usable keys. `reason` is the reason of the condition, and the text contains the remedy."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


async def read_keys(cluster: KubeClient, namespace: str, ref: KeysSecretRef) -> Keys:
    """Read the keys.

    Raises:
        KeysError: The Secret is missing or forbidden, or a key in it is missing or invalid.
        ApiError: The request to the API server failed.
    """
    try:
        secret = await cluster.get(
            ObjectRef(kind=resources.SECRET, namespace=namespace, name=ref.name)
        )
    except errors.Forbidden as error:
        raise KeysError(
            Reason.SECRET_FORBIDDEN,
            f"the operator may not read Secret {ref.name}; add it to the chart value observability.secrets",
        ) from error
    if secret is None:
        raise KeysError(
            Reason.SECRET_MISSING,
            f"Secret {ref.name} does not exist; create it with: kubectl create secret generic {ref.name}"
            f" --from-literal={ref.api_key}=... --from-literal={ref.app_key}=...",
        )
    data = secret.get("data") or {}
    return Keys(api=_key(data, ref.name, ref.api_key), app=_key(data, ref.name, ref.app_key))


def _key(data: Mapping[str, Any], secret: str, name: str) -> str:
    if name not in data:
        raise KeysError(
            Reason.KEY_MISSING, f"Secret {secret} has no key {name}; add the key to the Secret"
        )
    try:
        text = base64.b64decode(data[name], validate=True).decode("ascii").strip()
    except (binascii.Error, UnicodeDecodeError):
        text = ""
    # Other characters could inject headers into the request.
    if not text.isalnum() and not text.replace("-", "").replace("_", "").isalnum():
        raise KeysError(
            Reason.KEY_MISSING,
            f"the value of {name} in Secret {secret} is not a Datadog key; correct the value",
        )
    return text
