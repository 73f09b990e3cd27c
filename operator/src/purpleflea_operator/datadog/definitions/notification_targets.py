"""Notification targets: typed targets, and the handles that Datadog reads in the message of a monitor.

This module does not decide which monitor notifies which target; see parameters and monitors.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol


class Target(Protocol):
    """A target that the message of a monitor can mention."""

    @property
    def handle(self) -> str:
        """The text that Datadog turns into a notification, such as @slack-alerts."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Slack:
    """A Slack channel. `account` is needed only if several workspaces are connected."""

    channel: str
    account: str = ""

    @property
    def handle(self) -> str:
        """@slack-[account-]channel."""
        return "@slack-" + (f"{self.account}-" if self.account else "") + self.channel


@dataclass(frozen=True, slots=True, kw_only=True)
class PagerDuty:
    """A PagerDuty service. A bare @pagerduty names no service."""

    service: str

    @property
    def handle(self) -> str:
        """@pagerduty-service."""
        return f"@pagerduty-{self.service}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """A webhook, by its name in the webhooks integration."""

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
    """A handle of Incident Management. An alert declares an incident."""

    name: str

    @property
    def handle(self) -> str:
        """@incident-name."""
        return f"@incident-{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """A Datadog Workflow, by its handle. It receives the agent of the alert."""

    name: str

    @property
    def handle(self) -> str:
        """@workflow-name with the identity of the agent."""
        return f'@workflow-{self.name}(agent_id="{{{{agent_id.name}}}}")'


@dataclass(frozen=True, slots=True, kw_only=True)
class Email:
    """An e-mail address."""

    address: str

    @property
    def handle(self) -> str:
        """@address."""
        return f"@{self.address}"


def target(text: str) -> Target:
    """Return the target that a text such as slack:account/channel names. The spec has checked the form of the text."""
    kind, _, name = text.partition(":")
    account, _, channel = name.rpartition("/")
    match kind:
        case "slack":
            return Slack(channel=channel, account=account)
        case "pagerduty":
            return PagerDuty(service=name)
        case "webhook":
            return Webhook(name=name)
        case "oncall":
            return OnCall(team=name)
        case "incident":
            return Incident(name=name)
        case "workflow":
            return Workflow(name=name)
        case _:
            return Email(address=name)


def handles(targets: Iterable[Target]) -> str:
    """Return all handles, separated by spaces, for a message."""
    return " ".join(target.handle for target in targets)
