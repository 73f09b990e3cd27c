"""The service level objective of the API calls, and the two monitors on the speed at which its budget burns."""

from purpleflea_contract import metrics, tags
from purpleflea_operator.datadog.definitions.monitor_builder import Alert, Audience, monitor
from purpleflea_operator.datadog.definitions.objects import Definition, ObjectKind
from purpleflea_operator.datadog.definitions.parameters import BurnRate, Parameters, Rule
from purpleflea_operator.datadog.definitions.queries import number, of_metric, series


def definitions(parameters: Parameters) -> tuple[Definition, ...]:
    """The SLO, then the monitors that refer to it."""
    objective = api_success(parameters)
    return (
        objective,
        *(
            monitor(alert, parameters)
            for alert in (
                _burning(objective, parameters, "fast", parameters.fast_burn),
                _burning(objective, parameters, "slow", parameters.slow_burn),
            )
        ),
    )


def api_success(parameters: Parameters) -> Definition:
    """Successful API calls among all, over the whole fleet."""
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


def _burning(objective: Definition, parameters: Parameters, pace: str, burn: BurnRate) -> Alert:
    slo = objective.reference
    windows = f'.long_window("{burn.long_window}").short_window("{burn.short_window}")'
    over = f'.over("{parameters.objective.timeframe}")'
    urgent = pace == "fast"
    return Alert(
        key=f"slo-{pace}-burn",
        name=f"error budget burns {pace}",
        type="slo alert",
        query=f'burn_rate("{slo.token}"){over}{windows} > {number(burn.rate)}',
        rule=Rule(critical=burn.rate),
        references=(slo,),
        priority=1 if urgent else 3,
        audience=Audience.PAGING if urgent else Audience.INFRASTRUCTURE,
        text="API errors burn the error budget {{value}} times as fast as it lasts.",
    )
