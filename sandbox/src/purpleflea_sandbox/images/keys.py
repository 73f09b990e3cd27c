"""The key of an image: a hash of all that goes into it, so that equal inputs never build twice and a changed byte
always does. Reads files; runs nothing."""

import hashlib
from pathlib import Path

from purpleflea_sandbox.images import catalogue, context

_LENGTH = 16


def image_key(image: catalogue.Image, checkout: Path, base_key: str) -> str:
    """The key of an image on a base, from the contents and names of its inputs, not from their times."""
    digest = hashlib.sha256(f"{image.reference}\0{base_key}\0".encode())
    for file in context.files(image, checkout):
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        digest.update(f"{file.relative_to(checkout)}\0{content}\0".encode())
    return digest.hexdigest()[:_LENGTH]


def text_key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_LENGTH]
