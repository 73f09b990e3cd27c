"""Simulated agents: they respond as the pods on the fake API server would.

A pod reads the control file at its start, and again when it is nudged. Tests can make pods unresponsive, slow to drain,
or unable to complete their work. Nothing is sent over a network.
"""

import asyncio
import json
import threading
from collections import Counter

from purpleflea_contract.control import Acknowledgement, Mode
from purpleflea_contract.status_report import StatusReport
from purpleflea_operator.agent_client.protocol import AgentUnreachableError
from support.apiserver.kinds import Obj
from support.apiserver.server import ApiServer

NUDGE = "purpleflea.com/mode"


class PaperAgents:
    """All agents on a fake API server; the address identifies the pod."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self._lock = threading.Lock()
        self._mounted: dict[str, tuple[Mode, str]] = {}
        """By UID of each pod that mounted its file before it started: the mode then, and the nudge at its start."""
        self._names: dict[str, tuple[str, str]] = {}
        self.asked: Counter[str] = Counter()
        """Number of requests by name of the pod."""
        self.unresponsive: set[str] = set()
        self.stale: set[str] = set()
        """Pods whose kubelets process the first nudge before they receive the ConfigMap."""
        self.hanging = False
        """True if no request ever gets a response."""
        self.undrained: set[str] = set()
        self.lost: dict[str, dict[str, int]] = {}
        self.mismatches: dict[str, tuple[str, ...]] = {}
        self.not_ready: dict[str, str] = {}
        self.undone: dict[str, str] = {}
        self.unable_to_flatten: set[str] = set()
        """Pods with an image that does not report the result of flatten."""

    def mount(self, pod: Obj) -> None:
        """Mount the control file of a pod. Its kubelet does not refresh it before the container runs."""
        uid = pod["metadata"]["uid"]
        nudged = pod["metadata"].get("annotations", {}).get(NUDGE, "")
        if uid not in self._mounted:
            self._mounted[uid] = self._file(pod["metadata"]["namespace"], pod), nudged
        elif not pod["status"].get("podIP"):
            self._mounted[uid] = self._mounted[uid][0], nudged

    def mode(self, pod: Obj) -> Mode:
        """Return the mode on which a pod that runs acts."""
        return self._mode(pod["metadata"]["namespace"], pod)

    async def control(self, address: str) -> Acknowledgement:
        """Return the acknowledgement of the pod with this address."""
        pod = self._pod(address)
        name = pod["metadata"]["name"] if pod else ""
        with self._lock:
            self.asked[name] += 1
        if self.hanging:
            await asyncio.Event().wait()
        if pod is None or name in self.unresponsive:
            raise AgentUnreachableError("no response: TimeoutError")
        mode = self._mode(pod["metadata"]["namespace"], pod)
        at_rest = mode is not Mode.ACTIVE and name not in self.undrained
        left = self.undone.get(name) if at_rest and mode is Mode.STOPPED else None
        nudged = pod["metadata"].get("annotations", {}).get(NUDGE, "")
        flattened = left is None if at_rest and "-flatten" in nudged else None
        if name in self.unable_to_flatten:
            flattened = None
        return Acknowledgement(mode=mode, at_rest=at_rest, flattened=flattened, left_undone=left)

    async def status(self, address: str) -> StatusReport:
        """Return the drop counters and the mismatches of the pod with this address."""
        pod = self._pod(address)
        name = pod["metadata"]["name"] if pod else ""
        if pod is None or name in self.unresponsive:
            raise AgentUnreachableError("no response: TimeoutError")
        return StatusReport(
            telemetry_dropped_by_signal=self.lost.get(name, {}),
            position_mismatches=self.mismatches.get(name, ()),
        )

    async def not_ready_reason(self, address: str) -> str | None:
        """Return why the pod with this address is not ready."""
        pod = self._pod(address)
        name = pod["metadata"]["name"] if pod else ""
        if pod is None or name in self.unresponsive:
            raise AgentUnreachableError("no response: TimeoutError")
        return self.not_ready.get(name, "")

    def _pod(self, address: str) -> Obj | None:
        """Return the pod with this address; a scan of all pods for each request would be quadratic."""
        namespace, name = self._names.get(address, ("", ""))
        known = self._server.get("Pod", namespace, name) if name else None
        if known is not None and known["status"].get("podIP") == address:
            return known
        for pod in self._server.objects("Pod"):
            if found := pod["status"].get("podIP"):
                self._names[found] = pod["metadata"]["namespace"], pod["metadata"]["name"]
        namespace, name = self._names.get(address, ("", ""))
        known = self._server.get("Pod", namespace, name) if name else None
        return known if known is not None and known["status"].get("podIP") == address else None

    def _mode(self, namespace: str, pod: Obj) -> Mode:
        nudged = pod["metadata"].get("annotations", {}).get(NUDGE)
        if pod["metadata"]["name"] in self.stale and "." not in (nudged or ""):
            return Mode.ACTIVE
        mounted, former = self._mounted.get(pod["metadata"]["uid"], (None, None))
        if mounted is not None and (nudged or "") == former:
            return mounted
        if nudged:
            return Mode(nudged.partition(".")[0].partition("-")[0])
        return self._file(namespace, pod)

    def _file(self, namespace: str, pod: Obj) -> Mode:
        name = pod["metadata"]["name"].rpartition("-")[0]
        found = self._server.get("ConfigMap", namespace, name)
        return Mode(json.loads(found["data"]["control.json"])["mode"]) if found else Mode.ACTIVE
