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
from purpleflea_operator.model import parsing
from purpleflea_operator.model.parsing import table

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
    annotations = table(table(stateful_set.get("metadata")).get("annotations"))
    text = annotations.get(KEY, "")
    try:
        value = orjson.loads(text)
        return Connection(
            mode=Mode(value["mode"]),
            host=_host(value["host"]),
            dogstatsd_port=_port(value["dogstatsd"]),
            apm_port=_port(value["apm"]),
            dogstatsd_socket=_socket(value.get("dogstatsdSocket")),
            apm_socket=_socket(value.get("apmSocket")),
        )
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError):
        return None


def _host(value: object) -> str:
    if value != "" and parsing.name(value) is None:
        raise ValueError("not the name of a host")
    return str(value)


def _port(value: object) -> int | None:
    if value is not None and (isinstance(value, str) or parsing.port(value) is None):
        raise ValueError("not a port")
    return parsing.port(value)


def _socket(path: object) -> Socket | None:
    if path is None:
        return None
    folder, _, name = (parsing.path(path) or "").rpartition("/")
    if not folder or parsing.socket_name(name) is None:
        raise ValueError("not the path of a socket")
    return Socket(folder=folder, name=name)
