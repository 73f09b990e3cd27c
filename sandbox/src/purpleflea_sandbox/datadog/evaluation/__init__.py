"""What Datadog would compute from what was received: values of queries, states of monitors, notifications.

Values are pure functions of (data, query, time); only `runner` and `webhooks` know of clocks and sockets.
"""
