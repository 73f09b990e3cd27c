"""What the reconciler asks of a running agent. The adapter is in http; tests bring one of their own."""

from typing import Protocol

from purpleflea_contract.control import Acknowledgement


class SilentError(Exception):
    """An agent did not answer, or not in words that are understood; the text says which."""


class Agents(Protocol):
    """The running agents. Every call may raise SilentError; none changes anything."""

    async def control(self, address: str) -> Acknowledgement:
        """What the agent at this IP address does about its trading mode."""
