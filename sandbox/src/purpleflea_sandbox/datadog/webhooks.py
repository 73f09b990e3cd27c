"""Send notifications to webhooks: one POST per message that names @webhook-<name>, with a few retries.

The evaluation does not wait for the delivery.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp

from purpleflea_sandbox.datadog.evaluation import messages
from purpleflea_sandbox.datadog.evaluation.monitors import Notification
from purpleflea_sandbox.datadog.evaluation.states import Status

logger = logging.getLogger(__name__)

PREFIX = "webhook-"
_MAX_QUEUED = 1_000
_TIMEOUT = aiohttp.ClientTimeout(total=15)
_MAX_ATTEMPTS = 5
_ALERT_TYPES = {Status.ALERT: "error", Status.WARN: "warning", Status.OK: "success"}


class Webhooks:
    """Queue of webhook requests, and the task that sends them; `counts` has sent, failed, dropped and unknown."""

    def __init__(self, addresses: Callable[[], Mapping[str, str]], delay_s: float = 1.0) -> None:
        self._addresses = addresses
        self._delay_s = delay_s
        self._queue: asyncio.Queue[tuple[str, Mapping[str, Any]]] = asyncio.Queue(_MAX_QUEUED)
        self.counts: Counter[str] = Counter()

    def enqueue(self, notification: Notification) -> None:
        """Queue one POST per webhook that the message names."""
        known = self._addresses()
        for handle in notification.handles:
            if not handle.startswith(PREFIX):
                continue
            url = known.get(handle.removeprefix(PREFIX))
            if url is None:
                self.counts["unknown"] += 1
                continue
            try:
                self._queue.put_nowait((url, body(notification)))
            except asyncio.QueueFull:
                self.counts["dropped"] += 1

    async def run(self, session: aiohttp.ClientSession) -> None:
        """Send until canceled."""
        while True:
            url, document = await self._queue.get()
            self.counts["sent" if await self._send(session, url, document) else "failed"] += 1
            self._queue.task_done()

    async def drained(self) -> None:
        """Wait until the queue is empty."""
        await self._queue.join()

    async def _send(
        self, session: aiohttp.ClientSession, url: str, document: Mapping[str, Any]
    ) -> bool:
        for attempt in range(_MAX_ATTEMPTS):
            if attempt:
                await asyncio.sleep(self._delay_s * 2**attempt)
            try:
                async with session.post(url, json=document, timeout=_TIMEOUT) as response:
                    if response.status < 500:
                        return response.status < 400
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                logger.info("webhook %s: %s", url, error)
        return False


def body(notification: Notification) -> Mapping[str, Any]:
    """Return the default payload of a webhook, with Datadog's field names."""
    scope = messages.scope(notification.group)
    return {
        "id": f"{notification.monitor_id}-{scope}-{int(notification.at)}",
        "alert_id": notification.monitor_id,
        "title": f"[{_transition_name(notification)}] {notification.name}"
        + (f" on {scope}" if notification.group else ""),
        "body": notification.text,
        "event_type": "query_alert_monitor",
        "alert_type": _ALERT_TYPES.get(notification.transition.after, "warning"),
        "alert_status": str(notification.transition.after),
        "alert_transition": _transition_name(notification),
        "alert_scope": scope,
        "alert_metric_value": notification.state.value,
        "tags": ",".join(notification.tags),
        "date": int(notification.at * 1000),
        "last_updated": int(notification.at * 1000),
    }


def _transition_name(notification: Notification) -> str:
    names = {
        Status.ALERT: "Triggered",
        Status.WARN: "Warn",
        Status.NO_DATA: "No Data",
        Status.OK: "Recovered",
    }
    name = names[notification.transition.after]
    return f"Re-{name}" if notification.transition.is_reminder else name
