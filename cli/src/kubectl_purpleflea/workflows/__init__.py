"""Sequences of requests and decisions, one module per task of a command."""
