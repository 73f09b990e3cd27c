"""The signs by which the operator tells that it is dead though it runs: deaf watches, a queue that does not move.

Pure functions of numbers that others measured; each returns words, empty where all is well.
"""

from collections.abc import Mapping

STUCK_S = 180.0
"""A pass is cut off after two thirds of this: one that runs longer does not come back."""


def deafness(silent_s: Mapping[str, float], *, limit_s: float) -> str:
    """Which watches have heard nothing, not even a bookmark, for longer than the limit."""
    deaf = sorted((path, seconds) for path, seconds in silent_s.items() if seconds > limit_s)
    words = ", ".join(f"{_resource(path)} for {seconds:.0f} s" for path, seconds in deaf)
    return f"deaf watch: nothing heard of {words}" if deaf else ""


def _resource(path: str) -> str:
    """The resource a watch is about, with its namespace where it is one of several."""
    parts = path.split("/")
    return parts[-1] if "namespaces" not in parts[:-1] else f"{parts[-1]} in {parts[-2]}"


def stuck(*, waiting_s: float, still_s: float, longest_s: float) -> str:
    """Whether the workers hang: a long line alone is only much work, so it must not move either."""
    if longest_s > STUCK_S:
        return f"stuck queue: a pass has run for {longest_s:.0f} s"
    if min(waiting_s, still_s) > STUCK_S:
        return f"stuck queue: a key waits for {waiting_s:.0f} s, no pass ended for {still_s:.0f} s"
    return ""
