"""Datadog's public API on one machine: stateful, with the real routes, status codes, bodies and refusals.

Only the endpoints that this project and its users need; any other path is a 404. `Organisation` holds the objects,
`entrance` guards the way to them (keys, scopes, limits, faults); evaluation and the web page build on `Organisation`.
"""
