"""The names AGENT_ID, STRATEGY, BASE_TAGS and statsd of the published integration, for code that was written for it.

New code uses the functions of the module metrics, which check names and tags by the contract.
"""

from collections.abc import Callable, Mapping, Sequence

from datadog.dogstatsd.base import DogStatsd

from purpleflea_sdk.settings import Environment, strategy_name


class PublishedStatsd:
    """The client of the published code: any metric, without a check of its name and tags.

    The tags of BASE_TAGS are not sent again, because the client of the process adds them to each metric.
    """

    def __init__(self, client: Callable[[], DogStatsd | None], base_tags: Sequence[str]) -> None:
        self._client = client
        self._base_tags = frozenset(base_tags)

    def gauge(self, metric: str, value: float, tags: Sequence[str] | None = None) -> None:
        """Send the present value."""
        if (client := self._client()) is not None:
            client.gauge(metric, value, tags=self._own(tags))

    def increment(self, metric: str, value: float = 1, tags: Sequence[str] | None = None) -> None:
        """Add to a count."""
        if (client := self._client()) is not None:
            client.increment(metric, value, tags=self._own(tags))

    def histogram(self, metric: str, value: float, tags: Sequence[str] | None = None) -> None:
        """Send a sample as a histogram, as the published code does."""
        if (client := self._client()) is not None:
            client.histogram(metric, value, tags=self._own(tags))

    def distribution(self, metric: str, value: float, tags: Sequence[str] | None = None) -> None:
        """Send a sample as a distribution, which has percentiles over all hosts."""
        if (client := self._client()) is not None:
            client.distribution(metric, value, tags=self._own(tags))

    def _own(self, tags: Sequence[str] | None) -> list[str]:
        return [tag for tag in tags or () if tag not in self._base_tags]


def names(environment: Environment, client: Callable[[], DogStatsd | None]) -> Mapping[str, object]:
    """Return the values of the published names."""
    agent_id, strategy = environment.agent_id, strategy_name(environment.settings_file)
    base_tags = [f"agent_id:{agent_id}", f"strategy:{strategy}"]
    unified = (("env", environment.dd_env), ("service", environment.dd_service))
    base_tags.extend(f"{name}:{value}" for name, value in unified if value)
    return {
        "AGENT_ID": agent_id,
        "STRATEGY": strategy,
        "BASE_TAGS": base_tags,
        "statsd": PublishedStatsd(client, base_tags),
    }
