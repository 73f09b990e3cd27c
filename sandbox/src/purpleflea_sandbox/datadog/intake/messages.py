"""Convert an entry of the log intake to a log: JSON messages become attributes, and reserved attributes set the log's
fields.

Pure. The names are those of Datadog's preprocessing of JSON logs (documentation, "Pipelines").
"""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from purpleflea_sandbox.datadog import tags as tagging
from purpleflea_sandbox.datadog.intake.log_store import Log

_DATES = (
    "@timestamp",
    "timestamp",
    "_timestamp",
    "Timestamp",
    "eventTime",
    "date",
    "published_date",
)
_STATUSES = ("status", "severity", "level", "syslog.severity")
_MESSAGES = ("message", "msg", "log")
_SERVICES = ("service", "syslog.appname", "dd.service")
_HOSTS = ("host", "hostname", "syslog.hostname")
_LEVELS = {
    "f": "emergency",
    "em": "emergency",
    "a": "alert",
    "c": "critical",
    "e": "error",
    "w": "warn",
    "n": "notice",
    "i": "info",
    "d": "debug",
    "t": "debug",
    "v": "debug",
    "o": "ok",
    "s": "ok",
}


def log(entry: Mapping[str, Any], now: float) -> Log:
    """Convert an entry. If the message does not set a field, the value of the entry is used."""
    text = str(entry.get("message", ""))
    attributes = _attributes(text)
    first = _FirstAttribute(attributes)
    tags = str(entry.get("ddtags", "")).split(",")
    source = str(entry.get("ddsource", ""))
    sent = entry.get("timestamp")
    return Log(
        timestamp=_milliseconds(first.of(_DATES)) or _milliseconds(sent) or int(now * 1000),
        status=level(str(first.of(_STATUSES) or entry.get("status", "info"))),
        message=str(first.of(_MESSAGES) or text),
        service=str(first.of(_SERVICES) or entry.get("service", "")),
        host=str(first.of(_HOSTS) or entry.get("hostname", "")),
        tags=tagging.normalised_all([*tags, *([f"source:{source}"] if source else [])]),
        attributes=attributes,
    )


def level(text: str) -> str:
    """Return Datadog's status for any spelling of a level. Numbers are syslog levels; if the level is unknown, it is
    info.
    """
    names = ("emergency", "alert", "critical", "error", "warn", "notice", "info", "debug")
    if text.isdigit() and int(text) < len(names):
        return names[int(text)]
    lowered = text.lower()
    for length in (2, 1):
        if lowered[:length] in _LEVELS:
            return _LEVELS[lowered[:length]]
    return "info"


def _attributes(text: str) -> Mapping[str, Any]:
    if not text.lstrip().startswith("{"):
        return {}
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


class _FirstAttribute:
    def __init__(self, attributes: Mapping[str, Any]) -> None:
        self._attributes = attributes

    def of(self, names: Iterable[str]) -> Any:
        """Return the first attribute that exists. `a.b` is either a key with that name, or b within a."""
        for name in names:
            value = self._attributes.get(name)
            if value is None and "." in name:
                outer, _, inner = name.partition(".")
                nested = self._attributes.get(outer)
                value = nested.get(inner) if isinstance(nested, Mapping) else None
            if value not in (None, ""):
                return value
        return None


def _milliseconds(value: Any) -> int:
    """Convert ISO 8601 or a number of milliseconds to milliseconds; 0 for any other value."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return int(value)
    if not isinstance(value, str):
        return 0
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return 0
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(aware.timestamp() * 1000)
