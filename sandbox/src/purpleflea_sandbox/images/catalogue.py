"""Which images there are and what goes into each. A Dockerfile is the only list of its inputs: they are read from
its COPY lines. Builds nothing."""

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from purpleflea_sandbox.images.errors import ImageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One image: the short name people say, the reference pods use, and its recipe inside the checkout.

    `folder` is its build context, the checkout unless told; `base` the image of ours that it starts from, if any.
    One with a `program` has no Dockerfile: there is nothing in it but that program of the cluster's recipes.
    """

    name: str
    reference: str
    dockerfile: str = ""
    folder: str = ""
    base: str = ""
    program: str = ""


IMAGES: tuple[Image, ...] = (
    Image(
        name="operator",
        reference="localhost/purpleflea-operator:0.1.0",
        dockerfile="operator/Dockerfile",
    ),
    Image(
        name="agent",
        reference="localhost/purpleflea-agent:0.1.0",
        dockerfile="agent_image/Dockerfile",
    ),
    Image(
        name="exchange",
        reference="localhost/purpleflea-exchange:0.1.0",
        dockerfile="sandbox/images/exchange/Dockerfile",
    ),
    # Charts and detection know the node agent by the last component of its path and by its version.
    Image(
        name="datadog",
        reference="localhost/purpleflea-datadog/agent:7.81.1",
        dockerfile="sandbox/images/datadog/Dockerfile",
    ),
)

EXAMPLES: tuple[Image, ...] = (
    Image(
        name="custom-agent",
        reference="localhost/purpleflea-custom-agent:1.0.0",
        dockerfile="examples/custom-agent/Dockerfile",
        folder="examples/custom-agent",
        base="agent",
    ),
)
"""Images as users build them on ours; no part of the demo, built only by name."""

PROGRAMS: tuple[Image, ...] = (
    # Charts know Datadog's CSI driver by the last component of its path.
    Image(
        name="csi-driver",
        reference="localhost/purpleflea-datadog/csi-driver:1.2.0",
        program="csi-driver",
    ),
)
"""Images of one static program each; no part of the demo, built only by name."""


def chosen(names: Iterable[str]) -> tuple[Image, ...]:
    """The images of these names in the order of the catalogue; those of the demo when no name is given."""
    known = {image.name: image for image in (*IMAGES, *EXAMPLES, *PROGRAMS)}
    wanted = set(names) or {image.name for image in IMAGES}
    if unknown := sorted(wanted - known.keys()):
        raise ImageError(f"there is no image '{unknown[0]}'; the images are: {', '.join(known)}")
    return tuple(image for image in known.values() if image.name in wanted)


def with_bases(images: Iterable[Image]) -> tuple[Image, ...]:
    """The images and those they start from, in the order in which they can be built."""
    wanted = tuple(images)
    return chosen({image.name for image in wanted} | {image.base for image in wanted if image.base})


def inputs(image: Image, checkout: Path) -> tuple[Path, ...]:
    """The files and folders of the checkout that the image is made of, its Dockerfile included."""
    recipe = checkout / image.dockerfile
    if not recipe.is_file():
        raise ImageError(
            f"{recipe} is missing: images are built from a checkout of the project; run this inside one"
        )
    context = checkout / image.folder
    found = (recipe, *(context / name for name in copied(recipe.read_text())))
    for path in found:
        if not path.exists():
            raise ImageError(f"{image.dockerfile} copies {path}, which is not there")
    return found


def copied(dockerfile: str) -> Iterator[str]:
    """The paths that the COPY lines take from the build context."""
    for line in dockerfile.splitlines():
        words = shlex.split(line, comments=True) if line.startswith("COPY ") else []
        if words and not any(word.startswith("--from=") for word in words):
            yield from (word for word in words[1:-1] if not word.startswith("--"))
