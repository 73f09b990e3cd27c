"""Parser for the queries that this project's observability definitions use.

It parses texts to trees. Any other query is rejected and never guessed, because a query that Datadog parses
differently must not pass here. It does not evaluate queries.
"""
