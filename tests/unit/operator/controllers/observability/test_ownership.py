import pytest

from purpleflea_operator.api.observability_status import State
from purpleflea_operator.controllers.observability.decisions import ownership, payloads, registry
from purpleflea_operator.controllers.observability.decisions.ownership_tags import (
    UNMARKED,
    OwnershipTag,
    mark_of,
)
from purpleflea_operator.controllers.observability.decisions.registry import (
    ObjectRecord,
    ObjectRegistry,
)
from purpleflea_operator.datadog.client.models import Inventory, RemoteObject, owned, update
from purpleflea_operator.datadog.definitions import catalog
from purpleflea_operator.datadog.definitions.objects import ObjectKind, Reference
from purpleflea_operator.datadog.definitions.parameters import Feature, Parameters

ALL = tuple(
    payloads.wanted(item, "uid-1")
    for item in catalog.everything(Parameters(features=frozenset(Feature)))
)


def wanted(kind, key=""):
    return next(item for item in ALL if item.kind is kind and key in ("", item.key))


def as_found(item, identifier="7", **changes):
    body = {**owned(item.kind, item.definition.body), **changes}
    return RemoteObject(kind=item.kind, id=identifier, body=body)


def an_entry(item, **fields):
    return ObjectRecord(kind=item.kind, key=item.key, state=State.IN_SYNC, **fields)


@pytest.mark.parametrize("item", ALL, ids=lambda item: f"{item.kind}/{item.key}")
def test_every_object_says_whose_it_is_or_cannot(item):
    mark = mark_of(as_found(item))
    assert mark == (None if item.kind in UNMARKED else OwnershipTag(uid="uid-1", key=item.key))


def test_a_dashboard_of_the_list_says_it_in_its_description():
    item = wanted(ObjectKind.DASHBOARD)
    found = RemoteObject(
        kind=item.kind, id="a-b", body=None, text=item.definition.body["description"]
    )
    assert mark_of(found) == OwnershipTag(uid="uid-1", key="fleet")


def test_marking_leaves_the_catalogue_as_it_was():
    assert "purpleflea-uid" not in str(catalog.everything(Parameters()))


@pytest.mark.parametrize("tags", [[], ["purpleflea-uid:uid-1"], ["team:trading"]])
def test_half_a_mark_is_none(tags):
    assert mark_of(as_found(wanted(ObjectKind.MONITOR, "drawdown"), tags=tags)) is None


@pytest.mark.parametrize("item", ALL, ids=lambda item: f"{item.kind}/{item.key}")
def test_every_object_has_a_page(item):
    assert registry.link("https://app", item.kind, "7").startswith("https://app/")


def test_an_object_is_matched_by_its_mark_whatever_the_memory_says():
    item = wanted(ObjectKind.MONITOR, "drawdown")
    survey = Inventory(objects={ObjectKind.MONITOR: (as_found(item, "10"), as_found(item, "9"))})
    assert ownership.match(item, survey, None, ("uid-1",)).id == "9"
    assert ownership.match(item, survey, an_entry(item, id="10"), ("uid-1",)).id == "10"
    assert ownership.match(item, survey, None, ("uid-2",)) is None
    assert ownership.match(item, survey, None, ("uid-2", "uid-1")).id == "9"


def test_without_its_mark_it_is_matched_by_its_id_if_it_bears_the_name():
    item = wanted(ObjectKind.MONITOR, "drawdown")
    bare = as_found(item, tags=[])
    entry = an_entry(item, id="7")
    found = Inventory(objects={ObjectKind.MONITOR: (bare,)})
    assert ownership.match(item, found, entry, ("uid-1",)) == bare
    stranger = as_found(item, tags=[], name="mine")
    found = Inventory(objects={ObjectKind.MONITOR: (stranger,)})
    assert ownership.match(item, found, entry, ("uid-1",)) is None


def test_of_several_with_our_mark_the_one_with_our_name_is_the_original():
    item = wanted(ObjectKind.DASHBOARD)
    text = item.definition.body["description"]
    titles = {"a": "mine", "b": item.name, "c": "mine, too"}
    found = [
        RemoteObject(kind=item.kind, id=n, body=None, text=text, title=titles[n]) for n in titles
    ]
    survey = Inventory(objects={item.kind: tuple(found)})
    assert ownership.match(item, survey, None, ("uid-1",)).id == "b"
    gone = an_entry(item, id="b")
    renamed = Inventory(objects={item.kind: (found[0], found[2])})
    assert ownership.match(item, renamed, gone, ("uid-1",)) is None
    assert ownership.match(item, renamed, None, ("uid-1",)).id == "a"


def test_an_id_whose_object_is_marked_for_somebody_else_is_no_match():
    item = wanted(ObjectKind.MONITOR, "drawdown")
    theirs = as_found(payloads.wanted(item.definition, "uid-2"), tags=[])
    theirs.body["tags"] = ["purpleflea-uid:uid-2", "purpleflea-object:drawdown"]
    survey = Inventory(objects={ObjectKind.MONITOR: (theirs,)})
    assert ownership.match(item, survey, an_entry(item, id="7"), ("uid-1",)) is None


def test_a_dashboard_whose_mark_was_taken_away_is_matched_by_its_id():
    item = wanted(ObjectKind.DASHBOARD)
    bare = RemoteObject(kind=item.kind, id="a-b", body=None, text="my own words")
    survey = Inventory(objects={ObjectKind.DASHBOARD: (bare,)})
    assert ownership.match(item, survey, an_entry(item, id="a-b"), ("uid-1",)) == bare


@pytest.mark.parametrize(
    ("kind", "identifier"),
    [
        (ObjectKind.METRIC_TAGS, "agent.heartbeat"),
        (ObjectKind.LOG_INDEX, "purpleflea-agents"),
        (ObjectKind.LOG_INDEX_ORDER, "organisation"),
    ],
)
def test_what_has_a_name_is_matched_by_it(kind, identifier):
    item = wanted(kind, "agent.heartbeat" if kind is ObjectKind.METRIC_TAGS else "")
    there = as_found(item, identifier)
    assert ownership.match(item, Inventory(objects={kind: (there,)}), None, ("uid-1",)) == there
    assert ownership.match(item, Inventory(), None, ("uid-1",)) is None


def a_proof(*made, uid="uid-1", adopted=(), shared=()):
    would_be = {item.definition.reference: item.definition.body for item in ALL}
    return ownership.OwnershipEvidence(
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
    return ownership.surplus(Inventory(objects=objects), proof, kept)


def test_what_refers_to_others_is_removed_before_them():
    names = ("notebook", "scanner-rule", "scanner-group", "slo", "metric-tags")
    there = [
        as_found(
            item, item.key if item.kind is ObjectKind.METRIC_TAGS else f"{item.kind}-{item.key}"
        )
        for item in ALL
    ]
    found = surplus_of(a_proof(*((one.kind, one.id) for one in there)), *there).removals
    order = [item.name for item in found]
    assert len(found) == len(ALL) - 1
    assert [kind for kind in dict.fromkeys(item.kind for item in found) if kind in names] == [
        ObjectKind(name) for name in names
    ]
    composite = next(n for n, name in enumerate(order) if "degraded" in name)
    members = [n for n, name in enumerate(order) if "api-error-rate" in name]
    burns = [n for n, name in enumerate(order) if "burn" in name]
    slo = next(n for n, item in enumerate(found) if item.kind is ObjectKind.SLO)
    assert composite < min(members)
    assert max(burns) < slo


def test_nothing_is_removed_that_is_kept_of_somebody_else_or_was_there_before():
    item = wanted(ObjectKind.MONITOR, "drawdown")
    adopted = [*item.definition.body["tags"], "purpleflea-adopted:true"]
    there = (
        as_found(item, "1"),
        as_found(item, "2"),
        as_found(item, "3", tags=[]),
        as_found(item, "4", tags=adopted),
    )
    known = [(ObjectKind.MONITOR, identifier) for identifier in "1234"]
    proof = a_proof(*known, adopted=[(ObjectKind.MONITOR, "2")])
    assert surplus_of(proof, *there, kept=[(ObjectKind.MONITOR, "1")]) == ownership.Orphans()
    assert surplus_of(a_proof(*known, uid="uid-2"), *there) == ownership.Orphans()


def test_a_configuration_is_removed_where_the_status_has_it_and_nobody_else_wants_it():
    metric = wanted(ObjectKind.METRIC_TAGS)
    there = as_found(metric, metric.key), as_found(metric, "theirs")
    mine = (ObjectKind.METRIC_TAGS, metric.key)
    (only,) = surplus_of(a_proof(mine), *there).removals
    assert only.name == f"metric-tags/{metric.key} ({metric.key})"
    assert surplus_of(a_proof(mine, shared=[metric.key]), *there) == ownership.Orphans()


def test_a_double_is_like_what_we_would_make_and_a_copy_is_not():
    item = wanted(ObjectKind.MONITOR, "drawdown")
    double, renamed = as_found(item, "1"), as_found(item, "2", name="mine")
    stricter = as_found(item, "3", query="another")
    former = as_found(item, "4")
    former.body["tags"] = [tag.replace("drawdown", "former") for tag in former.body["tags"]]
    found = surplus_of(a_proof(), double, renamed, stricter, former)
    assert [one.id for one in found.removals] == ["1"]
    assert [one.id for one in found.copies] == ["2", "3", "4"]
    assert len(surplus_of(a_proof((ObjectKind.MONITOR, "4")), former).removals) == 1


def test_a_dashboard_of_the_list_is_a_double_by_its_title():
    item = wanted(ObjectKind.DASHBOARD)
    text = item.definition.body["description"]
    double = RemoteObject(kind=item.kind, id="a", body=None, text=text, title=item.name)
    copied = RemoteObject(kind=item.kind, id="b", body=None, text=text, title="mine")
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
    item = wanted(ObjectKind.METRIC_TAGS)
    memory = ObjectRegistry(
        [ObjectRecord(kind=item.kind, key=item.key, state=state, id=identifier)]
    )
    survey = Inventory(objects={item.kind: (as_found(item, item.key, **changes),)})
    ownership.adopt_pending(survey, memory, ALL)
    assert bool(memory.get(item.definition.reference).id) is known
    assert ownership.made(memory) == frozenset(
        (entry.kind, entry.id) for entry in memory if entry.id
    )


@pytest.mark.parametrize("item", ALL, ids=lambda item: f"{item.kind}/{item.key}")
def test_an_update_says_what_is_owned_and_nothing_that_is_fixed(item):
    body = item.definition.body
    sent = update(item.kind, "7", body)
    assert owned(
        item.kind, {**sent, "name": "x"} if item.kind is ObjectKind.LOG_INDEX else sent
    ) == (owned(item.kind, body))
    if item.kind in (ObjectKind.SCANNER_GROUP, ObjectKind.SCANNER_RULE):
        assert (sent["data"]["id"], sent["meta"]) == ("7", {})
        assert "relationships" not in sent["data"]
    if item.kind is ObjectKind.METRIC_TAGS:
        assert "metric_type" not in sent["data"]["attributes"]


def test_references_are_missing_until_their_ids_are_known():
    composite = wanted(ObjectKind.MONITOR, "degraded")
    assert len(composite.missing({})) == 2
    ids = {reference: str(n) for n, reference in enumerate(composite.definition.references)}
    assert composite.missing(ids) == ()
    assert composite.body(ids)["query"] == "0 && 1"
    with pytest.raises(KeyError):
        composite.body({Reference(kind=ObjectKind.MONITOR, key="api-error-rate"): "1"})


def test_an_adopted_object_says_so_where_its_kind_can():
    assert (
        "purpleflea-adopted:true"
        in wanted(ObjectKind.MONITOR, "drawdown").body({}, was_there=True)["tags"]
    )
    metric = wanted(ObjectKind.METRIC_TAGS)
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
    there = RemoteObject(
        kind=ObjectKind.LOG_INDEX_ORDER, id="organisation", body={"index_names": names}
    )
    body = {"index_names": ["ours"]}
    assert payloads.ordered(body, there, {"ours", "theirs"})["index_names"] == expected


def test_indexes_of_all_resources_are_known_by_their_tag():
    ours = as_found(wanted(ObjectKind.LOG_INDEX), "ours")
    survey = Inventory(
        objects={ObjectKind.LOG_INDEX: (ours, RemoteObject(kind=ours.kind, id="main", body={}))}
    )
    assert ownership.managed_indexes(survey) == {"ours"}
    assert (ObjectKind.LOG_INDEX, "main") in ownership.shown(survey)
