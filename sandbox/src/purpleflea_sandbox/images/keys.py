"""Key of an image: a hash of all of its inputs.

Equal inputs never build twice, and a changed byte always builds again. This module only reads
files.
"""

import hashlib
from pathlib import Path

from purpleflea_sandbox.images import catalogue, context

_LENGTH = 16


def image_key(image: catalogue.Image, checkout: Path, base_key: str) -> str:
    """Return the key of an image on a base.

    It depends on the contents and names of the inputs, but not on their times.
    """
    digest = hashlib.sha256(f"{image.reference}\0{base_key}\0".encode())
    for file in context.files(image, checkout):
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        digest.update(f"{file.relative_to(checkout)}\0{content}\0".encode())
    return digest.hexdigest()[:_LENGTH]


def text_key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_LENGTH]
