"""What stands in for Datadog on one machine: the node agent and the intake, in one image with two roles.

Both speak Datadog's own wire formats, so that replacing them by the real ones changes no agent and no operator.
They share the modules beside this one and know nothing else of each other.
"""
