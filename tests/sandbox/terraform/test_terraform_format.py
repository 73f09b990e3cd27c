"""The Terraform module is formatted like the output of `terraform fmt`."""

import pytest

from support.hcl_formatter import unformatted

pytestmark = pytest.mark.timeout(400)


def test_the_module_is_formatted(repository):
    files = sorted((repository / "observability" / "terraform").glob("*.tf"))
    assert len(files) > 5
    assert unformatted(files) == []


@pytest.mark.parametrize("text", ["locals {\na = 1\n}\n", "locals {\n  a = 1\n  bcd = 2\n}\n"])
def test_the_formatter_detects_unformatted_files(tmp_path, text):
    (tmp_path / "a.tf").write_text(text)
    assert unformatted(tmp_path.glob("*.tf")) == ["a.tf"]
