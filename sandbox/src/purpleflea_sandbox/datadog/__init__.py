"""Stand-in for Datadog on one machine: the node agent and the intake, in one image with two commands.

Both use Datadog's own wire formats, so replacing them with the real components requires no change to an agent or to
the operator. They share the modules beside this file and do not import each other.
"""
