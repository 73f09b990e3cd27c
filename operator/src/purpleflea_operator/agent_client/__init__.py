"""The way to the agents' own HTTP endpoints."""
