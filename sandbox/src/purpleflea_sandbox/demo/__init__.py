"""The whole fleet on one machine: sets up cluster, images, Datadog stand-in, exchange, operator and
agents, and shows them.
"""
