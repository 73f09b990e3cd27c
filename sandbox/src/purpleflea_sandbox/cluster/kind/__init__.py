"""The `kind` provider: the kind command with its own node image on a Docker engine."""
