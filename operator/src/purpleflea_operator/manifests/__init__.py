"""Render the child objects of an agent from the agent, the operator's defaults, and the Datadog connection.

Everything here is pure. Nothing here reads or writes the cluster.
"""
