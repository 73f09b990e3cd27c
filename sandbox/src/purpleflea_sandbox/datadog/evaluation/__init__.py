"""Values of queries, states of monitors and notification texts, computed from received data as Datadog computes them.

All modules are pure functions of (data, query, time). `monitor_runner` and `webhooks`, outside this package, add the
clock, the threads and the network.
"""
