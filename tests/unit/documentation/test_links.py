"""Links of all pages lead to files and parts of pages that exist, and no page has the same anchor twice."""

from pathlib import Path

import pytest

from support.documentation import anchors, links, pages

GENERATED_AT_BUILD = ("javascript:",)


def faults_of(page):
    for target in links(page):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists():
            yield f"{target}: the file does not exist"
        elif anchor and file.suffix == ".md" and anchor not in anchors(file):
            yield f"{target}: the page has no such part"


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_every_link_leads_to_a_file_or_a_part_of_a_page(page):
    assert list(faults_of(page)) == []


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_no_page_has_an_anchor_twice(page):
    found = anchors(page)
    assert sorted(set(found)) == sorted(found)


def test_every_page_of_the_documentation_is_linked_from_another_page(repository):
    linked = {
        (page.parent / target.partition("#")[0]).resolve()
        for page in pages()
        for target in links(page)
        if "://" not in target and not target.startswith("#")
    }
    below = [page for page in pages() if page.is_relative_to(repository / "docs")]
    assert [page.name for page in below if page.resolve() not in linked] == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[a](gone.md)", "gone.md"),
        ("[a](#gone)", "#gone"),
        ("# A b\n\n[a](#a-b) [b](#a--b)", "#a--b"),
        ("![a](gone.svg)", "gone.svg"),
        ("[a]\n\n[a]: gone.md", "gone.md"),
        ("| a |\n| --- |\n| [a](gone.md) |", "gone.md"),
    ],
)
def test_a_wrong_link_is_detected(tmp_path: Path, text, fault):
    page = tmp_path / "page.md"
    page.write_text(text)
    (found,) = faults_of(page)
    assert fault in found


def test_anchors_are_those_of_the_hosting_site(tmp_path):
    page = tmp_path / "page.md"
    page.write_text('# Who `may` halt?\n\n## A, b & c\n\n## A, b & c\n\n<a id="x"></a>\n')
    assert anchors(page) == ["x", "who-may-halt", "a-b--c", "a-b--c-1"]
