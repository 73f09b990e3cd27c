import pytest

from purpleflea_operator.api.observability_status import ObjectState
from purpleflea_operator.controllers.observability.decisions import ownership, payloads, registry
from purpleflea_operator.controllers.observability.decisions.ownership_tags import (
    KINDS_WITHOUT_OWNERSHIP_TAGS,
    OwnershipTag,
    ownership_tag,
)
from purpleflea_operator.controllers.observability.decisions.registry import (
    ObjectRecord,
    ObjectRegistry,
)
from purpleflea_operator.datadog.client.models import (
    Inventory,
    RemoteObject,
    owned_fields,
    update_body,
)
from purpleflea_operator.datadog.definitions import catalog
from purpleflea_operator.datadog.definitions.objects import ObjectKind, Reference
from purpleflea_operator.datadog.definitions.parameters import Feature, Parameters

ALL = tuple(
    payloads.desired_object(item, "uid-1")
    for item in catalog.everything(Parameters(features=frozenset(Feature)))
)


def wanted(kind, key=""):
    return next(item for item in ALL if item.kind is kind and key in ("", item.key))


def as_remote(item, identifier="7", **changes):
    body = {**owned_fields(item.kind, item.definition.body), **changes}
    return RemoteObject(kind=item.kind, id=identifier, body=body)


def a_record(item, **fields):
    return ObjectRecord(kind=item.kind, key=item.key, state=ObjectState.IN_SYNC, **fields)


@pytest.mark.parametrize("item", ALL, ids=lambda item: f"{item.kind}/{item.key}")
def test_every_object_has_ownership_tags_if_its_kind_allows_them(item):
    tag = ownership_tag(as_remote(item))
    assert tag == (
        None
        if item.kind in KINDS_WITHOUT_OWNERSHIP_TAGS
        else OwnershipTag(uid="uid-1", key=item.key)
    )


def test_a_listed_dashboard_has_the_ownership_tags_in_its_description():
    item = wanted(ObjectKind.DASHBOARD)
    remote = RemoteObject(
        kind=item.kind, id="a-b", body=None, text=item.definition.body["description"]
    )
    assert ownership_tag(remote) == OwnershipTag(uid="uid-1", key="fleet")


def test_tagging_does_not_change_the_catalog():
    assert "purpleflea-uid" not in str(catalog.everything(Parameters()))


@pytest.mark.parametrize("tags", [[], ["purpleflea-uid:uid-1"], ["team:trading"]])
def test_incomplete_ownership_tags_are_ignored(tags):
    assert ownership_tag(as_remote(wanted(ObjectKind.MONITOR, "drawdown"), tags=tags)) is None


@pytest.mark.parametrize("item", ALL, ids=lambda item: f"{item.kind}/{item.key}")
def test_every_object_has_a_page(item):
    assert registry.web_url("https://app", item.kind, "7").startswith("https://app/")


def test_an_object_is_matched_by_its_ownership_tags_with_any_record():
    item = wanted(ObjectKind.MONITOR, "drawdown")
    inventory = Inventory(
        objects={ObjectKind.MONITOR: (as_remote(item, "10"), as_remote(item, "9"))}
    )
    assert ownership.matching_object(item, inventory, None, ("uid-1",)).id == "9"
    assert (
        ownership.matching_object(item, inventory, a_record(item, id="10"), ("uid-1",)).id == "10"
    )
    assert ownership.matching_object(item, inventory, None, ("uid-2",)) is None
    assert ownership.matching_object(item, inventory, None, ("uid-2", "uid-1")).id == "9"


def test_without_tags_an_object_is_matched_by_its_id_if_it_has_the_name():
    item = wanted(ObjectKind.MONITOR, "drawdown")
    bare = as_remote(item, tags=[])
    record = a_record(item, id="7")
    inventory = Inventory(objects={ObjectKind.MONITOR: (bare,)})
    assert ownership.matching_object(item, inventory, record, ("uid-1",)) == bare
    foreign = as_remote(item, tags=[], name="mine")
    inventory = Inventory(objects={ObjectKind.MONITOR: (foreign,)})
    assert ownership.matching_object(item, inventory, record, ("uid-1",)) is None


def test_of_several_tagged_objects_the_one_with_the_desired_name_is_the_original():
    item = wanted(ObjectKind.DASHBOARD)
    text = item.definition.body["description"]
    titles = {"a": "mine", "b": item.name, "c": "mine, too"}
    remotes = [
        RemoteObject(kind=item.kind, id=n, body=None, text=text, title=titles[n]) for n in titles
    ]
    inventory = Inventory(objects={item.kind: tuple(remotes)})
    assert ownership.matching_object(item, inventory, None, ("uid-1",)).id == "b"
    gone = a_record(item, id="b")
    renamed = Inventory(objects={item.kind: (remotes[0], remotes[2])})
    assert ownership.matching_object(item, renamed, gone, ("uid-1",)) is None
    assert ownership.matching_object(item, renamed, None, ("uid-1",)).id == "a"


def test_a_recorded_id_of_an_object_with_other_tags_is_not_a_match():
    item = wanted(ObjectKind.MONITOR, "drawdown")
    theirs = as_remote(payloads.desired_object(item.definition, "uid-2"), tags=[])
    theirs.body["tags"] = ["purpleflea-uid:uid-2", "purpleflea-object:drawdown"]
    inventory = Inventory(objects={ObjectKind.MONITOR: (theirs,)})
    assert ownership.matching_object(item, inventory, a_record(item, id="7"), ("uid-1",)) is None


def test_a_dashboard_without_its_tags_is_matched_by_its_id():
    item = wanted(ObjectKind.DASHBOARD)
    bare = RemoteObject(kind=item.kind, id="a-b", body=None, text="my own words")
    inventory = Inventory(objects={ObjectKind.DASHBOARD: (bare,)})
    assert ownership.matching_object(item, inventory, a_record(item, id="a-b"), ("uid-1",)) == bare


@pytest.mark.parametrize(
    ("kind", "identifier"),
    [
        (ObjectKind.METRIC_TAGS, "agent.heartbeat"),
        (ObjectKind.LOG_INDEX, "purpleflea-agents"),
        (ObjectKind.LOG_INDEX_ORDER, "organisation"),
    ],
)
def test_kinds_with_names_as_ids_are_matched_by_name(kind, identifier):
    item = wanted(kind, "agent.heartbeat" if kind is ObjectKind.METRIC_TAGS else "")
    there = as_remote(item, identifier)
    assert (
        ownership.matching_object(item, Inventory(objects={kind: (there,)}), None, ("uid-1",))
        == there
    )
    assert ownership.matching_object(item, Inventory(), None, ("uid-1",)) is None


def evidence_of(*created, uid="uid-1", adopted=(), shared=()):
    bodies = {item.definition.reference: item.definition.body for item in ALL}
    return ownership.OwnershipEvidence(
        uid=uid,
        created=frozenset(created),
        adopted=frozenset(adopted),
        bodies=bodies,
        shared=frozenset(shared),
    )


def orphans_of(evidence, *remotes, kept=()):
    objects = {}
    for item in remotes:
        objects[item.kind] = (*objects.get(item.kind, ()), item)
    return ownership.orphans(Inventory(objects=objects), evidence, kept)


def test_objects_that_refer_to_others_are_removed_first():
    names = ("notebook", "scanner-rule", "scanner-group", "slo", "metric-tags")
    there = [
        as_remote(
            item, item.key if item.kind is ObjectKind.METRIC_TAGS else f"{item.kind}-{item.key}"
        )
        for item in ALL
    ]
    removals = orphans_of(evidence_of(*((one.kind, one.id) for one in there)), *there).removals
    names_in_sequence = [item.name for item in removals]
    assert len(removals) == len(ALL) - 1
    assert [kind for kind in dict.fromkeys(item.kind for item in removals) if kind in names] == [
        ObjectKind(name) for name in names
    ]
    composite = next(n for n, name in enumerate(names_in_sequence) if "degraded" in name)
    members = [n for n, name in enumerate(names_in_sequence) if "api-error-rate" in name]
    burns = [n for n, name in enumerate(names_in_sequence) if "burn" in name]
    slo = next(n for n, item in enumerate(removals) if item.kind is ObjectKind.SLO)
    assert composite < min(members)
    assert max(burns) < slo


def test_kept_foreign_and_adopted_objects_are_not_removed():
    item = wanted(ObjectKind.MONITOR, "drawdown")
    adopted = [*item.definition.body["tags"], "purpleflea-adopted:true"]
    there = (
        as_remote(item, "1"),
        as_remote(item, "2"),
        as_remote(item, "3", tags=[]),
        as_remote(item, "4", tags=adopted),
    )
    known = [(ObjectKind.MONITOR, identifier) for identifier in "1234"]
    evidence = evidence_of(*known, adopted=[(ObjectKind.MONITOR, "2")])
    assert orphans_of(evidence, *there, kept=[(ObjectKind.MONITOR, "1")]) == ownership.Orphans()
    assert orphans_of(evidence_of(*known, uid="uid-2"), *there) == ownership.Orphans()


def test_a_metric_configuration_is_removed_if_it_is_recorded_and_not_shared():
    metric = wanted(ObjectKind.METRIC_TAGS)
    there = as_remote(metric, metric.key), as_remote(metric, "theirs")
    address = (ObjectKind.METRIC_TAGS, metric.key)
    (only,) = orphans_of(evidence_of(address), *there).removals
    assert only.name == f"metric-tags/{metric.key} ({metric.key})"
    assert orphans_of(evidence_of(address, shared=[metric.key]), *there) == ownership.Orphans()


def test_a_duplicate_equals_the_desired_object_and_a_copy_does_not():
    item = wanted(ObjectKind.MONITOR, "drawdown")
    duplicate, renamed = as_remote(item, "1"), as_remote(item, "2", name="mine")
    stricter = as_remote(item, "3", query="another")
    former = as_remote(item, "4")
    former.body["tags"] = [tag.replace("drawdown", "former") for tag in former.body["tags"]]
    orphans = orphans_of(evidence_of(), duplicate, renamed, stricter, former)
    assert [one.id for one in orphans.removals] == ["1"]
    assert [one.id for one in orphans.copies] == ["2", "3", "4"]
    assert len(orphans_of(evidence_of((ObjectKind.MONITOR, "4")), former).removals) == 1


def test_a_listed_dashboard_is_a_duplicate_if_it_has_the_desired_title():
    item = wanted(ObjectKind.DASHBOARD)
    text = item.definition.body["description"]
    duplicate = RemoteObject(kind=item.kind, id="a", body=None, text=text, title=item.name)
    copied = RemoteObject(kind=item.kind, id="b", body=None, text=text, title="mine")
    orphans = orphans_of(evidence_of(), duplicate, copied)
    assert ([one.id for one in orphans.removals], [one.id for one in orphans.copies]) == (
        ["a"],
        ["b"],
    )


@pytest.mark.parametrize(
    ("state", "identifier", "changes", "known"),
    [
        (ObjectState.CREATING, "", {}, True),
        (ObjectState.CREATING, "", {"tags": ["region"]}, False),
        (ObjectState.FAILED, "", {}, False),
        (ObjectState.IN_SYNC, "m", {}, True),
    ],
)
def test_a_pending_metric_configuration_that_equals_the_desired_one_is_recorded(
    state, identifier, changes, known
):
    item = wanted(ObjectKind.METRIC_TAGS)
    records = ObjectRegistry(
        [ObjectRecord(kind=item.kind, key=item.key, state=state, id=identifier)]
    )
    inventory = Inventory(objects={item.kind: (as_remote(item, item.key, **changes),)})
    records.update(ownership.adopt_pending(inventory, records, ALL))
    assert bool(records.get(item.definition.reference).id) is known
    assert ownership.created_objects(records) == frozenset(
        (record.kind, record.id) for record in records if record.id
    )


@pytest.mark.parametrize("item", ALL, ids=lambda item: f"{item.kind}/{item.key}")
def test_an_update_contains_the_owned_and_no_immutable_fields(item):
    body = item.definition.body
    sent = update_body(item.kind, "7", body)
    if item.kind is ObjectKind.LOG_INDEX:
        assert sent.pop("disable_daily_limit") is False
    assert owned_fields(
        item.kind, {**sent, "name": "x"} if item.kind is ObjectKind.LOG_INDEX else sent
    ) == (owned_fields(item.kind, body))
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


def test_an_adopted_object_has_the_adopted_tag_if_its_kind_has_tags():
    assert (
        "purpleflea-adopted:true"
        in wanted(ObjectKind.MONITOR, "drawdown").body({}, adopted=True)["tags"]
    )
    metric = wanted(ObjectKind.METRIC_TAGS)
    assert metric.body({}, adopted=True) == metric.body({})


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
def test_the_own_index_is_before_unmanaged_indexes_and_the_others_keep_their_position(
    names, expected
):
    there = RemoteObject(
        kind=ObjectKind.LOG_INDEX_ORDER, id="organisation", body={"index_names": names}
    )
    body = {"index_names": ["ours"]}
    assert payloads.index_order(body, there, {"ours", "theirs"})["index_names"] == expected


def test_managed_indexes_are_recognized_by_their_tag():
    ours = as_remote(wanted(ObjectKind.LOG_INDEX), "ours")
    inventory = Inventory(
        objects={ObjectKind.LOG_INDEX: (ours, RemoteObject(kind=ours.kind, id="main", body={}))}
    )
    assert ownership.managed_indexes(inventory) == {"ours"}
    assert (ObjectKind.LOG_INDEX, "main") in ownership.listed_objects(inventory)
