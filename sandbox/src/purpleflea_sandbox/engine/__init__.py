"""A Docker engine of this project for machines without one, and a node image of kind that is built on this machine.

Nothing is installed, and no container reaches a network outside the engine's own.
"""
