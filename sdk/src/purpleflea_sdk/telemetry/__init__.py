"""Metrics, traces and logs of the agent: names from the contract, sent by the Datadog libraries."""
