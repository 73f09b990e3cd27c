"""Severity, status, meaning and remedy of each reason of `api.reasons`; docs/conditions.md is generated from it."""
