"""The instrumented Purple Flea trading agent, and the library for people who bring their own.

`from purpleflea_agent import metrics, tracing, logs` gives the telemetry functions; everything else is the agent that
our image runs. Importing it has no effects.
"""
