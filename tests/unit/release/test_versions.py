import shutil

import pytest
from release import changelog, versions


@pytest.fixture
def copy(repository, tmp_path):
    """Return a folder with the files that have the version."""
    for place in versions.places(repository):
        (tmp_path / place.path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(repository / place.path, tmp_path / place.path)
    return tmp_path


def test_every_place_has_the_version_of_the_operator(repository):
    assert versions.differing(repository) == []
    files = {place.path for place in versions.places(repository)}
    for pattern in versions.PLACES:
        for file in repository.glob(pattern):
            path = file.relative_to(repository).as_posix()
            assert path in files, f"{path} has no version any more; correct the table"
    assert {"charts/purpleflea-operator/Chart.yaml", "sdk/pyproject.toml", "README.md"} <= files


def test_no_other_file_of_a_distribution_has_the_version(repository):
    """A test fails here if a new file has the version and is not in the table."""
    known = {place.path for place in versions.places(repository)}
    text = f'"{versions.current(repository)}"'
    found = {
        path.relative_to(repository).as_posix()
        for folder in ("contract", "sdk", "operator", "agent_image", "agent_check", "cli", "charts")
        for path in (repository / folder).rglob("*")
        if path.suffix in (".py", ".toml", ".yaml") and text in path.read_text(encoding="utf-8")
    }
    assert found <= known


@pytest.mark.parametrize("new", ["0.2.0", "1.0.0-rc.1", "10.20.30"])
def test_a_new_version_is_written_to_all_places_and_nothing_else_changes(repository, copy, new):
    before = list(versions.places(repository))
    versions.replace(copy, new)
    after = list(versions.places(copy))
    assert [(item.path, item.line) for item in after] == [(item.path, item.line) for item in before]
    assert {item.version for item in after} == {new}
    versions.replace(copy, versions.current(repository))
    for place in before:
        assert (copy / place.path).read_bytes() == (repository / place.path).read_bytes()


@pytest.mark.parametrize("new", ["1.2", "v1.2.3", "1.2.3.4", "1.2.3+x", "latest", "", "1.2.3-rc"])
def test_a_version_of_another_form_is_refused_and_nothing_is_written(copy, new):
    before = versions.current(copy)
    with pytest.raises(ValueError, match="is not a version"):
        versions.replace(copy, new)
    assert versions.current(copy) == before


def test_a_place_that_differs_is_reported(copy):
    file = copy / "sdk" / "pyproject.toml"
    text = file.read_text().replace(versions.current(copy), "9.9.9", 1)
    file.write_text(text)
    (found,) = versions.differing(copy)
    assert (found.path, found.version) == ("sdk/pyproject.toml", "9.9.9")


LOG = """# Changelog

Text.

## Unreleased (0.2.0)

- One.
  More.
- Two.

## 0.1.0 (2026-01-01)

- First.
"""


def test_the_unreleased_changes_become_the_section_of_the_version():
    text = changelog.cut(LOG, "0.2.0", "2026-12-31")
    assert (
        text
        == """# Changelog

Text.

## Unreleased

## 0.2.0 (2026-12-31)

- One.
  More.
- Two.

## 0.1.0 (2026-01-01)

- First.
"""
    )
    assert changelog.notes(text, "0.2.0") == "- One.\n  More.\n- Two.\n"
    assert changelog.notes(text, "0.1.0") == "- First.\n"


def test_the_first_release_has_no_section_after_it():
    text = changelog.cut("# Changelog\n\n## Unreleased\n\n- One.\n", "0.1.0", "2026-12-31")
    assert text.endswith("## 0.1.0 (2026-12-31)\n\n- One.\n")


@pytest.mark.parametrize(
    ("text", "version", "date", "message"),
    [
        (LOG, "0.1.0", "2026-12-31", "has a section of 0.1.0 already"),
        (LOG, "0.2.0", "31.12.2026", "is not a date"),
        ("# Changelog\n", "0.2.0", "2026-12-31", "no section Unreleased"),
        (changelog.cut(LOG, "0.2.0", "2026-12-31"), "0.3.0", "2026-12-31", "is empty"),
    ],
)
def test_a_release_without_changes_or_with_a_section_is_refused(text, version, date, message):
    with pytest.raises(ValueError, match=message):
        changelog.cut(text, version, date)


def test_notes_of_an_unknown_version_are_refused():
    with pytest.raises(ValueError, match=r"no section of 0\.3\.0"):
        changelog.notes(LOG, "0.3.0")


def test_the_changelog_of_the_project_can_be_cut(repository):
    text = (repository / "CHANGELOG.md").read_text()
    assert changelog.notes(changelog.cut(text, "9.9.9", "2026-12-31"), "9.9.9")
