"""Operators, API server, controllers and agents in one event loop with virtual time. A seed repeats a run."""
