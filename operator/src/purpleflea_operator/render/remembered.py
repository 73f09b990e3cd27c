"""The connection that was last injected, kept as an annotation on the StatefulSet.

When the node agent disappears, agents keep what they have: an address where nobody listens costs nothing, a rolling
restart of trading agents does.
"""

from typing import Any

import orjson

from purpleflea_contract import kubernetes
from purpleflea_operator.detect.connection import Connection, Mode

KEY = f"{kubernetes.GROUP}/datadog-connection"


def annotation(connection: Connection) -> dict[str, str]:
    """The annotation that remembers `connection`; empty where there is nothing to remember."""
    if connection.mode is Mode.NONE:
        return {}
    value = {
        "mode": connection.mode,
        "host": connection.host,
        "dogstatsd": connection.dogstatsd_port,
        "apm": connection.apm_port,
    }
    return {KEY: orjson.dumps(value).decode()}


def connection(stateful_set: dict[str, Any] | None) -> Connection | None:
    """The connection that a StatefulSet remembers; None where it remembers none, or nothing readable."""
    text = (stateful_set or {}).get("metadata", {}).get("annotations", {}).get(KEY, "")
    try:
        value = orjson.loads(text)
        return Connection(
            mode=Mode(value["mode"]),
            host=value["host"],
            dogstatsd_port=value["dogstatsd"],
            apm_port=value["apm"],
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None
