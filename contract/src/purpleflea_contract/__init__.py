"""The contract between the operator, its agents and Datadog.

Every name that two of them must agree on is defined here once: metrics, tags, spans, log events, environment
variables, Kubernetes labels and annotations, the settings file and the control file. It does no I/O and imports
neither Kubernetes clients nor Datadog libraries.
"""
