"""Client of Datadog's API: its routes, headers, responses and rate limits are known only here.

Each call is one request without retries. The observability controller decides which objects are written.
"""
