"""Pure: (parameters) -> all Datadog objects of the agents, as request bodies of its API.

Monitors, SLO, dashboard, log pipeline and index, metric configuration, scanner and notebook have one module each. Names
of metrics, tags, spans and events come from the contract, names and defaults of parameters from the spec of
PurpleFleaObservability. These modules do not use HTTP or Kubernetes.
"""
