"""The error that users see if an image is not available: the cause and the remedy in one line."""

from purpleflea_sandbox.cluster.errors import ClusterError


class ImageError(ClusterError):
    """An image cannot be built, or one of its inputs is missing."""
