"""Service level objective of the API calls, and the two monitors on the burn rate of its error budget.

The thresholds of both come from `spec.objective`. This module defines no other monitors; see monitors.
"""

from purpleflea_contract import metrics, tags
from purpleflea_operator.api.objective import FastBurn, SlowBurn
from purpleflea_operator.datadog.definitions.monitor_builder import Alert, Audience, monitor
from purpleflea_operator.datadog.definitions.objects import Definition, ObjectKind
from purpleflea_operator.datadog.definitions.parameters import Parameters
from purpleflea_operator.datadog.definitions.queries import number, of_metric, series


def definitions(parameters: Parameters) -> tuple[Definition, ...]:
    """Return the SLO, then the monitors that refer to it."""
    objective = api_success(parameters)
    return (
        objective,
        *(
            monitor(alert, parameters)
            for alert in (
                _burn_rate(objective, parameters, "fast", parameters.objective.fast_burn),
                _burn_rate(objective, parameters, "slow", parameters.objective.slow_burn),
            )
        ),
    )


def api_success(parameters: Parameters) -> Definition:
    """Return the objective on the share of successful API calls of the whole fleet."""
    calls = of_metric(metrics.API_REQUESTS)
    scope = (f"env:{parameters.env}", f"service:{parameters.service}")
    objective = parameters.objective
    body = {
        "name": "Purple Flea agents: API calls succeed",
        "description": "Share of the agents' calls to the Purple Flea API that are answered with 2xx.",
        "type": "metric",
        "query": {
            "numerator": series(calls, "sum", scope, where={tags.SUCCESS: "true"}),
            "denominator": series(calls, "sum", scope),
        },
        "thresholds": [
            {
                "timeframe": objective.timeframe,
                "target": objective.target,
                "warning": objective.warning,
            }
        ],
        "timeframe": objective.timeframe,
        "target_threshold": objective.target,
        "warning_threshold": objective.warning,
        "tags": parameters.tags,
    }
    return Definition(kind=ObjectKind.SLO, key="api-success", body=body)


def _burn_rate(
    objective: Definition, parameters: Parameters, speed: str, burn: FastBurn | SlowBurn
) -> Alert:
    slo = objective.reference
    windows = f'.long_window("{burn.long_window}").short_window("{burn.short_window}")'
    over = f'.over("{parameters.objective.timeframe}")'
    urgent = speed == "fast"
    return Alert(
        key=f"slo-{speed}-burn",
        name=f"error budget burns {speed}",
        type="slo alert",
        query=f'burn_rate("{slo.token}"){over}{windows} > {number(burn.rate)}',
        levels={"critical": burn.rate},
        references=(slo,),
        priority=1 if urgent else 3,
        audience=Audience.PAGING if urgent else Audience.INFRASTRUCTURE,
        text="API errors consume the error budget at {{value}} times the sustainable rate. The Purple Flea API, or the"
        " network path to it, is failing.\n"
        "Check which agents and endpoints fail, and do not roll out risky changes until the budget recovers.",
        recovery="API errors consume the error budget at a sustainable rate again.",
    )
