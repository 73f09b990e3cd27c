import hcl2
import pytest

from purpleflea_operator.datadog.definitions.hcl import (
    Block,
    Call,
    Expression,
    expression,
    rendered,
)


def body(*items):
    text = rendered([Block('resource "a" "b"', items)])
    hcl2.loads(text)
    return text.splitlines()[1:-1]


def test_adjacent_attributes_are_aligned_up_to_a_blank_line():
    lines = body(("a", 1), ("long", True), None, ("other", None))
    assert lines == ["  a    = 1", "  long = true", "", "  other = null"]


def test_values_of_several_lines_are_not_aligned():
    lines = body(("a", 1), ("map", {"key": "x", "k": 2}), ("bb", 3))
    assert lines == ["  a = 1", "  map = {", '    key = "x"', "    k   = 2", "  }", "  bb = 3"]


def test_a_text_of_several_lines_has_no_new_line_at_its_end():
    lines = body(("a", 1), ("text", "one\n\ntwo"))
    text = ["  text = chomp(<<-EOT", "    one", "", "    two", "  EOT", "  )"]
    assert lines == ["  a = 1", *text]


@pytest.mark.parametrize("number", [1_000_000, 12.345678, 1e-7, 0.1 + 0.2, 0, 1e9])
def test_a_number_is_written_exactly(number):
    (line,) = body(("x", number))
    assert float(line.removeprefix("  x = ")) == number
    assert "e" not in line


def test_text_is_escaped_and_expressions_are_not():
    lines = body(("text", f'${{{{x}}}} %{{y}} "q" \\d {expression("var.z")}'))
    assert lines == ['  text = "$${{x}} %%{y} \\"q\\" \\\\d ${var.z}"']


def test_a_text_of_one_expression_has_no_quotes():
    assert body(("id", expression("a.b.id"))) == ["  id = a.b.id"]
    joined = expression("a") + expression("b")
    assert body(("id", joined)) == ['  id = "${a}${b}"']


def test_a_number_that_is_an_expression_keeps_its_value():
    number = Expression(15, "var.x")
    assert number > 14
    assert body(("x", number), ("y", f"> {number:g}")) == ["  x = var.x", '  y = "> ${var.x}"']


def test_long_lists_break_and_functions_wrap():
    short = body(("x", ["a", "b"]))
    assert short == ['  x = ["a", "b"]']
    long = body(("x", ["a" * 60, "b" * 60]))
    assert long == ["  x = [", f'    "{"a" * 60}",', f'    "{"b" * 60}",', "  ]"]
    assert body(("x", Call("jsonencode", {"a": []}))) == [
        "  x = jsonencode({",
        "    a = []",
        "  })",
    ]


def test_names_that_are_not_identifiers_are_quoted():
    assert body(("x", {"a.b": {}})) == ["  x = {", '    "a.b" = {}', "  }"]


def test_a_value_without_hcl_is_refused():
    with pytest.raises(TypeError, match="no HCL for object"):
        body(("x", object()))
