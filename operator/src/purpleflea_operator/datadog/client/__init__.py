"""The adapter to Datadog's API: the only place that knows its routes, headers, answers and rate limits.

Each call is one request, and is not repeated here. What to write is decided in sync.
"""
