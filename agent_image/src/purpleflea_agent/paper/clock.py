"""The clock of a replay: it has the time of the candle that is being traded, and moves only when it is set."""


class ReplayClock:
    """Wall clock and monotonic clock in one, in seconds since the epoch."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        """Return the time."""
        return self.now
