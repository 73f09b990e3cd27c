"""Progress of halts: how far each agent has come, and the sum over the agents of one halt.

Pure except for the memory of the sums.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from purpleflea_contract.control import Mode, strongest
from purpleflea_operator.api.halt import MAX_OPEN
from purpleflea_operator.kube.object_cache import NamespacedName


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentProgress:
    """Acknowledgements of one agent resource."""

    mode: Mode | None
    """The mode to which the numbers refer; None if no mode can be applied."""
    is_written: bool = True
    """Whether the pods that start now get this mode."""
    is_complete: bool = True
    """Whether this process has requested an acknowledgement from each pod that must give one."""
    running: int = 0
    acknowledged: int = 0
    drained: int = 0
    open: tuple[str, ...] = ()
    """Pods that are not drained or left work undone, as <pod>: <text>."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HaltProgress:
    """Acknowledgements of all agents of one halt."""

    matched: int = 0
    running: int = 0
    acknowledged: int = 0
    drained: int = 0
    unwritten: int = 0
    """Agent resources whose new pods may still start with another mode."""
    open: tuple[str, ...] = ()
    is_complete: bool = True

    @property
    def is_acknowledged(self) -> bool:
        """Whether no selected agent sends orders."""
        return not self.unwritten and self.acknowledged == self.running

    @property
    def is_drained(self) -> bool:
        """Whether all selected agents are drained."""
        return not self.unwritten and self.drained == self.running


class _Share(NamedTuple):
    """The part of one agent in the sum of a halt."""

    running: int
    acknowledged: int
    drained: int
    unwritten: int
    incomplete: int
    open: tuple[str, ...]


_NO_SHARE = _Share(running=0, acknowledged=0, drained=0, unwritten=0, incomplete=0, open=())


class HaltTally:
    """The sum over the agents of one halt. A change of one agent costs O(log n), because a halt can select 10,000."""

    def __init__(self, mode: Mode) -> None:
        self._mode = mode
        self._shares: dict[NamespacedName, _Share] = {}
        self._sum = _NO_SHARE
        self._open: list[NamespacedName] = []
        """Agents with open work, sorted."""

    def __iter__(self) -> Iterator[NamespacedName]:
        """Iterate over the selected agents."""
        return iter(self._shares)

    @property
    def acknowledged(self) -> int:
        """Number of pods that have acknowledged the halt."""
        return self._sum.acknowledged

    def put(self, key: NamespacedName, progress: AgentProgress | None) -> None:
        """Add a selected agent, or replace its progress. The progress is None if no pass has reported it."""
        self._replace(key, _share(self._mode, key.name, progress))

    def remove(self, key: NamespacedName) -> None:
        """Remove an agent that is not selected any more."""
        self._replace(key, None)

    def progress(self) -> HaltProgress:
        """Return the sum."""
        return HaltProgress(
            matched=len(self._shares),
            running=self._sum.running,
            acknowledged=self._sum.acknowledged,
            drained=self._sum.drained,
            unwritten=self._sum.unwritten,
            open=tuple(islice(self._open_texts(), MAX_OPEN)),
            is_complete=not self._sum.incomplete,
        )

    def _open_texts(self) -> Iterator[str]:
        # Each of these agents has a text, so only the first MAX_OPEN are read.
        for key in self._open:
            for text in self._shares[key].open:
                yield f"{key.namespace}/{text}"[:253]

    def _replace(self, key: NamespacedName, share: _Share | None) -> None:
        old, new = self._shares.pop(key, _NO_SHARE), share or _NO_SHARE
        if share is not None:
            self._shares[key] = share
        self._sum = _Share(
            running=self._sum.running + new.running - old.running,
            acknowledged=self._sum.acknowledged + new.acknowledged - old.acknowledged,
            drained=self._sum.drained + new.drained - old.drained,
            unwritten=self._sum.unwritten + new.unwritten - old.unwritten,
            incomplete=self._sum.incomplete + new.incomplete - old.incomplete,
            open=(),
        )
        if new.open and not old.open:
            insort(self._open, key)
        if old.open and not new.open:
            del self._open[bisect_left(self._open, key)]


def _share(mode: Mode, name: str, item: AgentProgress | None) -> _Share:
    if item is None or not item.is_written or strongest(item.mode, mode) is not item.mode:
        return _NO_SHARE._replace(
            running=0 if item is None else item.running,
            unwritten=1,
            incomplete=1,
            open=(f"{name}: the mode is not written yet",),
        )
    return _Share(
        running=item.running,
        acknowledged=item.acknowledged,
        drained=item.drained,
        unwritten=0,
        incomplete=int(not item.is_complete),
        open=item.open,
    )
