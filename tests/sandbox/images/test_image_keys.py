import os
from pathlib import Path

import pytest

from purpleflea_sandbox.images import catalogue, keys
from purpleflea_sandbox.images.errors import ImageError

(OPERATOR,) = catalogue.chosen(["operator"])


def key(checkout: Path, base: str = "base-1") -> str:
    return keys.image_key(OPERATOR, checkout, base)


@pytest.mark.parametrize(
    "changed",
    [
        "operator/Dockerfile",
        "operator/requirements.txt",
        "operator/src/package/module.py",
        "shared/src/shared.py",
    ],
)
def test_a_changed_byte_of_an_input_changes_the_key(checkout: Path, changed: str) -> None:
    before = key(checkout)
    with (checkout / changed).open("a") as file:
        file.write("# more\n")
    assert key(checkout) != before


def test_a_new_file_and_a_new_name_change_the_key(checkout: Path) -> None:
    before = key(checkout)
    new = checkout / "operator/src/package/new.py"
    new.write_text("")
    with_new = key(checkout)
    new.rename(new.with_name("other.py"))
    assert len({before, with_new, key(checkout)}) == 3


def test_another_base_is_another_key(checkout: Path) -> None:
    assert key(checkout, "base-1") != key(checkout, "base-2")


def test_times_bytecode_and_other_folders_do_not_change_the_key(checkout: Path) -> None:
    before = key(checkout)
    module = checkout / "operator/src/package/module.py"
    os.utime(module, (1, 1))
    for unrelated in (
        "operator/src/package/__pycache__/module.cpython-311.pyc",
        "agent/src/package/other.py",
    ):
        path = checkout / unrelated
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    assert key(checkout) == before


def test_two_checkouts_with_equal_sources_have_one_key(checkout: Path, tmp_path: Path) -> None:
    before = key(checkout)
    moved = checkout.rename(tmp_path / "moved")
    assert key(moved) == before


def test_a_missing_input_is_named(checkout: Path) -> None:
    (checkout / "operator/requirements.txt").unlink()
    with pytest.raises(
        ImageError, match=r"operator/Dockerfile copies .*operator/requirements\.txt, which does not"
    ):
        key(checkout)


def test_a_folder_without_the_project_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="images are built from a checkout"):
        key(tmp_path)
