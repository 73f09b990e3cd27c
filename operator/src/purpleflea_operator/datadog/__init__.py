"""Datadog: detection of its node agents, definitions of our objects, client of its API."""
