"""Code blocks of all pages: valid manifests, and commands that a test runs or that say why no test runs them."""

import ast
import json
import subprocess
import tomllib

import hcl2
import pytest
import yaml

from support import documented_commands, documented_manifests
from support.documentation import COMMANDS, Block, all_blocks, commands, inline_commands, pages

LANGUAGES = {
    "sh",
    "console",
    "yaml",
    "json",
    "python",
    "toml",
    "hcl",
    "mermaid",
    "text",
    "diff",
    "promql",
}
RUN_BY_THE_TEST_OF_THE_PAGE = {
    "docs/strategies.md": "tests/agent/test_strategy_page.py",
    "docs/own-trading-agent.md": "tests/agent/test_own_trading_agent.py",
}
"""Test that runs the blocks with the language `console` of a page."""
PROGRAMS = ("kubectl", "helm", "make", "purpleflea-agent")


AGENT = """\
kind: PurpleFleaAgent
metadata: {name: a}
spec: {strategy: momentum, markets: [BTC-USD], api: {keySecretRef: {name: key}}}
"""


def parsed(text):
    for document in yaml.safe_load_all(text):
        if document is not None:
            yield document


def test_every_block_has_a_language():
    found = [
        f"{block}: {block.language!r}" for block in all_blocks() if block.language not in LANGUAGES
    ]
    assert found == [], f"write one of {sorted(LANGUAGES)} after the three backticks"


@pytest.mark.parametrize("block", all_blocks("yaml"), ids=str)
def test_every_manifest_is_valid(block):
    documents = list(parsed(block.text))
    assert documents, "the block is empty"
    assert [
        fault for item in documents for fault in documented_manifests.manifest_problems(item)
    ] == []


READERS = {"json": json.loads, "python": ast.parse, "toml": tomllib.loads, "hcl": hcl2.loads}


@pytest.mark.parametrize("block", all_blocks(*READERS), ids=str)
def test_every_program_and_file_can_be_parsed(block):
    READERS[block.language](block.text)


@pytest.mark.parametrize("block", all_blocks(COMMANDS), ids=str)
def test_every_command_is_correct(block):
    syntax = subprocess.run(
        ["sh", "-n"], input=block.text, capture_output=True, text=True, check=False
    )
    assert syntax.stderr == ""
    found = [
        fault for words in commands(block.text) for fault in documented_commands.problems(words)
    ]
    assert found == []


def unexplained(block):
    """Return the programs of a block that no test runs, if it has no mark."""
    if block.mark is not None:
        return []
    return documented_commands.without_a_test(commands(block.text))


def test_every_command_is_run_by_a_test_or_says_why_not():
    found = [
        f"{block}: {program}" for block in all_blocks(COMMANDS) for program in unexplained(block)
    ]
    assert found == [], (
        "write <!-- run: TEST --> or <!-- not run: REASON --> on the line before the block"
    )


def test_every_test_that_is_named_as_running_commands_names_the_page(repository):
    named = [
        (block, block.mark[1]) for block in all_blocks() if block.mark and block.mark[0] == "run"
    ]
    named += [(block, RUN_BY_THE_TEST_OF_THE_PAGE[block.page]) for block in all_blocks("console")]
    for block, test in named:
        file = repository / test
        assert file.is_file(), f"{block}: {test} does not exist"
        name = block.page.rpartition("/")[2]
        assert name in file.read_text(), f"{block}: {test} does not mention {name}"


def test_the_commands_in_the_text_are_correct(repository):
    found = []
    for page in pages():
        for text in inline_commands(page, PROGRAMS):
            faults = [
                fault for words in commands(text) for fault in documented_commands.problems(words)
            ]
            found += [f"{page.relative_to(repository)}: `{text}`: {fault}" for fault in faults]
    assert found == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringdata: {a: b}", "stringdata"),
        ("apiVersion: v1\nkind: Sekret\nmetadata: {name: a}", "unknown kind"),
        ("kind: Secret\nmetadata: {name: a}", "unknown kind"),
        ("apiVersion: purpleflea.com/v1alpha1\nkind: PurpleFleaAgent\nspec: {strategy: momentum}", "markets"),
        (f"apiVersion: purpleflea.com/v1\n{AGENT}", "apiVersion"),
        (f"apiVersion: purpleflea.com/v1alpha1\n{AGENT}".replace("name: a", "name: A_b"), "metadata.name"),
        ("apiVersion: example.com/v1\nkind: Thing", "OTHER_GROUPS"),
        ("spec:\n  faucet: {autoclaim: true}", "autoclaim"),
        ("spec:\n  trading: {mode: Sleeping}", "Sleeping"),
        ("metadata:\n  anotations: {a: b}", "anotations"),
        ("watchNamespace: [trading]", "watchNamespace"),
        ("agent: {fsgroup: auto}", "fsgroup"),
        ("- a", "mapping"),
    ],
)  # fmt: skip
def test_a_wrong_manifest_is_detected(text, fault):
    (document,) = parsed(text)
    assert fault in "\n".join(documented_manifests.manifest_problems(document))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("make deploy", "no target deploy"),
        ("kubectl aply -f examples/momentum.yaml", "no command"),
        ("kubectl apply -f examples/gone.yaml", "does not exist"),
        ("kubectl apply --filename=examples/gone.yaml", "does not exist"),
        ("""kubectl patch pfa a --type=merge -p '{"spec":{"trading":{"mod":"Halted"}}}'""", "mod"),
        ("""kubectl patch pfa a --type=merge --patch='{"spec":}'""", "not JSON"),
        ("""kubectl patch pfa/a -p '{"spec":{"trading":{"mode":"Off"}}}'""", "Off"),
        ("kubectl annotate pfa a purpleflea.com/upgarde=1", "purpleflea.com/upgarde"),
        ("helm install a charts/purpleflea-operator --set watchNamespace=a", "watchNamespace"),
        ("helm upgrade a charts/purpleflea-operator --set=replicas=many", "replicas"),
        ("helm install a charts/purpleflea-operator -f charts/gone.yaml", "gone.yaml"),
        ("docker build -f operator/Dockerfil .", "Dockerfil"),
        ("docker build -t a examples/gone", "examples/gone"),
        ("pip install ./sdk ./kit", "./kit"),
        ("purpleflea-agent run --papr", "--papr"),
        ("kubectl -n trading aply -f -", "no command"),
        ("kubectl get pfaa", "unknown resource pfaa"),
        ("kubectl get pfa,pots", "unknown resource pots"),
        ("kubectl wait pfa/a --for=condition=Redy", "no condition Redy"),
        ("kubectl wait pfh/a --for condition=TradingActive", "no condition TradingActive"),
        ("kubectl get pfa -o custom-columns=X:.status.trading.moode", "status.trading.moode"),
        ("kubectl get pfa a -o jsonpath='{.spec.trading.intervall}'", "spec.trading.intervall"),
        ("kubectl patch pfa a --type=merge --patch-file examples/gone.json", "gone.json"),
        ("""kubectl patch purplefleaagents.purpleflea.com a -p '{"spec":{"bad":1}}'""", "bad"),
        ("sudo make deploy", "no target deploy"),
        ("env A=b make deploy", "no target deploy"),
        ("kubectl purpleflea hlt --all", "no command hlt"),
        ("kubectl purpleflea halt --al --reason x", "--al"),
        ("helm install a CHART --set image.repo=x", "repo"),
        ("sudo ls; make deploy", "no target deploy"),
        ("A=b make deploy # comment", "no target deploy"),
        ("while read x; do make deploy; done < file", "no target deploy"),
    ],
)  # fmt: skip
def test_a_wrong_command_is_detected(text, fault):
    found = [item for words in commands(text) for item in documented_commands.problems(words)]
    assert fault in "\n".join(found)


@pytest.mark.parametrize(
    "text",
    ["docker push a", "curl -s localhost", "terraform apply", "make lint && git push", "./x"],
)
def test_a_command_that_no_test_runs_needs_a_mark(text):
    block = Block(page="a.md", line=1, language="sh", text=text)
    assert unexplained(block)
    marked = Block(page="a.md", line=1, language="sh", text=text, mark=("not run", "why"))
    assert not unexplained(marked)


def test_continued_lines_pipes_and_redirections_are_split_into_commands():
    text = "kubectl get a \\\n  -o json | jq '.b | .c' > file 2>&1 && A=1 make x &\n# no command\n\nhelm ls"
    assert commands(text) == [
        ["kubectl", "get", "a", "-o", "json"],
        ["jq", ".b | .c", "2"],
        ["make", "x"],
        ["helm", "ls"],
    ]
