"""README.md of the Terraform module: what it makes, an example, what it does not do."""

from purpleflea_operator.datadog.definitions.parameters import Parameters
from purpleflea_operator.datadog.definitions.terraform.variables import DESCRIPTIONS

TEXT = """\
# Terraform module: observability of Purple Flea agents

Monitors, SLO with burn-rate alerts, fleet dashboard, log pipeline, metric configuration and Sensitive Data Scanner in
one Datadog organisation. Generated from the same definitions as the JSON files beside it (`make observability`), so
thresholds and names are the same everywhere.

```hcl
provider "datadog" {{}} # reads DD_API_KEY, DD_APP_KEY and DD_HOST from the environment

module "purpleflea" {{
  source = "./observability/terraform"

  env     = "{env}"
  service = "{service}"

  drawdown = {{ critical = 12, warning = 6, critical_recovery = 6, warning_recovery = 4 }}
  notifications = {{
    paging = ["@slack-trading-alerts", "@pagerduty-trading", "@incident-trading"]
  }}
  features = {{ anomalies = true }}
}}

output "monitors" {{
  value = module.purpleflea.monitor_ids
}}
```

## Before you apply

- The application key must be unscoped: Datadog refuses log monitors (`escrow_failures`) to scoped keys.
- Datadog configures only metrics that have reported: on a new organisation apply with
  `features = {{ metrics = false }}`, start the agents, then apply again without it. Until
  then the p95 monitors have no data.
- `features.log_index` is off: it takes over the order of *all* indexes of the organisation; list the others, in order,
  in `log_index.others`. A log line enters the first index that takes it.
- Tag values are stored in lower case: write `env`, `service` and `currency` so.
- Facets can be created in the user interface only: see `../facets.md`.
- The weekly notebook is in `../notebook.json`: the provider has no resource for it.

## Variables

| variable | what |
|---|---|
{variables}

Types and defaults: `variables.tf`. Attributes that are left out keep their default.
"""


def text(parameters: Parameters) -> str:
    """The whole file."""
    rows = (f"| `{name}` | {description} |" for name, description in DESCRIPTIONS.items())
    return TEXT.format(env=parameters.env, service=parameters.service, variables="\n".join(rows))
