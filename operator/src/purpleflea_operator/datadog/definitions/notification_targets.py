"""Whom a monitor tells: typed targets and the handles that Datadog reads in a message.

It does not know which monitor tells whom: see parameters and monitors.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol


class Target(Protocol):
    """Anything that a monitor's message can mention."""

    @property
    def handle(self) -> str:
        """The text that Datadog turns into a notification, such as @slack-alerts."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Slack:
    """A Slack channel; `account` is only needed where several workspaces are connected."""

    channel: str
    account: str = ""

    @property
    def handle(self) -> str:
        """@slack-[account-]channel."""
        return "@slack-" + (f"{self.account}-" if self.account else "") + self.channel


@dataclass(frozen=True, slots=True, kw_only=True)
class PagerDuty:
    """A PagerDuty service; a bare @pagerduty names none."""

    service: str

    @property
    def handle(self) -> str:
        """@pagerduty-service."""
        return f"@pagerduty-{self.service}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """A webhook by its name in the webhooks integration."""

    name: str

    @property
    def handle(self) -> str:
        """@webhook-name."""
        return f"@webhook-{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OnCall:
    """A team of Datadog On-Call."""

    team: str

    @property
    def handle(self) -> str:
        """@oncall-team."""
        return f"@oncall-{self.team}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """A handle of Incident Management: an alert declares an incident."""

    name: str

    @property
    def handle(self) -> str:
        """@incident-name."""
        return f"@incident-{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Email:
    """An e-mail address."""

    address: str

    @property
    def handle(self) -> str:
        """@address."""
        return f"@{self.address}"


def handles(targets: Iterable[Target]) -> str:
    """All handles, as they stand in a message."""
    return " ".join(target.handle for target in targets)
