"""Datadog's public API on one machine: stateful, with the real routes, status codes, bodies and error responses.

It implements only the endpoints that this project and its users need; if a path is not implemented, the response is a
404. `Organisation` holds the objects and `middleware` enforces keys, scopes, limits and faults. The evaluation and
the fleet page read the objects from `Organisation`.
"""
