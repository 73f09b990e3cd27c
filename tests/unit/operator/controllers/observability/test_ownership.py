import pytest

from purpleflea_operator.api.observability_status import State
from purpleflea_operator.controllers.observability.decisions import ownership, payloads, registry
from purpleflea_operator.controllers.observability.decisions.ownership_tags import (
    UNMARKED,
    Mark,
    mark_of,
)
from purpleflea_operator.controllers.observability.decisions.registry import Entry, Memory
from purpleflea_operator.datadog.client.models import Found, Survey, owned, update
from purpleflea_operator.datadog.definitions import catalog
from purpleflea_operator.datadog.definitions.objects import Kind, Reference
from purpleflea_operator.datadog.definitions.parameters import Feature, Parameters

ALL = tuple(
    payloads.wanted(item, "uid-1")
    for item in catalog.everything(Parameters(features=frozenset(Feature)))
)


def wanted(kind, key=""):
    return next(item for item in ALL if item.kind is kind and key in ("", item.key))


def as_found(item, identifier="7", **changes):
    body = {**owned(item.kind, item.definition.body), **changes}
    return Found(kind=item.kind, id=identifier, body=body)


def an_entry(item, **fields):
    return Entry(kind=item.kind, key=item.key, state=State.IN_SYNC, **fields)


@pytest.mark.parametrize("item", ALL, ids=lambda item: f"{item.kind}/{item.key}")
def test_every_object_says_whose_it_is_or_cannot(item):
    mark = mark_of(as_found(item))
    assert mark == (None if item.kind in UNMARKED else Mark(uid="uid-1", key=item.key))


def test_a_dashboard_of_the_list_says_it_in_its_description():
    item = wanted(Kind.DASHBOARD)
    found = Found(kind=item.kind, id="a-b", body=None, text=item.definition.body["description"])
    assert mark_of(found) == Mark(uid="uid-1", key="fleet")


def test_marking_leaves_the_catalogue_as_it_was():
    assert "purpleflea-uid" not in str(catalog.everything(Parameters()))


@pytest.mark.parametrize("tags", [[], ["purpleflea-uid:uid-1"], ["team:trading"]])
def test_half_a_mark_is_none(tags):
    assert mark_of(as_found(wanted(Kind.MONITOR, "drawdown"), tags=tags)) is None


@pytest.mark.parametrize("item", ALL, ids=lambda item: f"{item.kind}/{item.key}")
def test_every_object_has_a_page(item):
    assert registry.link("https://app", item.kind, "7").startswith("https://app/")


def test_an_object_is_matched_by_its_mark_whatever_the_memory_says():
    item = wanted(Kind.MONITOR, "drawdown")
    survey = Survey(objects={Kind.MONITOR: (as_found(item, "10"), as_found(item, "9"))})
    assert ownership.match(item, survey, None, ("uid-1",)).id == "9"
    assert ownership.match(item, survey, an_entry(item, id="10"), ("uid-1",)).id == "10"
    assert ownership.match(item, survey, None, ("uid-2",)) is None
    assert ownership.match(item, survey, None, ("uid-2", "uid-1")).id == "9"


def test_without_its_mark_it_is_matched_by_its_id_if_it_bears_the_name():
    item = wanted(Kind.MONITOR, "drawdown")
    bare = as_found(item, tags=[])
    entry = an_entry(item, id="7")
    found = Survey(objects={Kind.MONITOR: (bare,)})
    assert ownership.match(item, found, entry, ("uid-1",)) == bare
    stranger = as_found(item, tags=[], name="mine")
    found = Survey(objects={Kind.MONITOR: (stranger,)})
    assert ownership.match(item, found, entry, ("uid-1",)) is None


def test_of_several_with_our_mark_the_one_with_our_name_is_the_original():
    item = wanted(Kind.DASHBOARD)
    text = item.definition.body["description"]
    titles = {"a": "mine", "b": item.name, "c": "mine, too"}
    found = [Found(kind=item.kind, id=n, body=None, text=text, title=titles[n]) for n in titles]
    survey = Survey(objects={item.kind: tuple(found)})
    assert ownership.match(item, survey, None, ("uid-1",)).id == "b"
    gone = an_entry(item, id="b")
    renamed = Survey(objects={item.kind: (found[0], found[2])})
    assert ownership.match(item, renamed, gone, ("uid-1",)) is None
    assert ownership.match(item, renamed, None, ("uid-1",)).id == "a"


def test_an_id_whose_object_is_marked_for_somebody_else_is_no_match():
    item = wanted(Kind.MONITOR, "drawdown")
    theirs = as_found(payloads.wanted(item.definition, "uid-2"), tags=[])
    theirs.body["tags"] = ["purpleflea-uid:uid-2", "purpleflea-object:drawdown"]
    survey = Survey(objects={Kind.MONITOR: (theirs,)})
    assert ownership.match(item, survey, an_entry(item, id="7"), ("uid-1",)) is None


def test_a_dashboard_whose_mark_was_taken_away_is_matched_by_its_id():
    item = wanted(Kind.DASHBOARD)
    bare = Found(kind=item.kind, id="a-b", body=None, text="my own words")
    survey = Survey(objects={Kind.DASHBOARD: (bare,)})
    assert ownership.match(item, survey, an_entry(item, id="a-b"), ("uid-1",)) == bare


@pytest.mark.parametrize(
    ("kind", "identifier"),
    [
        (Kind.METRIC_TAGS, "agent.heartbeat"),
        (Kind.LOG_INDEX, "purpleflea-agents"),
        (Kind.LOG_INDEX_ORDER, "organisation"),
    ],
)
def test_what_has_a_name_is_matched_by_it(kind, identifier):
    item = wanted(kind, "agent.heartbeat" if kind is Kind.METRIC_TAGS else "")
    there = as_found(item, identifier)
    assert ownership.match(item, Survey(objects={kind: (there,)}), None, ("uid-1",)) == there
    assert ownership.match(item, Survey(), None, ("uid-1",)) is None


def a_proof(*made, uid="uid-1", adopted=(), shared=()):
    would_be = {item.definition.reference: item.definition.body for item in ALL}
    return ownership.Proof(
        uid=uid,
        made=frozenset(made),
        adopted=frozenset(adopted),
        bodies=would_be,
        shared=frozenset(shared),
    )


def surplus_of(proof, *found, kept=()):
    objects = {}
    for item in found:
        objects[item.kind] = (*objects.get(item.kind, ()), item)
    return ownership.surplus(Survey(objects=objects), proof, kept)


def test_what_refers_to_others_is_removed_before_them():
    names = ("notebook", "scanner-rule", "scanner-group", "slo", "metric-tags")
    there = [
        as_found(item, item.key if item.kind is Kind.METRIC_TAGS else f"{item.kind}-{item.key}")
        for item in ALL
    ]
    found = surplus_of(a_proof(*((one.kind, one.id) for one in there)), *there).removals
    order = [item.name for item in found]
    assert len(found) == len(ALL) - 1
    assert [kind for kind in dict.fromkeys(item.kind for item in found) if kind in names] == [
        Kind(name) for name in names
    ]
    composite = next(n for n, name in enumerate(order) if "degraded" in name)
    members = [n for n, name in enumerate(order) if "api-error-rate" in name]
    burns = [n for n, name in enumerate(order) if "burn" in name]
    slo = next(n for n, item in enumerate(found) if item.kind is Kind.SLO)
    assert composite < min(members)
    assert max(burns) < slo


def test_nothing_is_removed_that_is_kept_of_somebody_else_or_was_there_before():
    item = wanted(Kind.MONITOR, "drawdown")
    adopted = [*item.definition.body["tags"], "purpleflea-adopted:true"]
    there = (
        as_found(item, "1"),
        as_found(item, "2"),
        as_found(item, "3", tags=[]),
        as_found(item, "4", tags=adopted),
    )
    known = [(Kind.MONITOR, identifier) for identifier in "1234"]
    proof = a_proof(*known, adopted=[(Kind.MONITOR, "2")])
    assert surplus_of(proof, *there, kept=[(Kind.MONITOR, "1")]) == ownership.Surplus()
    assert surplus_of(a_proof(*known, uid="uid-2"), *there) == ownership.Surplus()


def test_a_configuration_is_removed_where_the_status_has_it_and_nobody_else_wants_it():
    metric = wanted(Kind.METRIC_TAGS)
    there = as_found(metric, metric.key), as_found(metric, "theirs")
    mine = (Kind.METRIC_TAGS, metric.key)
    (only,) = surplus_of(a_proof(mine), *there).removals
    assert only.name == f"metric-tags/{metric.key} ({metric.key})"
    assert surplus_of(a_proof(mine, shared=[metric.key]), *there) == ownership.Surplus()


def test_a_double_is_like_what_we_would_make_and_a_copy_is_not():
    item = wanted(Kind.MONITOR, "drawdown")
    double, renamed = as_found(item, "1"), as_found(item, "2", name="mine")
    stricter = as_found(item, "3", query="another")
    former = as_found(item, "4")
    former.body["tags"] = [tag.replace("drawdown", "former") for tag in former.body["tags"]]
    found = surplus_of(a_proof(), double, renamed, stricter, former)
    assert [one.id for one in found.removals] == ["1"]
    assert [one.id for one in found.copies] == ["2", "3", "4"]
    assert len(surplus_of(a_proof((Kind.MONITOR, "4")), former).removals) == 1


def test_a_dashboard_of_the_list_is_a_double_by_its_title():
    item = wanted(Kind.DASHBOARD)
    text = item.definition.body["description"]
    double = Found(kind=item.kind, id="a", body=None, text=text, title=item.name)
    copied = Found(kind=item.kind, id="b", body=None, text=text, title="mine")
    found = surplus_of(a_proof(), double, copied)
    assert ([one.id for one in found.removals], [one.id for one in found.copies]) == (["a"], ["b"])


@pytest.mark.parametrize(
    ("state", "identifier", "changes", "known"),
    [
        (State.CREATING, "", {}, True),
        (State.CREATING, "", {"tags": ["region"]}, False),
        (State.FAILED, "", {}, False),
        (State.IN_SYNC, "m", {}, True),
    ],
)
def test_a_configuration_that_was_announced_and_is_exactly_there_was_made(
    state, identifier, changes, known
):
    item = wanted(Kind.METRIC_TAGS)
    memory = Memory([Entry(kind=item.kind, key=item.key, state=state, id=identifier)])
    survey = Survey(objects={item.kind: (as_found(item, item.key, **changes),)})
    ownership.settle(survey, memory, ALL)
    assert bool(memory.get(item.definition.reference).id) is known
    assert ownership.made(memory) == frozenset(
        (entry.kind, entry.id) for entry in memory if entry.id
    )


@pytest.mark.parametrize("item", ALL, ids=lambda item: f"{item.kind}/{item.key}")
def test_an_update_says_what_is_owned_and_nothing_that_is_fixed(item):
    body = item.definition.body
    sent = update(item.kind, "7", body)
    assert owned(item.kind, {**sent, "name": "x"} if item.kind is Kind.LOG_INDEX else sent) == (
        owned(item.kind, body)
    )
    if item.kind in (Kind.SCANNER_GROUP, Kind.SCANNER_RULE):
        assert (sent["data"]["id"], sent["meta"]) == ("7", {})
        assert "relationships" not in sent["data"]
    if item.kind is Kind.METRIC_TAGS:
        assert "metric_type" not in sent["data"]["attributes"]


def test_references_are_missing_until_their_ids_are_known():
    composite = wanted(Kind.MONITOR, "degraded")
    assert len(composite.missing({})) == 2
    ids = {reference: str(n) for n, reference in enumerate(composite.definition.references)}
    assert composite.missing(ids) == ()
    assert composite.body(ids)["query"] == "0 && 1"
    with pytest.raises(KeyError):
        composite.body({Reference(kind=Kind.MONITOR, key="api-error-rate"): "1"})


def test_an_adopted_object_says_so_where_its_kind_can():
    assert (
        "purpleflea-adopted:true"
        in wanted(Kind.MONITOR, "drawdown").body({}, was_there=True)["tags"]
    )
    metric = wanted(Kind.METRIC_TAGS)
    assert metric.body({}, was_there=True) == metric.body({})


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["b", "ours", "a"], ["ours", "b", "a"]),
        (["a", "b"], ["ours", "a", "b"]),
        (["theirs", "a", "ours"], ["theirs", "ours", "a"]),
        (["theirs", "ours", "a"], ["theirs", "ours", "a"]),
        (["ours", "theirs", "a"], ["ours", "theirs", "a"]),
        ([], ["ours"]),
    ],
)
def test_our_index_goes_before_all_that_no_resource_made_and_the_others_keep_their_place(
    names, expected
):
    there = Found(kind=Kind.LOG_INDEX_ORDER, id="organisation", body={"index_names": names})
    body = {"index_names": ["ours"]}
    assert payloads.ordered(body, there, {"ours", "theirs"})["index_names"] == expected


def test_indexes_of_all_resources_are_known_by_their_tag():
    ours = as_found(wanted(Kind.LOG_INDEX), "ours")
    survey = Survey(objects={Kind.LOG_INDEX: (ours, Found(kind=ours.kind, id="main", body={}))})
    assert ownership.managed_indexes(survey) == {"ours"}
    assert (Kind.LOG_INDEX, "main") in ownership.shown(survey)
