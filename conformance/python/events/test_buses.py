"""Creating, describing, updating, listing and deleting buses; permissions; tags."""

import json

import pytest

from events.support import PREFIX
from sqs.support import refused, unique


def test_the_default_bus_is_there(events):  # §2
    assert events.describe_event_bus()["Arn"] == f"{PREFIX}event-bus/default"
    assert "default" in [bus["Name"] for bus in events.list_event_buses(NamePrefix="def")["EventBuses"]]
    with refused("ValidationException", 400, "Cannot delete event bus default."):
        events.delete_event_bus(Name="default")


def test_a_bus_comes_and_goes(events):  # §2
    name = unique("b")
    assert events.create_event_bus(Name=name, Description="d")["EventBusArn"] == f"{PREFIX}event-bus/{name}"
    with refused("ResourceAlreadyExistsException", 400, f"Event bus {name} already exists."):
        events.create_event_bus(Name=name)
    assert events.describe_event_bus(Name=name)["Description"] == "d"
    assert events.update_event_bus(Name=name, Description="e")["Description"] == "e"
    assert events.describe_event_bus(Name=f"{PREFIX}event-bus/{name}")["Description"] == "e"
    events.delete_event_bus(Name=name)
    events.delete_event_bus(Name=name)
    with refused("ResourceNotFoundException", 400, f"Event bus {name} does not exist."):
        events.describe_event_bus(Name=name)


def test_a_bus_with_rules_stays(events, bus, rule):
    with refused("ValidationException", 400, "EventBus can't be deleted since it has rules."):
        events.delete_event_bus(Name=bus.name)
    rule.delete_rule()
    events.delete_event_bus(Name=bus.name)


def test_buses_are_listed_page_by_page(events):  # §2
    prefix = unique("p")
    names = [f"{prefix}-{number}" for number in range(5)]
    for name in names:
        events.create_event_bus(Name=name)
    listed, more = [], {}
    while True:
        page = events.list_event_buses(NamePrefix=prefix, Limit=2, **more)
        listed += [bus["Name"] for bus in page["EventBuses"]]
        if "NextToken" not in page:
            break
        more = {"NextToken": page["NextToken"]}
    assert listed == names


def test_statements_of_a_policy_come_and_go(events, bus):  # §2
    def put(sid, principal):
        events.put_permission(
            EventBusName=bus.name, Action="events:PutEvents", Principal=principal, StatementId=sid
        )

    def policy():
        return events.describe_event_bus(Name=bus.name).get("Policy")

    put("a", "111111111111")
    put("b", "*")
    put("a", "222222222222")
    statements = {it["Sid"]: it for it in json.loads(policy())["Statement"]}
    assert statements["a"]["Principal"] == {"AWS": "arn:aws:iam::222222222222:root"}
    assert statements["b"]["Principal"] == "*"
    events.remove_permission(EventBusName=bus.name, StatementId="a")
    with refused("ResourceNotFoundException", 400, "Statement with the provided id does not exist."):
        events.remove_permission(EventBusName=bus.name, StatementId="a")
    events.remove_permission(EventBusName=bus.name, StatementId="b")
    assert policy() is None
    put("a", "*")
    events.remove_permission(EventBusName=bus.name, RemoveAllPermissions=True)
    assert policy() is None


def test_buses_and_rules_have_tags(events, bus, rule):  # §2
    for arn in (bus.arn, rule.arn):
        events.tag_resource(ResourceARN=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
        events.untag_resource(ResourceARN=arn, TagKeys=["a", "c"])
        assert events.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "b", "Value": "2"}]
    missing = f"{PREFIX}rule/missing"
    with refused("ResourceNotFoundException", 400, "Rule missing does not exist on EventBus default."):
        events.tag_resource(ResourceARN=missing, Tags=[{"Key": "a", "Value": "1"}])


def test_an_account_without_partners_has_no_event_sources(events):
    assert events.list_event_sources()["EventSources"] == []
    with refused("ResourceNotFoundException", 400, "Event source aws.partner/a/b does not exist."):
        events.describe_event_source(Name="aws.partner/a/b")


def test_what_contradicts_the_model_is_told(events):
    text = (
        r"1 validation error detected: Value 'a b' at 'name' failed to satisfy constraint: Member must satisfy regular "
        r"expression pattern: [/\.\-_A-Za-z0-9]+"
    )
    with refused("ValidationException", 400, text):
        events.create_event_bus(Name="a b")


def test_what_is_not_done_yet_is_refused(events):
    with pytest.raises(Exception, match="UnknownOperationException"):
        events.list_endpoints()
