"""The event router of a guide to event-driven systems: its rule, its event, and what it calls best practice."""

import json

import boto3
import pytest

# As the guide has them.
RULE = {
    "source": ["com.myapp.orders"],
    "detail-type": ["OrderPlaced"],
    "detail": {"total": [{"numeric": [">=", 100]}]},
}
EVENT = {
    "source": "com.myapp.orders",
    "detail-type": "OrderPlaced",
    "detail": {
        "orderId": "ORD-2024-001",
        "customerId": "CUST-123",
        "total": 149.99,
        "currency": "USD",
        "items": [{"sku": "PROD-456", "quantity": 2, "price": 74.99}],
        "timestamp": "2025-02-14T10:30:00Z",
    },
}


@pytest.fixture
def events():
    return boto3.client("events")


@pytest.fixture
def bus(events, prefix):
    """A custom event bus, not the default one."""
    return prefix + "orders", events.create_event_bus(Name=prefix + "orders")["EventBusArn"]


def put(events, bus, **changes):
    entry = {
        "EventBusName": bus,
        "Source": EVENT["source"],
        "DetailType": EVENT["detail-type"],
        "Detail": json.dumps(EVENT["detail"] | changes),
    }
    assert events.put_events(Entries=[entry])["FailedEntryCount"] == 0


def test_the_rule_routes_orders_of_100_and_more(events, sqs, bus, prefix):
    name, _ = bus
    url = sqs.create_queue(QueueName=prefix + "large")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="large", EventBusName=name, EventPattern=json.dumps(RULE))
    events.put_targets(Rule="large", EventBusName=name, Targets=[{"Id": "1", "Arn": arn}])
    for total in [99.99, 149.99, 100, 12]:
        put(events, name, total=total)
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    received = [json.loads(message["Body"]) for message in messages]
    assert sorted(event["detail"]["total"] for event in received) == [100, 149.99]
    [event] = [event for event in received if event["detail"]["total"] == 149.99]
    assert {name: event[name] for name in EVENT} == EVENT


def test_the_schema_registry_discovers_and_documents_the_shape_of_events(events, bus):
    name, arn = bus
    schemas = boto3.client("schemas")
    schemas.create_discoverer(SourceArn=arn)
    put(events, name)
    of = {"RegistryName": "discovered-schemas", "SchemaName": "com.myapp.orders@OrderPlaced"}
    parts = json.loads(schemas.describe_schema(**of)["Content"])["components"]["schemas"]
    properties = parts["OrderPlaced"]["properties"]
    assert sorted(properties) == sorted(EVENT["detail"])
    assert properties["total"] == {"type": "number", "format": "double"}
    assert properties["timestamp"] == {"type": "string", "format": "date-time"}
    assert sorted(parts["ItemsItem"]["properties"]) == ["price", "quantity", "sku"]
