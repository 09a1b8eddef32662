"""The EventBridge clients, buses, rules and queues that tests ask for."""

import boto3
import pytest

from events.support import Bus, Rule
from sqs.conftest import settings
from sqs.support import make_queue, unique


@pytest.fixture
def events(endpoint):
    """A client of the endpoint under test."""
    return boto3.client("events", **settings(endpoint))


@pytest.fixture
def sqs(endpoint):
    """A client of SQS at the endpoint under test."""
    return boto3.client("sqs", **settings(endpoint))


@pytest.fixture
def sns(endpoint):
    """A client of SNS at the endpoint under test."""
    return boto3.client("sns", **settings(endpoint))


@pytest.fixture
def queue(sqs):
    """A fresh queue."""
    return make_queue(sqs)


@pytest.fixture
def letters(sqs):
    """A fresh queue for dead letters."""
    return make_queue(sqs)


@pytest.fixture
def bus(events):
    """A fresh bus."""
    name = unique("b")
    events.create_event_bus(Name=name)
    return Bus(events, name)


@pytest.fixture
def rule(bus):
    """A rule of the fresh bus that matches the source `shop`."""
    return bus.rule({"source": ["shop"]})


@pytest.fixture
def default_rule(events):
    """A rule of the default bus that matches a source of its own."""
    name = unique("r")
    events.put_rule(Name=name, EventPattern='{"source": ["%s"]}' % name)
    return Rule(events, name, None)
