"""The queries that the stand-in understands: those this project's observability definitions are made of.

It reads texts into trees. Anything else is refused, never guessed: a query that Datadog would read otherwise must not
pass here. Evaluation is not its business.
"""
