"""The clients, buses and registries that tests ask for."""

import boto3
import pytest

from events.support import Bus
from sqs.conftest import settings
from sqs.support import unique


@pytest.fixture(scope="session")
def schemas(endpoint):
    """A client of the endpoint under test."""
    return boto3.client("schemas", **settings(endpoint))


@pytest.fixture(scope="session")
def events(endpoint):
    """A client of EventBridge at the endpoint under test."""
    return boto3.client("events", **settings(endpoint))


@pytest.fixture(scope="session")
def sqs(endpoint):
    """A client of SQS at the endpoint under test."""
    return boto3.client("sqs", **settings(endpoint))


@pytest.fixture
def registry(schemas):
    """The name of a fresh registry."""
    name = unique("registry")
    schemas.create_registry(RegistryName=name)
    return name


@pytest.fixture
def bus(events):
    """A fresh bus."""
    name = unique("bus")
    events.create_event_bus(Name=name)
    return Bus(events, name)


@pytest.fixture
def discoverer(schemas, bus):
    """The id of a discoverer of that bus."""
    return schemas.create_discoverer(SourceArn=bus.arn)["DiscovererId"]
