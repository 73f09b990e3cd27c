"""Progress of halts: how far each agent has come, and the sum over the agents of one halt. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from purpleflea_contract.control import Mode, strongest
from purpleflea_operator.api.halt import MAX_OPEN


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


def halt_progress(
    mode: Mode, agents: Iterable[tuple[str, str, AgentProgress | None]]
) -> HaltProgress:
    """Return the sum over the agents of a halt: namespace, name, and the progress if a pass has reported it."""
    matched = running = acknowledged = drained = unwritten = 0
    is_complete, open_items = True, list[str]()
    for namespace, name, item in agents:
        matched += 1
        if item is None or not item.is_written or strongest(item.mode, mode) is not item.mode:
            unwritten += 1
            is_complete = False
            if len(open_items) < MAX_OPEN:
                open_items.append(f"{namespace}/{name}: the mode is not written yet")
            running += 0 if item is None else item.running
            continue
        running += item.running
        acknowledged += item.acknowledged
        drained += item.drained
        is_complete = is_complete and item.is_complete
        open_items += [
            f"{namespace}/{text}"[:253] for text in item.open[: MAX_OPEN - len(open_items)]
        ]
    return HaltProgress(
        matched=matched,
        running=running,
        acknowledged=acknowledged,
        drained=drained,
        unwritten=unwritten,
        open=tuple(open_items),
        is_complete=is_complete,
    )
