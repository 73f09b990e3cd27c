"""Reconciles PurpleFleaObservability resources with one Datadog organization each."""
