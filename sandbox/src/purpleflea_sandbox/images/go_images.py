"""Images that contain one static program of the cluster's pinned Go modules.

The archive is written directly, without a builder and without a base image.
"""

import hashlib
from pathlib import Path

from purpleflea_sandbox.cluster import binaries
from purpleflea_sandbox.cluster.local.image_store import single_program_image
from purpleflea_sandbox.cluster.progress import Progress
from purpleflea_sandbox.images import archives, keys
from purpleflea_sandbox.images.catalogue import Image


def archive(image: Image, progress: Progress) -> Path:
    """Return the OCI archive of the image, from the cache or built now."""
    program = binaries.ensure((image.program,), progress)[image.program]
    content = hashlib.sha256(program.read_bytes()).hexdigest()
    key = keys.text_key(f"{image.reference}\0{content}")
    if (cached := archives.find(image.name, key)) is not None:
        return cached
    with archives.publishing(image.name, key) as unfinished:
        single_program_image(program, unfinished, name=image.reference)
    return archives.path(image.name, key)
