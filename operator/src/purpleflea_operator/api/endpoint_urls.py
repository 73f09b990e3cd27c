"""Plain HTTP endpoints: which of them stay inside the cluster, and the rule for all others.

With http:// the API key and the orders are readable, and changeable, on each network between the agent and the service.
Names that only the DNS of the cluster resolves, and the pod itself, are accepted. A private address is not, because
its packets may leave the cluster.
"""

import re

from pydantic import JsonValue

from purpleflea_contract.settings import Endpoints
from purpleflea_operator.api.types import rule

# A single label starts with a letter, because a number is an address in another notation.
_HOSTS = (
    r"[a-zA-Z]([a-zA-Z0-9-]*[a-zA-Z0-9])?",
    r"([a-zA-Z0-9-]+[.])+svc([.]cluster[.]local)?[.]?",
    r"127([.][0-9]{1,3}){3}",
    r"\[::1\]",
)
IN_CLUSTER = rf"http://({'|'.join(_HOSTS)})(:[0-9]{{1,5}})?(/.*)?"
"""Regular expression, for RE2 and Python, of plain HTTP URLs inside the cluster: a name without a dot, a name that ends
in .svc or .svc.cluster.local, or a loopback address."""
IN_CLUSTER_CEL = f"^{IN_CLUSTER}$".replace("\\", "\\\\")
"""The same expression in a string of CEL, in which a backslash must be doubled."""
REMEDY = (
    "http:// sends the API key unencrypted outside the cluster; use https://, or set api.allowInsecureEndpoints to "
    "true if the network is trusted"
)


def is_insecure(url: str) -> bool:
    """Return whether a URL is plain HTTP to a host that may be outside the cluster."""
    return not url.startswith("https://") and re.fullmatch(IN_CLUSTER, url) is None


def endpoints_rule() -> dict[str, JsonValue]:
    """Return the CEL rule of spec.api. Defaults of the endpoints are https."""
    secure = " && ".join(
        f"(!has(self.endpoints.{name}) || self.endpoints.{name}.startsWith('https://')"
        f" || self.endpoints.{name}.matches('{IN_CLUSTER_CEL}'))"
        for name in Endpoints.model_fields
    )
    return rule(
        "(has(self.allowInsecureEndpoints) && self.allowInsecureEndpoints) || !has(self.endpoints)"
        f" || ({secure})",
        REMEDY,
        fieldPath=".endpoints",
    )
