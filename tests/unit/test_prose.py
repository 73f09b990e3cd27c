import pytest

import prose

MODULE = '''"""Return the order if it exists."""
# The exchange was told of the order,
# so the data are at
# rest.
LIMIT = 3
"""Highest number of orders."""

def place():
    """What is placed."""
    return f"{heard} the order {nobody} placed", "told"
'''


def test_docstrings_of_modules_attributes_and_functions_are_found():
    assert prose.docstrings(MODULE) == [
        "Return the order if it exists.",
        "Highest number of orders.",
        "What is placed.",
    ]


def test_comments_on_consecutive_lines_are_one_text():
    [comment] = prose.comments(MODULE)
    assert comment.line == 2
    assert comment.text == "The exchange was told of the order,\nso the data are at\nrest."


def test_strings_of_one_word_and_expressions_in_f_strings_are_not_texts():
    assert [text.text for text in prose.strings(MODULE)][-1].endswith("\n{} the order {} placed")


def test_words_are_counted_per_ten_thousand_words():
    counted = prose.counts(
        ['"""What if the pod fails, because it is full?"""\nx = 1  # What a pod']
    )
    assert counted["what"] == pytest.approx(10_000 * 2 / 12)
    assert counted["if"] == pytest.approx(10_000 / 12)
    assert counted["opens with What/Who/..."] == pytest.approx(10_000 / 12)


def test_an_empty_package_has_no_words():
    assert set(prose.counts([""]).values()) == {0}


def test_a_broken_limit_names_package_word_and_limit():
    counted = dict.fromkeys(prose.RULES["counted"], 0.0) | {
        "if": 39.9,
        "what": 20.0,
        "told/tell": 2.1,
    }
    assert list(prose.broken_limits("operator", counted)) == [
        'operator: "if" occurs 39.9 times in 10,000 words; wanted: at least 40',
        'operator: "told/tell" occurs 2.1 times in 10,000 words; wanted: at most 2',
    ]


@pytest.mark.parametrize(
    ("path", "content", "reported"),
    [
        ("a.py", '"""Pods that were told."""', [(1, "told")]),
        (
            "a.py",
            'raise ValueError(\n    "nobody "\n    "mends the pod"\n)',
            [(2, "nobody"), (3, "mends")],
        ),
        ("a.py", 'log.info("data at "\n         "rest")', [(1, "at rest")]),
        ("a.py", "x = 1  # a watch that is deaf", [(1, "deaf")]),
        ("a.py", "# waits for\n# ever", [(1, "for ever")]),
        ("a.py", 'state = {"told": 1}', []),
        ("a.py", 'f"the mode of {told.mode} is unknown"', []),
        (
            "a.py",
            "was_told = told = wasHeard = TOLD_AFTER = 1",
            [(1, name) for name in ("was_told", "told", "wasHeard", "TOLD_AFTER")],
        ),
        ("a.py", "tellers = retell = 1", []),
        ("a.md", "Text\n\nThe agent\nis no pod.", [(4, "is no")]),
        ("a.md", "There is no pod, and it is no longer ready.", []),
        ("a.md", "It stands for a pod beside the stand-in.", []),
        ("a.md", "The pod stands.", [(1, "stands")]),
        ("a.md", "A queue of its own. The pod of its own node.", [(1, "of its own")]),
        ("a.md", "by\nway of", [(1, "by way of")]),
        ("Makefile", "# Nobody uses it", [(1, "Nobody")]),
    ],
)
def test_banned_words_are_reported_with_their_line(path, content, reported):
    found = [(each.line, each.word) for each in prose.banned(path, content)]
    assert sorted(found) == sorted(reported)


def test_a_message_has_the_location_the_word_and_the_suggestion():
    [found] = prose.banned("docs/a.md", "one\ntwo anew")
    assert str(found) == 'docs/a.md:2: "anew"; write instead: again, from the beginning; recreate'


def test_an_allowed_use_is_allowed_in_its_file_and_context_only(monkeypatch):
    entry = {"path": "docs/*.md", "text": "told you", "reason": "a quotation"}
    monkeypatch.setitem(prose.RULES, "allowed", [entry])
    assert list(prose.banned("docs/a.md", "I told you")) == []
    assert len(list(prose.banned("docs/a.md", "I told them"))) == 1
    assert len(list(prose.banned("README.md", "I told you"))) == 1


def test_every_allowed_use_has_a_reason():
    assert all(entry["reason"] for entry in prose.RULES["allowed"])


def test_files_are_those_that_people_write_and_read(tmp_path):
    names = (
        "README.md",
        "a/b.py",
        "a/Dockerfile",
        "crds/x.yaml",
        ".venv/lib/x.py",
        "a/vendor/x.js",
        "x.png",
    )
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("told")
    found = [path.relative_to(tmp_path).as_posix() for path in prose.files(tmp_path)]
    assert found == ["README.md", "a/Dockerfile", "a/b.py"]
    assert len(prose.problems(tmp_path, [tmp_path / "README.md", tmp_path / "x.png"])) == 1
