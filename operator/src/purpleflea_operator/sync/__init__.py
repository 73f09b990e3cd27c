"""PurpleFleaObservability: what Datadog should hold against what it holds, and the steps from one to the other.

Pure but for `synchroniser`, `removal` and `keys`: marks, bodies, decisions, memory (the status) and report.
"""
