import operator
import re
import sysconfig

import pytest

import prose

PAGES = (
    *("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "STYLE.md", "SECURITY.md", "CHANGELOG.md"),
    *("CODE_OF_CONDUCT.md", ".github/pull_request_template.md", "docs/runbooks/README.md"),
    *(
        "docs/README.md",
        "docs/concepts.md",
        "docs/observability.md",
        "docs/bring-your-own-agent.md",
        "docs/strategies.md",
        "docs/own-trading-agent.md",
        "docs/published-page.md",
    ),
)
PACKAGES = {
    "O": "operator/src/purpleflea_operator",
    "A": "agent_image/src/purpleflea_agent",
    "K": "sdk/src/purpleflea_sdk",
    "C": "contract/src/purpleflea_contract",
    "S": "sandbox/src/purpleflea_sandbox",
    "P": "cli/src/kubectl_purpleflea",
}
"""Package folders by the prefixes of CONTRIBUTING.md."""
PATH = re.compile(r"`(?P<path>\.?[\w-][\w.-]*/[\w./-]*)`|\]\((?P<link>[^)\s:#]+)(?:#[^)]*)?\)")
NOT_IN_THE_REPOSITORY = re.compile(
    r"test-results/|runs/|dist/|\.sandbox/|[\w.-]+\.com/|text/|application/"
)
FORMER_NAMES = "\n## Former names\n"


def paths_in(text):
    """Yield (path, is a link) of each path in backticks and each link to a file."""
    for match in PATH.finditer(text.partition(FORMER_NAMES)[0]):
        path = match["link"] or match["path"]
        if not NOT_IN_THE_REPOSITORY.match(path):
            yield path, bool(match["link"])


def exists(repository, page, path, is_link):
    """Report whether a path of a page exists: links start at the page, other paths at the root or a package."""
    if is_link:
        return (page.parent / path).exists()
    first, _, rest = path.partition("/")
    if first in PACKAGES:
        return (repository / PACKAGES[first] / rest).exists()
    if rest.startswith(".../"):
        below = rest.removeprefix(".../").rstrip("/")
        return any((repository / first).glob(f"src/*/{below}"))
    roots = (repository, *(repository / folder for folder in PACKAGES.values()))
    return any((root / path).exists() for root in roots)


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


@pytest.mark.parametrize("folder", ["contract", "sdk", "operator", "agent_image", "sandbox", "cli"])
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
    for project in ("contract", "sdk", "operator", "agent_image", "sandbox", "cli"):
        text = (repository / project / "pyproject.toml").read_text()
        assert f'version = "{__version__}"' in text


@pytest.mark.parametrize("name", PAGES)
def test_every_path_in_a_page_exists(repository, name):
    page = repository / name
    named = list(paths_in(page.read_text()))
    missing = [path for path, is_link in named if not exists(repository, page, path, is_link)]
    assert missing == []


def test_a_missing_path_is_detected(repository):
    text = (
        "`O/api/agent.py` `O/model/agent.py` [x](gone.md#a) `/livez` `purpleflea.com/mode` `a b/c`"
    )
    found = [
        path
        for path, link in paths_in(text)
        if not exists(repository, repository / "x.md", path, link)
    ]
    assert found == ["O/model/agent.py", "gone.md"]


def test_the_english_follows_the_rules(repository):
    assert prose.problems(repository) == []
