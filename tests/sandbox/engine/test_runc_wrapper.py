import json
from pathlib import Path

import pytest

from purpleflea_sandbox.engine import runc_wrapper

ALL = "Name:\tx\nCapInh:\t0\nCapBnd:\t000001ffffffffff\nCapAmb:\t0\n"
RESTRICTED = "CapBnd:\t000001fffeffffff\n"


def test_the_bounding_set_is_read_by_number() -> None:
    everything = runc_wrapper.bounding_set(ALL)

    assert len(everything) == 41
    assert everything - runc_wrapper.bounding_set(RESTRICTED) == {"CAP_SYS_RESOURCE"}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--root", "/r", "create", "--bundle", "/b", "id"], Path("/b/config.json")),
        (["run", "-b", "/b", "id"], Path("/b/config.json")),
        (["exec", "--process", "/p/1.json", "id"], Path("/p/1.json")),
        (["exec", "-p", "/p/1.json", "id"], Path("/p/1.json")),
        (["delete", "id"], None),
        (["--bundle"], None),
        ([], None),
    ],
)
def test_the_file_of_the_process_follows_from_the_command(
    arguments: list[str], expected: Path | None
) -> None:
    assert runc_wrapper.specification(arguments) == expected


@pytest.mark.parametrize("is_bundle", [True, False])
def test_capabilities_that_cannot_be_granted_are_removed_from_every_set(is_bundle: bool) -> None:
    names = ["CAP_CHOWN", "CAP_SYS_RESOURCE"]
    process = {
        "args": ["sh"],
        "capabilities": {"bounding": names, "effective": names, "ambient": None},
    }
    specified: dict[str, object] = {"process": process} if is_bundle else process

    found = runc_wrapper.restricted(json.loads(json.dumps(specified)), {"CAP_CHOWN"})

    kept = {"bounding": ["CAP_CHOWN"], "effective": ["CAP_CHOWN"], "ambient": []}
    expected = {**process, "capabilities": kept}
    assert found == ({"process": expected} if is_bundle else expected)


@pytest.mark.parametrize("specified", [{}, {"process": {"args": []}}, {"process": None}])
def test_a_process_without_capabilities_stays(specified: dict[str, object]) -> None:
    assert runc_wrapper.restricted(dict(specified), set()) == specified
