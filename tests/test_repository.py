import operator
import re
import sysconfig

import pytest


def tracked(repository, *patterns):
    ignored = {".venv", ".sandbox", "__pycache__", ".git"}
    return [
        path
        for pattern in patterns
        for path in repository.rglob(pattern)
        if not ignored & set(path.relative_to(repository).parts)
    ]


def test_the_standard_library_keeps_its_operator():
    assert operator.__file__.startswith(sysconfig.get_path("stdlib"))


def test_the_operator_folder_is_not_a_package(repository):
    assert not (repository / "operator" / "__init__.py").exists()
    source = repository / "operator" / "src"
    strays = [
        path for path in (repository / "operator").rglob("*.py") if source not in path.parents
    ]
    assert strays == []


@pytest.mark.parametrize("folder", ["contract", "operator", "agent_image", "sandbox"])
def test_modules_are_short_and_have_a_docstring(repository, folder):
    faults = []
    for path in (repository / folder / "src").rglob("*.py"):
        lines = path.read_text().splitlines()
        if len(lines) > 400:
            faults.append(f"{path}: {len(lines)} lines")
        if not lines or not lines[0].startswith('"""'):
            faults.append(f"{path}: no docstring")
    assert faults == []


def test_lock_files_pin_by_hash_and_name_no_index(repository):
    for path in tracked(repository, "requirements*.txt", "dev.txt", "check.txt", "go.txt"):
        text = path.read_text()
        assert "--hash=sha256:" in text, path
        assert not re.search(r"https?://|--index-url|--find-links", text), path


def test_the_chart_is_for_the_version_of_the_operator(repository):
    from purpleflea_operator import __version__

    chart = (repository / "charts/purpleflea-operator/Chart.yaml").read_text()
    assert f"appVersion: {__version__}" in chart
    for project in ("contract", "operator", "agent_image", "sandbox"):
        text = (repository / project / "pyproject.toml").read_text()
        assert f'version = "{__version__}"' in text
