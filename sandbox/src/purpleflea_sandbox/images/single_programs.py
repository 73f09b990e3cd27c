"""Images that hold one static program: it comes from the cluster's pinned Go modules, the archive is written by hand.
No builder, no base."""

import hashlib
from pathlib import Path

from purpleflea_sandbox.cluster import binaries
from purpleflea_sandbox.cluster.local.image_store import single_program_image
from purpleflea_sandbox.cluster.progress import Progress
from purpleflea_sandbox.images import archives, keys
from purpleflea_sandbox.images.catalogue import Image


def archive(image: Image, progress: Progress) -> Path:
    """The OCI archive of the image, from the cache or made now."""
    program = binaries.ensure((image.program,), progress)[image.program]
    content = hashlib.sha256(program.read_bytes()).hexdigest()
    key = keys.text_key(f"{image.reference}\0{content}")
    if (made := archives.found(image.name, key)) is not None:
        return made
    with archives.published(image.name, key) as unfinished:
        single_program_image(program, unfinished, name=image.reference)
    return archives.path(image.name, key)
