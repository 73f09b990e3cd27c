"""Names, summaries and modules of the subcommands. It imports none of them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A subcommand."""

    target: str
    """Module and attribute, as module:attribute."""
    summary: str


COMMANDS = {
    "halt": Entry(
        target="halt:halt", summary="Halt agents, and wait until all of them have acknowledged."
    ),
    "stop": Entry(
        target="halt:stop", summary="Stop agents: halt them, drain them and end their pods."
    ),
    "resume": Entry(
        target="resume:resume", summary="Delete halts, and wait until the agents have resumed."
    ),
}
