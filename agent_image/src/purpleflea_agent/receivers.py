"""Says once where telemetry goes, if that is nowhere: to whoever runs our agent, and to whoever uses the library."""

import logging

from purpleflea_agent.settings import Environment

_said = False


def say_if_there_are_none(environment: Environment) -> None:
    """Warn, once in the life of the process, that metrics and traces have no receiver."""
    global _said
    if _said or environment.metrics_have_a_receiver or environment.traces_have_a_receiver:
        return
    _said = True
    logging.getLogger("purpleflea.telemetry").warning(
        "No Datadog agent in the environment (DD_AGENT_HOST, DD_DOGSTATSD_URL, DD_TRACE_AGENT_URL):"
        " metrics and traces go nowhere"
    )
