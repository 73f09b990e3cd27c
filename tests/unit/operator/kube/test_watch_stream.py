from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from purpleflea_operator.kube import listing
from purpleflea_operator.kube.resources import POD
from purpleflea_operator.kube.watch_stream import StartOverError, WatchStream

PATH = "/api/v1/pods"


class Observer:
    def __init__(self):
        self.events = []

    def on_event(self, path, event_type, manifest):
        self.events.append((path, event_type, manifest["metadata"]["name"]))


def an_event(name, version, event_type="MODIFIED"):
    metadata = {"name": name, "resourceVersion": str(version)}
    return orjson.dumps({"type": event_type, "object": {"metadata": metadata}}) + b"\n"


def a_bookmark(version):
    return orjson.dumps(
        {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(version)}}}
    )


async def read(*chunks):
    """Return the events and the versions of a stream, and the error with which it ended."""

    async def arriving():
        for chunk in chunks:
            yield chunk

    observer, versions, error = Observer(), [], None
    try:
        async for version in WatchStream(PATH, POD, observer).read(arriving()):
            versions.append(version)  # noqa: PERF401 (an error keeps the versions before it)
    except (StartOverError, ValueError) as caught:
        error = caught
    return observer.events, versions, error


NAMES = ("a", "ä", "日本", "\N{GRINNING FACE}")
WHOLE = b"".join(an_event(name, 10 + number) for number, name in enumerate(NAMES)) + b"\n\n"


@given(cuts=st.sets(st.integers(1, len(WHOLE) - 1)))
async def test_a_stream_has_the_same_events_wherever_its_chunks_are_cut(cuts):
    edges = [0, *sorted(cuts), len(WHOLE)]
    chunks = [WHOLE[begin:end] for begin, end in pairwise(edges)]
    events, versions, error = await read(*chunks)
    assert events == [(PATH, "MODIFIED", name) for name in NAMES]
    assert (versions[-1], error) == ("13", None)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"type":"ERROR","object":{"code":410,"message":"too old"}}\n', ""),
        (b'{"type":"ERROR","object":{"code":500,"message":"no leader"}}\n', "500: no leader"),
        (b'{"type":"ERROR","object":{}}\n', "None: None"),
        (b'{"type":"MODIFIED","object":[]}\n', "an event of the watch has no object"),
        (b'{"type":"MODIFIED"}\n', "an event of the watch has no object"),
        (b"[]\n", "the response is not a JSON object"),
        (b"\xef\xbb\xbf{}\n", None),
        (b"not JSON\n", None),
        (b"[" * 100_000 + b"\n", None),
    ],
)
async def test_the_events_before_an_error_are_processed_and_those_after_it_are_not(line, message):
    events, versions, error = await read(an_event("a", 1) + line + an_event("b", 2))
    assert events == [(PATH, "MODIFIED", "a")]
    assert versions == []
    assert error is not None
    assert message is None or str(error) == message


@pytest.mark.parametrize(
    ("line", "version"),
    [
        (a_bookmark(7) + b"\n", "7"),
        (b'{"type":"BOOKMARK","object":{}}\n', "1"),
        (b'{"type":"MOVED","object":{"metadata":{"resourceVersion":"3"}}}\n', "3"),
        (b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":5}}}\n', "1"),
        (a_bookmark(7), "1"),
    ],
)
async def test_lines_without_an_event_only_change_the_version(line, version):
    events, versions, error = await read(an_event("a", 1), line)
    assert (events, versions[-1], error) == ([(PATH, "MODIFIED", "a")], version, None)


@pytest.mark.parametrize("number", [b"18446744073709551616", b"1e400", b"-1e400"])
async def test_a_number_without_a_range_hides_no_event(number):
    line = b'{"type":"ADDED","object":{"metadata":{"name":"a"},"spec":{"x":%b}}}\n' % number
    assert (await read(line))[0] == [(PATH, "ADDED", "a")]


async def test_a_line_has_a_longest_length(monkeypatch):
    monkeypatch.setattr(listing, "LINE_LIMIT", 200)
    events, _, error = await read(an_event("a", 1), b"x" * 150, b"x" * 51)
    assert events == [(PATH, "MODIFIED", "a")]
    assert str(error) == "an event of the watch is longer than 200 bytes"
