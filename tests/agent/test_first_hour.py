"""Mistakes of a first hour with the command: each is one line with the field or file, and the remedy, at the start."""

import itertools
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from purpleflea_agent import cli
from purpleflea_agent.paper import options
from purpleflea_agent.paper.errors import PaperError
from purpleflea_agent.trading.strategy_loading import UnknownStrategy, from_path

FLAGS = {
    "--paper": [],
    "--replay": ["candles.csv"],
    "--strategy": ["mine:f"],
    "--market": ["BTC-USD"],
    "--settings": ["settings.json"],
    "--interval": ["5s"],
    "--order-size": ["0.01"],
    "--signal-threshold": ["0"],
    "--max-order-usd": ["100"],
    "--deposit-usd": ["100"],
    "--seed": ["0"],
    "--for": ["5s"],
    "--folder": ["out"],
    "--plain": [],
}
MODES = ("--paper", "--replay")
NOT_IN_A_REPLAY = {"--interval", "--seed", "--for"}


def refusal(flags: Sequence[str]) -> str | None:
    """Return the message for options that do not go together; None if they do."""
    arguments = [text for flag in flags for text in (flag, *FLAGS[flag])]
    try:
        options.refuse_contradictions(cli._parser().parse_args(["run", *arguments]))
    except PaperError as error:
        return str(error)
    return None


def test_the_table_has_every_option() -> None:
    known = cli._parser().parse_args(["run"])
    names = {"for" if name == "duration" else name.replace("_", "-") for name in vars(known)}
    assert {flag.removeprefix("--") for flag in FLAGS} == names


@pytest.mark.parametrize("pair", [*itertools.combinations(FLAGS, 2)], ids=" ".join)
def test_each_pair_of_options_runs_or_is_refused_by_name(pair: tuple[str, str]) -> None:
    others = [flag for flag in pair if flag not in MODES]
    message = refusal(pair)
    if set(pair) == set(MODES):
        assert message is not None
        assert message.startswith("--paper and --replay exclude each other")
    elif not set(pair) & set(MODES):
        assert message is not None
        assert any(message.startswith(f"{flag} needs --paper") for flag in pair)
    elif "--replay" in pair and set(pair) & NOT_IN_A_REPLAY:
        assert message is not None
        assert message.startswith(f"--replay and {others[0]} exclude each other: ")
    else:
        assert message is None


@pytest.mark.parametrize("flag", FLAGS)
def test_each_option_alone_starts_a_run_or_names_the_option_that_it_needs(flag: str) -> None:
    message = refusal([flag])
    assert message is None if flag in MODES else str(message).startswith(f"{flag} needs --paper")
    assert refusal([]) is None  # the agent of the image


def test_all_options_of_a_paper_run_go_together() -> None:
    assert refusal([flag for flag in FLAGS if flag != "--replay"]) is None
    assert refusal([f for f in FLAGS if f != "--paper" and f not in NOT_IN_A_REPLAY]) is None


FILES = {
    "syntax.py": "def f(closes):\n    return (1\n",
    "indent.py": "def f(closes):\nreturn 1\n",
    "tabs.py": "def f(closes):\n\tif 1:\n        return 1\n",
    "encoding.py": b"text = '\xff'\ndef f(closes): return 1\n",
    "raises.py": "import decimal\n\nlimit = decimal.Decimal('x')\n",
    "divides.py": "def g():\n    return 1 / 0\n\n\nvalue = g()\n",
    "imports.py": "\nimport no_such_package\n",
    "exits.py": "import sys\nsys.exit('bye')\n",
    "panics.py": "raise BaseException('panic')\n",
    "empty.py": "",
    "mine.py": """import functools
import math

async def waits(closes):
    return 1

async def yields(closes):
    yield 1

def generates(closes):
    yield 1

def nothing():
    return 1

def two(closes, market):
    return 1

def keyword(closes, *, market):
    return 1

class Strategy:
    def __call__(self, closes):
        return 1

class Waits:
    async def __call__(self, closes):
        return 1

class Method:
    def signal(self, closes):
        return 1

instance = Strategy()
waiting = Waits()
method = Method().signal
unbound = Method.signal
number = 5
partial = functools.partial(two, market="BTC-USD")
partial_wait = functools.partial(waits)
any_number = lambda *closes, **more: 1
with_default = lambda closes, window=10: 1
in_c = math.fsum

@functools.wraps(waits)
def wraps_waits(closes):
    return 1
""",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, content in FILES.items():
        data = content if isinstance(content, bytes) else content.encode()
        (tmp_path / name).write_bytes(data)
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    (tmp_path / "package" / "inner.py").write_text("from mine import nosuch\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "modules", {**sys.modules})
    return tmp_path


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("syntax:f", "SyntaxError: '(' was never closed (syntax.py:2)"),
        ("indent:f", "IndentationError: expected an indented block after function definition"),
        ("indent:f", "(indent.py:2)"),
        ("tabs:f", "(tabs.py:3)"),
        ("encoding:f", "SyntaxError: (unicode error) 'utf-8' codec can't decode byte 0xff"),
        ("raises:f", "InvalidOperation: [<class 'decimal.ConversionSyntax'>] (raises.py:3)"),
        ("divides:f", "ZeroDivisionError: division by zero (divides.py:2)"),
        ("imports:f", "ModuleNotFoundError: No module named 'no_such_package' (imports.py:2)"),
        ("package.inner:f", "ImportError: cannot import name 'nosuch' from 'mine'"),
        ("package.inner:f", "(package/inner.py:1)"),
        ("exits:f", "SystemExit: bye (exits.py:2)"),
        ("panics:f", "BaseException: panic (panics.py:1)"),
        ("empty:f", "the module 'empty' (empty.py) has no function 'f': define it"),
        ("nosuch:f", "ModuleNotFoundError: No module named 'nosuch'"),
        ("mine:number", "(mine.py) has no function 'number'"),
        ("mine.py:f", "names a file: write its module, as in mine:f"),
        ("./package/inner.py:f", "names a file: write its module, as in package.inner:f"),
        ("mine:waits", "(mine.py:4) is an async function, and a strategy returns a number at once"),
        ("mine:waits", "define it as def waits(closes)"),
        ("mine:waiting", "is an async function"),
        ("mine:partial_wait", "(mine.py:4) is an async function"),
        ("mine:wraps_waits", "(mine.py:4) is an async function"),
        ("mine:yields", "(mine.py:7) is an async generator"),
        ("mine:generates", "(mine.py:10) is a generator"),
        ("mine:nothing", "(mine.py:13) cannot be called with the closing prices alone"),
        ("mine:two", "(missing a required argument: 'market'): define it as def two(closes)"),
        ("mine:keyword", "(mine.py:19) cannot be called with the closing prices alone"),
        ("mine:Strategy", "is a class: give a function, or an instance"),
        ("mine:unbound", "cannot be called with the closing prices alone"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_a_strategy_that_cannot_run_is_one_line_with_file_and_line(path: str, message: str) -> None:
    with pytest.raises(UnknownStrategy) as raised:
        from_path(path)
    assert message in str(raised.value)
    assert repr(path) in str(raised.value) or "has no function" in str(raised.value)


@pytest.mark.parametrize(
    "name", ["instance", "method", "partial", "any_number", "with_default", "in_c"]
)
@pytest.mark.usefixtures("folder")
def test_anything_that_can_be_called_with_prices_is_a_strategy(name: str) -> None:
    assert float(from_path(f"mine:{name}")([])) in (0, 1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"trading": {"orderSzie": "1"}}, "trading.orderSzie: there is no such field: use one of"),
        ({"trading": {"order_size": "1"}}, "trading.order_size: there is no such field"),
        ({"risks": {}}, "risks: there is no such field: use one of api, faucet, markets"),
        ({"spec": {"markets": []}}, "spec: there is no such field"),
        ({"risk": {"maxOrderUSD": "1"}}, "risk.maxOrderUSD: there is no such field"),
        ({"trading": {"mode": "Halted"}}, "trading.mode: a paper run is always Active"),
        ({"trading": {"interval": "500ms"}}, "trading.interval: '500ms' is out of range"),
        ({"trading": {"interval": "2h"}}, "write a duration between 1s and 1h"),
        ({"trading": {"interval": "15"}}, "trading.interval: String should match"),
        ({"trading": {"unknownOrderWindow": "1s"}}, "trading.unknownOrderWindow: '1s' is out of"),
        ({"trading": {"maxCandleAge": "1s"}}, "trading.maxCandleAge: '1s' is out of range"),
        ({"trading": {"maxPriceJump": "1"}}, "trading.maxPriceJump: no price could be used"),
        ({"trading": {"orderSize": "0.000"}}, "trading.orderSize: no order could be sent"),
        ({"trading": {"orderSize": 0.01}}, "trading.orderSize: Input should be a valid string"),
        ({"trading": []}, "trading: Input should be"),
        ({"risk": {"maxOrderUsd": "0"}}, "risk.maxOrderUsd: 0 refuses every order"),
        ({"risk": {"maxPositionUsd": "0.0"}}, "risk.maxPositionUsd: 0 refuses every order"),
        ({"risk": {"maxExposureUsd": "0"}}, "risk.maxExposureUsd: 0 refuses every order"),
        ({"risk": {"minBalanceUsd": "10001"}}, "risk.minBalanceUsd: 10001 is above the deposit"),
        ({"risk": {"maxDrawdownPct": 0}}, "risk.maxDrawdownPct: Input should be greater"),
        ({"markets": ["BTC-USD", "BTC-USD"]}, "markets: a market is given twice"),
        ({"markets": "BTC-USD"}, "markets"),
        ({"strategy": 5}, "settings: strategy: not a text"),
        ({"strategy": ""}, "there is no strategy ''"),
    ],
)
def test_a_wrong_setting_is_reported_before_the_run_with_its_field(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    settings: dict[str, object],
    message: str,
) -> None:
    (folder / "settings.json").write_text(json.dumps(settings))
    assert cli.main(["run", "--paper", "--settings", "settings.json"]) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert not (folder / "runs").exists()


def test_the_spec_of_a_resource_is_accepted_as_settings(folder: Path) -> None:
    spec = {
        "strategy": "momentum",
        "replicas": 2,
        "markets": ["BTC-USD"],
        "api": {"keySecretRef": {"name": "key"}, "tokenSecretRef": "t", "dialect": "Seed"},
        "trading": {"mode": "Active", "interval": "1s", "orderSize": "0.02"},
        "risk": {"maxOrderUsd": "500", "peakResetAt": "2026-01-31T12:00:00Z"},
        "faucet": {"autoClaim": True, "belowUsd": "10"},
        "datadog": {},
        "storage": {},
        "pod": {},
        "network": {},
        "image": {"name": "x"},
    }
    (folder / "settings.json").write_text(json.dumps(spec))
    given = cli._parser().parse_args(["run", "--paper", "--settings", "settings.json"])
    found = options.from_arguments(given)
    assert found.settings.trading.order_size == "0.02"
    assert (found.seed, str(found.deposit_usd)) == (1, "10000")


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "--nosuch"],
        ["run", "--paper", "--seed", "x"],
        ["run", "--paper", "--for"],
        ["run", "--paper", "extra"],
        ["run", "--pap"],
        ["nosuch"],
        [],
        ["run", "--for", "5s"],
        ["run", "--paper", "--strategy", ""],
        ["run", "--paper", "--market", "BTC-USD", "--market", "BTC-USD"],
    ],
    ids=str,
)
@pytest.mark.usefixtures("folder")
def test_a_mistake_in_the_options_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    try:
        code: object = cli.main(arguments)
    except SystemExit as ended:
        code = ended.code
    printed = capsys.readouterr()
    assert (code, printed.out, printed.err.count("\n")) == (2, "", 1)
    assert printed.err.startswith("purpleflea-agent: ")
