"""One Datadog organization: all objects created in it, and the data it received. No HTTP and no validation.

The modules beside it validate, one per kind of object. The evaluation writes monitor states here, and the fleet page
reads them.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from purpleflea_sandbox.datadog.api.faults import FaultInjector
from purpleflea_sandbox.datadog.api.identifiers import Identifiers
from purpleflea_sandbox.datadog.api.keys import KeyRing
from purpleflea_sandbox.datadog.api.limits import USUAL, RateLimits
from purpleflea_sandbox.datadog.api.request_log import RequestLog
from purpleflea_sandbox.datadog.evaluation.pipelines import process
from purpleflea_sandbox.datadog.intake.store import Store

Document = dict[str, Any]

NO_DATA = "No Data"
HANDLE = "sandbox@purpleflea.invalid"
AUTHOR = {"name": "Sandbox", "handle": HANDLE, "email": HANDLE}
_MAX_TESTS = 20_000
_MAX_DEPLOYMENTS = 5_000


@dataclass(slots=True, kw_only=True)
class Monitor:
    """A monitor: its definition as sent, the fields the server adds, and its state.

    `groups` are the states of a multi-alert monitor by group (`agent_id:momentum-0`), in the API's format.
    """

    id: int
    definition: Document
    created: float
    modified: float
    overall_state: str = NO_DATA
    state_modified: float | None = None
    groups: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def tags(self) -> list[str]:
        tags: list[str] = self.definition["tags"]
        return tags


@dataclass(slots=True)
class Scanner:
    """Sensitive data scanner: groups in sequence, each with its rules in sequence."""

    id: str
    version: int = 1
    groups: dict[str, Document] = field(default_factory=dict)
    rules: dict[str, Document] = field(default_factory=dict)


@dataclass(slots=True)
class LogConfig:
    """Pipelines and indexes; the sequence of the dictionaries is the sequence of processing."""

    pipelines: dict[str, Document] = field(default_factory=dict)
    indexes: dict[str, Document] = field(
        default_factory=lambda: {
            "main": {"name": "main", "filter": {"query": "*"}, "num_retention_days": 15}
        }
    )


class Organisation:
    """Objects by id, and the data they refer to."""

    def __init__(
        self,
        data: Store,
        keys: KeyRing | None = None,
        *,
        limits: RateLimits | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.org_id = 1_000_001
        self.data = data
        self.keys = keys or KeyRing()
        self.limits = limits or RateLimits(USUAL)
        self.now = now
        self.faults = FaultInjector()
        self.request_log = RequestLog()
        self.ids = Identifiers()
        self.monitors: dict[int, Monitor] = {}
        self.slos: dict[str, Document] = {}
        self.dashboards: dict[str, Document] = {}
        self.notebooks: dict[int, Document] = {}
        self.logs = LogConfig()
        data.logs.process = lambda log: process(log, self.logs.pipelines.values())
        self.metric_tags: dict[str, Document] = {}
        self.metric_metadata: dict[str, Document] = {}
        self.scanner = Scanner(id=self.ids.uuid())
        self.deployments: dict[str, Document] = {}
        self.downtimes: dict[str, Document] = {}
        self.tests: deque[Document] = deque(maxlen=_MAX_TESTS)

    def remove_oldest_deployments(self) -> None:
        """Remove the oldest deployments if there are too many, to bound the memory."""
        while len(self.deployments) > _MAX_DEPLOYMENTS:
            del self.deployments[next(iter(self.deployments))]


def iso(seconds: float) -> str:
    """Format a time in the format that most of the API uses."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")
