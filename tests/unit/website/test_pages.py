"""Pages of the documentation site: links out of docs/, anchors of the hosting site, and diagrams as pictures."""

import tomllib

import pytest
from website.pages import REPOSITORY_URL, link, page, place, with_size

FILES = {
    "docs/a.md",
    "docs/b/c.md",
    "docs/README.md",
    "docs/images/x.png",
    "SECURITY.md",
    "k/README.md",
}
BLOB = f"{REPOSITORY_URL}/blob/main"


@pytest.mark.parametrize(
    ("target", "path", "found"),
    [
        ("b/c.md", "docs/a.md", "b/c.md"),
        ("b/c.md#d", "docs/a.md", "b/c.md#d"),
        ("#d", "docs/a.md", "#d"),
        ("README.md", "docs/a.md", "index.md"),
        ("../README.md", "docs/b/c.md", "../index.md"),
        ("../SECURITY.md#x", "docs/a.md", "project/SECURITY.md#x"),
        ("docs/a.md", "SECURITY.md", "../a.md"),
        ("../docs/images/x.png", "k/README.md", "../../images/x.png"),
        ("../examples/halt.yaml", "docs/a.md", f"{BLOB}/examples/halt.yaml"),
        ("../README.md", "docs/a.md", f"{BLOB}/README.md"),
        ("../examples/", "docs/a.md", f"{BLOB}/examples"),
        ("https://example.com/a.md", "docs/a.md", "https://example.com/a.md"),
        ("mailto:a@example.com", "docs/a.md", "mailto:a@example.com"),
    ],
)
def test_a_link_leads_to_the_page_of_the_site_or_to_the_hosting_site(target, path, found):
    assert link(target, path, FILES) == found


def staged(text, path="docs/a.md"):
    diagrams = []
    found = page(text, path, FILES, lambda diagram: diagrams.append(diagram) or "diagrams/1.svg")
    return found, diagrams


def test_links_in_code_are_kept():
    text = "```sh\n[a](../SECURITY.md)\n# a comment\n```\n"
    assert staged(text) == (text, [])


def test_a_diagram_becomes_a_picture_that_can_be_opened():
    found, diagrams = staged("# A\n\n## B\n\n```mermaid\nflowchart LR\n```\n\nb\n", "docs/b/c.md")
    assert (
        found.partition("\n\n[")[2]
        == "![Diagram: B](../diagrams/1.svg){ .diagram }](../diagrams/1.svg)\n\nb\n"
    )
    assert diagrams == ["flowchart LR\n"]


def test_a_session_is_a_picture_that_can_be_opened():
    assert staged("![s](images/s.svg)\n![p](images/p.png)\n")[0] == (
        "[![s](images/s.svg)](images/s.svg)\n![p](images/p.png)\n"
    ).replace("images", f"{BLOB}/docs/images")


def test_a_diagram_has_its_own_size():
    found = with_size('<svg width="100%" viewBox="-50 -10 1364 1015"><rect width="100%"/></svg>')
    assert found == (
        '<svg width="1364" height="1015" viewBox="-50 -10 1364 1015"><rect width="100%"/></svg>'
    )


@pytest.mark.parametrize(
    ("code", "html"),
    [
        (r"`^(ms\|s)$`", "<code>&#94;&#40;ms&#124;s&#41;$</code>"),
        (r"`a \| b \| <c>`", "<code>a &#124; b &#124; &#60;c&#62;</code>"),
        ("`a_b`", "`a_b`"),
    ],
)
def test_a_vertical_line_in_code_of_a_table_is_shown_without_a_backslash(code, html):
    assert staged(f"| {code} | x |\n") == (f"| {html} | x |\n", [])
    assert staged(f"{code}\n") == (f"{code}\n", [])


def test_headings_have_the_anchors_of_the_hosting_site():
    found, _ = staged("# A, `b` & [c](b/c.md)\n\n## A\n\n## A\n")
    assert found == "# A, `b` & [c](b/c.md) { #a-b--c }\n\n## A { #a }\n\n## A { #a-1 }\n"


def test_a_link_around_a_picture_is_replaced_too():
    found, _ = staged("[![x](images/x.png)](../SECURITY.md)")
    assert found == "[![x](images/x.png)](project/SECURITY.md)"


def named(entry):
    if isinstance(entry, str):
        return [entry]
    values = entry.values() if isinstance(entry, dict) else entry
    return [name for value in values for name in named(value)]


def test_every_page_of_the_documentation_is_in_the_navigation_once(repository):
    settings = tomllib.loads((repository / "website" / "zensical.toml").read_text())
    entries = named(settings["project"]["nav"])
    pages = {
        place(str(file.relative_to(repository))) for file in (repository / "docs").rglob("*.md")
    }
    assert sorted(pages - set(entries)) == []
    assert len(entries) == len(set(entries))
