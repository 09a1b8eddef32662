"""Discoverers, and what they make of events (§ 12)."""

import json

import pytest

from schemas.support import PREFIX, refused
from sqs.support import make_queue, unique

DISCOVERED = "discovered-schemas"


def latest(schemas, name):
    shown = schemas.describe_schema(RegistryName=DISCOVERED, SchemaName=name)
    return shown["SchemaVersion"], json.loads(shown["Content"])


def test_a_discoverer_has_a_managed_rule_on_its_bus(schemas, events, bus):
    made = schemas.create_discoverer(SourceArn=bus.arn, Description="d", Tags={"k": "v"})
    identity = f"events-event-bus-{bus.name}"
    assert (made["DiscovererId"], made["DiscovererArn"]) == (identity, f"{PREFIX}discoverer/{identity}")
    assert (made["State"], made["CrossAccount"], made["SourceArn"]) == ("STARTED", True, bus.arn)
    assert refused(schemas.create_discoverer, SourceArn=bus.arn) == (409, "ConflictException")
    [rule] = events.list_rules(EventBusName=bus.name)["Rules"]
    assert rule["Name"] == f"Schemas-{identity}"
    assert rule["Description"] == "This rule is used to route Events to Schema Discoverer"
    assert (rule["ManagedBy"], rule["State"]) == ("schemas.amazonaws.com", "ENABLED")
    [target] = events.list_targets_by_rule(EventBusName=bus.name, Rule=rule["Name"])["Targets"]
    assert target["Arn"] == made["DiscovererArn"]
    of = {"DiscovererId": identity}
    assert schemas.stop_discoverer(**of)["State"] == "STOPPED"
    assert events.describe_rule(EventBusName=bus.name, Name=rule["Name"])["State"] == "DISABLED"
    assert schemas.describe_discoverer(**of)["State"] == "STOPPED"
    assert schemas.start_discoverer(**of)["State"] == "STARTED"
    assert schemas.update_discoverer(**of, CrossAccount=False)["CrossAccount"] is False
    listed = schemas.list_discoverers(DiscovererIdPrefix=identity)["Discoverers"]
    assert [one["DiscovererId"] for one in listed] == [identity]
    assert schemas.list_discoverers(SourceArnPrefix=bus.arn)["Discoverers"] == listed
    schemas.delete_discoverer(**of)
    assert refused(schemas.describe_discoverer, **of) == (404, "NotFoundException")
    assert events.list_rules(EventBusName=bus.name)["Rules"] == []
    for call in [schemas.delete_discoverer, schemas.start_discoverer, schemas.stop_discoverer]:
        assert refused(call, **of) == (404, "NotFoundException")


def test_a_managed_rule_is_not_its_accounts(events, bus, discoverer):
    rule = {"EventBusName": bus.name, "Name": f"Schemas-{discoverer}"}
    refusal = (400, "ManagedRuleException")
    assert refused(events.disable_rule, **rule) == refusal
    assert refused(events.put_rule, **rule, EventPattern='{"source":["a"]}') == refusal


def test_a_discoverer_needs_a_bus(schemas):
    missing = "arn:aws:events:us-east-1:000000000000:event-bus/missing"
    for wrong in [missing, "arn:aws:sqs:us-east-1:000000000000:queue-name", "arn:aws:events:us-east-1:111122223333:event-bus/b"]:
        assert refused(schemas.create_discoverer, SourceArn=wrong) == (400, "BadRequestException")
    assert refused(schemas.describe_discoverer, DiscovererId="events-event-bus-missing")[0] == 404


def test_new_events_become_schemas_and_other_ones_versions(schemas, bus, discoverer):
    source = unique("shop")
    name = f"{source}@OrderPlaced"
    bus.put_one(source, "order placed", {"id": 1, "lines": [{"sku": "a"}]})
    version, content = latest(schemas, name)
    assert version == "1"
    assert (content["openapi"], content["info"]["title"]) == ("3.0.0", "OrderPlaced")
    envelope = content["components"]["schemas"]["AWSEvent"]
    assert envelope["x-amazon-events-source"] == source
    assert envelope["x-amazon-events-detail-type"] == "order placed"
    assert envelope["properties"]["detail"] == {"$ref": "#/components/schemas/OrderPlaced"}
    detail = content["components"]["schemas"]["OrderPlaced"]
    assert detail["required"] == ["id", "lines"]
    assert detail["properties"]["id"] == {"type": "integer", "format": "int64"}
    assert detail["properties"]["lines"]["items"] == {"$ref": "#/components/schemas/LinesItem"}
    # What is alike adds nothing.
    bus.put_one(source, "order placed", {"id": 2, "lines": [{"sku": "b"}, {"sku": "c"}]})
    assert latest(schemas, name)[0] == "1"
    bus.put_one(source, "order placed", {"id": 3, "lines": [], "note": "x"})
    version, content = latest(schemas, name)
    detail = content["components"]["schemas"]["OrderPlaced"]
    assert (version, detail["required"], sorted(detail["properties"])) == ("2", ["id", "lines"], ["id", "lines", "note"])
    # Neither do those that came before.
    bus.put_one(source, "order placed", {"id": 1, "lines": [{"sku": "a"}]})
    assert latest(schemas, name)[0] == "2"
    exported = schemas.export_schema(RegistryName=DISCOVERED, SchemaName=name, Type="JSONSchemaDraft4")
    draft = json.loads(exported["Content"])
    assert draft["$schema"] == "http://json-schema.org/draft-04/schema#"
    assert draft["definitions"]["OrderPlaced"] == detail | {
        "properties": detail["properties"] | {"lines": {"type": "array", "items": {"$ref": "#/definitions/LinesItem"}}}
    }


def test_ten_events_of_one_request_are_seen_one_after_the_other(schemas, bus, discoverer):
    source = unique("shop")
    entries = [
        {"Source": source, "DetailType": "t", "Detail": json.dumps({f"p{number}": number})} for number in range(10)
    ]
    assert bus.put(*entries)["FailedEntryCount"] == 0
    version, content = latest(schemas, f"{source}@T")
    assert version == "10"
    assert len(content["components"]["schemas"]["T"]["properties"]) == 10


def test_a_stopped_discoverer_sees_nothing(schemas, bus, discoverer):
    source = unique("shop")
    schemas.stop_discoverer(DiscovererId=discoverer)
    bus.put_one(source, "t", {"a": 1})
    missing = {"RegistryName": DISCOVERED, "SchemaName": f"{source}@T"}
    assert refused(schemas.describe_schema, **missing) == (404, "NotFoundException")
    schemas.start_discoverer(DiscovererId=discoverer)
    bus.put_one(source, "t", {"a": 1})
    assert latest(schemas, f"{source}@T")[0] == "1"


def test_discovered_schemas_are_their_discoverers(schemas, bus, discoverer):
    source = unique("shop")
    bus.put_one(source, "t", {"a": 1})
    of = {"RegistryName": DISCOVERED, "SchemaName": f"{source}@T"}
    content = schemas.describe_schema(**of)["Content"]
    assert refused(schemas.update_schema, **of, Type="OpenApi3", Content=content) == (403, "ForbiddenException")
    assert refused(schemas.delete_registry, RegistryName=DISCOVERED) == (403, "ForbiddenException")
    schemas.delete_schema(**of)
    bus.put_one(source, "t", {"b": 1})
    version, content = latest(schemas, f"{source}@T")
    assert (version, list(content["components"]["schemas"]["T"]["properties"])) == ("1", ["b"])


def test_the_default_bus_is_told_of_new_versions(schemas, events, sqs, bus, discoverer):
    queue = make_queue(sqs, "told")
    source, rule = unique("shop"), unique("told")
    pattern = {"source": ["aws.schemas"], "detail": {"SchemaName": [f"{source}@T"]}}
    events.put_rule(Name=rule, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=rule, Targets=[{"Id": "q", "Arn": queue.arn}])
    for detail in [{"a": 1}, {"a": 2}, {"b": 1}]:
        bus.put_one(source, "t", detail)
    answer = sqs.receive_message(QueueUrl=queue.url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
    told = [json.loads(message["Body"]) for message in answer["Messages"]]
    told.sort(key=lambda event: event["detail"]["Version"])
    assert [event["detail-type"] for event in told] == ["Schema Created", "Schema Version Created"]
    assert [event["detail"]["Version"] for event in told] == ["1", "2"]
    assert told[1]["resources"] == [f"{PREFIX}schema/{DISCOVERED}/{source}@T"]
    assert told[1]["detail"]["SchemaType"] == "OpenApi3"
    events.remove_targets(Rule=rule, Ids=["q"])
    events.delete_rule(Name=rule)


@pytest.mark.parametrize("kind", ["OpenApi3", "JSONSchemaDraft4"])
def test_a_schema_is_inferred_from_events_that_are_given(schemas, kind):
    event = {"source": "shop", "detail-type": "order placed", "detail": {"at": "2026-11-30T12:00:00Z", "n": 1}}
    others = [json.dumps(event | {"detail": {"n": 1.5}})]
    content = json.loads(schemas.get_discovered_schema(Type=kind, Events=[json.dumps(event), *others])["Content"])
    parts = content["components"]["schemas"] if kind == "OpenApi3" else content["definitions"]
    assert parts["OrderPlaced"] == {
        "type": "object",
        "required": ["n"],
        "properties": {
            "at": {"type": "string", "format": "date-time"},
            "n": {"type": "number", "format": "double"},
        },
    }
    content = json.loads(schemas.get_discovered_schema(Type="OpenApi3", Events=['{"a": true}'])["Content"])
    assert content["components"]["schemas"]["Event"]["properties"] == {"a": {"type": "boolean"}}
    bad = (400, "BadRequestException")
    assert refused(schemas.get_discovered_schema, Type=kind, Events=["{"]) == bad
    assert refused(schemas.get_discovered_schema, Type=kind, Events=["{}"] * 11) == bad
    mixed = [json.dumps(event), json.dumps(event | {"source": "depot"})]
    assert refused(schemas.get_discovered_schema, Type=kind, Events=mixed) == bad
