"""The connection that was last injected, kept as an annotation on the StatefulSet.

When the node agent disappears, agents keep what they have: an address where nobody listens costs nothing, a rolling
restart of trading agents does. And a way that is still offered is kept when another one is added. Where there is no
StatefulSet, `injected` reads it from the pods.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from purpleflea_contract import kubernetes
from purpleflea_operator.detect.connection import Connection, Mode
from purpleflea_operator.detect.facts import Socket

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
    sockets = {
        "dogstatsdSocket": connection.dogstatsd_socket,
        "apmSocket": connection.apm_socket,
    }
    value |= {
        key: f"{item.folder}/{item.name}" for key, item in sockets.items() if item is not None
    }
    return {KEY: orjson.dumps(value).decode()}


def connection(stateful_set: Mapping[str, Any]) -> Connection | None:
    """The connection that a StatefulSet remembers; None where it remembers none, or nothing readable."""
    text = stateful_set.get("metadata", {}).get("annotations", {}).get(KEY, "")
    try:
        value = orjson.loads(text)
        return Connection(
            mode=Mode(value["mode"]),
            host=value["host"],
            dogstatsd_port=value["dogstatsd"],
            apm_port=value["apm"],
            dogstatsd_socket=_socket(value.get("dogstatsdSocket")),
            apm_socket=_socket(value.get("apmSocket")),
        )
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError):
        return None


def _socket(path: str | None) -> Socket | None:
    if path is None:
        return None
    folder, _, name = path.rpartition("/")
    return Socket(folder=folder, name=name)
