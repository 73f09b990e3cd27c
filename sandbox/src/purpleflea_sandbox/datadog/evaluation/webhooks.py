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
_MOST_WAITING = 1_000
_TIMEOUT = aiohttp.ClientTimeout(total=15)
_TRIES = 5
_WORDS = {Status.ALERT: "error", Status.WARN: "warning", Status.OK: "success"}


class Webhooks:
    """Queue of webhook requests, and the task that sends them; `counts` has sent, failed, dropped and unknown."""

    def __init__(self, addresses: Callable[[], Mapping[str, str]], delay_s: float = 1.0) -> None:
        self._addresses = addresses
        self._delay_s = delay_s
        self._waiting: asyncio.Queue[tuple[str, Mapping[str, Any]]] = asyncio.Queue(_MOST_WAITING)
        self.counts: Counter[str] = Counter()

    def tell(self, note: Notification) -> None:
        """Queue one POST per webhook that the message names."""
        known = self._addresses()
        for handle in note.handles:
            if not handle.startswith(PREFIX):
                continue
            url = known.get(handle.removeprefix(PREFIX))
            if url is None:
                self.counts["unknown"] += 1
                continue
            try:
                self._waiting.put_nowait((url, body(note)))
            except asyncio.QueueFull:
                self.counts["dropped"] += 1

    async def run(self, session: aiohttp.ClientSession) -> None:
        """Send until canceled."""
        while True:
            url, document = await self._waiting.get()
            self.counts["sent" if await self._sent(session, url, document) else "failed"] += 1
            self._waiting.task_done()

    async def drained(self) -> None:
        """Wait until the queue is empty."""
        await self._waiting.join()

    async def _sent(
        self, session: aiohttp.ClientSession, url: str, document: Mapping[str, Any]
    ) -> bool:
        for attempt in range(_TRIES):
            if attempt:
                await asyncio.sleep(self._delay_s * 2**attempt)
            try:
                async with session.post(url, json=document, timeout=_TIMEOUT) as response:
                    if response.status < 500:
                        return response.status < 400
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                logger.info("webhook %s: %s", url, error)
        return False


def body(note: Notification) -> Mapping[str, Any]:
    """Return the default payload of a webhook, with Datadog's field names."""
    scope = messages.scope(note.group)
    return {
        "id": f"{note.monitor_id}-{scope}-{int(note.at)}",
        "alert_id": note.monitor_id,
        "title": f"[{_word(note)}] {note.name}" + (f" on {scope}" if note.group else ""),
        "body": note.text,
        "event_type": "query_alert_monitor",
        "alert_type": _WORDS.get(note.turn.after, "warning"),
        "alert_status": str(note.turn.after),
        "alert_transition": _word(note),
        "alert_scope": scope,
        "alert_metric_value": note.state.value,
        "tags": ",".join(note.tags),
        "date": int(note.at * 1000),
        "last_updated": int(note.at * 1000),
    }


def _word(note: Notification) -> str:
    words = {
        Status.ALERT: "Triggered",
        Status.WARN: "Warn",
        Status.NO_DATA: "No Data",
        Status.OK: "Recovered",
    }
    word = words[note.turn.after]
    return f"Re-{word}" if note.turn.is_reminder else word
