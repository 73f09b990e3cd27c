"""What users see when an image cannot be had: one line with the cause and the remedy."""

from purpleflea_sandbox.cluster.errors import ClusterError


class ImageError(ClusterError):
    """An image cannot be built, or what it is made of is not there."""
