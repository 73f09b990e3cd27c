"""The reference of the kubectl plugin, which is generated from its commands."""

from website import cli_reference

from kubectl_purpleflea.commands.catalog import COMMANDS

PAGE = "docs/reference/kubectl-purpleflea.md"


def test_the_page_equals_the_generated_page(repository):
    assert (repository / PAGE).read_text() == cli_reference.page(), "stale: run `make docs`"


def test_each_command_has_a_section_with_its_options():
    sections = cli_reference.page().split("\n## kubectl purpleflea ")[1:]
    assert [section.partition("\n")[0] for section in sections] == list(COMMANDS)
    by_name = {section.partition("\n")[0]: section for section in sections}
    offline = {name for name, section in by_name.items() if "| `--context TEXT` | " not in section}
    assert offline == {"completion", "cost", "import"}
    assert "| `--wait [halted\\|drained]` | " in by_name["halt"]


def test_the_command_writes_the_page(tmp_path):
    cli_reference.main(str(tmp_path / "page.md"))
    assert (tmp_path / "page.md").read_text() == cli_reference.page()
