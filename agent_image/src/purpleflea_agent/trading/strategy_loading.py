"""Import of a strategy, and the check that its function can be one, before the first interval.

Code of a user may do anything when it is imported. Each error becomes one line with the file and the line of the user's
code. The module must not call the strategy.
"""

import inspect
import os
import sysconfig
import traceback
from collections.abc import Callable, Sequence
from decimal import Decimal, localcontext
from importlib import import_module
from pathlib import Path
from typing import cast

Strategy = Callable[[Sequence[Decimal]], Decimal]
"""Positive if the price should rise, negative if it should fall, zero for no signal. A fraction of the price."""

SIGNATURE = "def {name}(closes)"
FOREIGN = (*(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")), "<frozen ")
"""Beginnings of the files that are not the user's."""


class UnknownStrategy(Exception):  # noqa: N818 - the name states the meaning
    """No strategy has this name, or it cannot be loaded; the text lists the names, or has the error."""


def from_path(path: str) -> Strategy:
    """Return the function of a path such as `package.module:function`, for a run outside of Kubernetes.

    Raises:
        UnknownStrategy: The module cannot be imported, or has no such function.
    """
    module_name, _, name = path.partition(":")
    if not module_name or not name:
        raise UnknownStrategy(f"the strategy {path!r} is not a path: write it as module:function")
    if module_name.endswith(".py") or "/" in module_name or os.sep in module_name:
        dotted = module_name.removesuffix(".py").strip("./").replace("/", ".")
        raise UnknownStrategy(
            f"the strategy {path!r} names a file: write its module, as in {dotted}:{name}"
        )
    described = f"the module of the strategy {path!r} cannot be imported"
    module = loaded(lambda: import_module(module_name), described)
    strategy = getattr(module, name, None)
    if not callable(strategy):
        raise UnknownStrategy(
            f"the module {module_name!r} ({_shown(getattr(module, '__file__', None))}) has no function"
            f" {name!r}: define it, or correct the path"
        )
    return checked(strategy, f"the strategy {path!r}")


def loaded(load: Callable[[], object], described: str) -> object:
    """Return the result of an import; `described` is the beginning of the error.

    Raises:
        UnknownStrategy: The import raised anything.
    """
    try:
        with localcontext():  # the module may change precision and traps, and limits need theirs
            return load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # code of the user may raise anything, and may call sys.exit
        raise UnknownStrategy(f"{described}: {_text(error)}") from error


def checked(strategy: object, described: str) -> Strategy:
    """Return a function that can be a strategy; `described` is the beginning of the error.

    Raises:
        UnknownStrategy: It is not a function of one argument that returns a number at once.
    """
    if not callable(strategy):
        raise UnknownStrategy(f"{described} is not a function: correct the name")
    name = getattr(strategy, "__name__", type(strategy).__name__)
    where, remedy = _place(strategy), f"define it as {SIGNATURE.format(name=name)}"
    if inspect.isclass(strategy):
        raise UnknownStrategy(
            f"{described}{where} is a class: give a function, or an instance with the method __call__"
        )
    for kind, test in (
        ("an async function", inspect.iscoroutinefunction),
        ("an async generator", inspect.isasyncgenfunction),
        ("a generator", inspect.isgeneratorfunction),
    ):
        if test(_called(strategy)):
            raise UnknownStrategy(
                f"{described}{where} is {kind}, and a strategy returns a number at once: {remedy}"
            )
    try:
        inspect.signature(strategy).bind([])
    except TypeError as error:
        raise UnknownStrategy(
            f"{described}{where} cannot be called with the closing prices alone ({error}): {remedy}"
        ) from error
    except ValueError:  # a function in C may have no signature
        pass
    return cast("Strategy", strategy)


def _called(strategy: Callable[..., object]) -> object:
    """Return the function whose body a call runs."""
    function = inspect.unwrap(strategy)
    while hasattr(function, "func"):  # functools.partial
        function = inspect.unwrap(function.func)
    if inspect.isroutine(function):
        return function
    return inspect.unwrap(getattr(type(function), "__call__", function))  # noqa: B004


def _place(strategy: Callable[..., object]) -> str:
    code = getattr(_called(strategy), "__code__", None)
    return "" if code is None else f" ({_shown(code.co_filename)}:{code.co_firstlineno})"


def _text(error: BaseException) -> str:
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError) and error.filename is not None:
        return f"{type(error).__name__}: {error.msg} ({_shown(error.filename)}:{error.lineno})"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename != __file__ and not frame.filename.startswith(FOREIGN)
    ]
    return f"{text} ({_shown(frames[-1].filename)}:{frames[-1].lineno})" if frames else text


def _shown(filename: str | None) -> str:
    """Return a file as a user finds it: relative to the present folder if it is below it."""
    if filename is None:
        return "without a file"
    path = Path(filename)
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
