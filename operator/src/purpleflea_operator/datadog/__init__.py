"""Datadog: detection of its node agents, definitions of the objects, client of its API."""
