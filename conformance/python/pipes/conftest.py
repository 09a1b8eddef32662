"""The clients and queues that tests of pipes ask for."""

import boto3
import pytest

from sqs.conftest import settings
from sqs.support import make_queue


@pytest.fixture(scope="session")
def pipes(endpoint):
    """A client of the endpoint under test."""
    return boto3.client("pipes", **settings(endpoint))


@pytest.fixture(scope="session")
def events(endpoint):
    """A client of EventBridge at the endpoint under test."""
    return boto3.client("events", **settings(endpoint))


@pytest.fixture(scope="session")
def sqs(endpoint):
    """A client of SQS at the endpoint under test."""
    return boto3.client("sqs", **settings(endpoint))


@pytest.fixture(scope="session")
def sns(endpoint):
    """A client of SNS at the endpoint under test."""
    return boto3.client("sns", **settings(endpoint))


@pytest.fixture(scope="session")
def sfn(endpoint):
    """A client of Step Functions at the endpoint under test."""
    return boto3.client("stepfunctions", **settings(endpoint))


@pytest.fixture
def source(sqs):
    """A fresh queue."""
    return make_queue(sqs, "source")


@pytest.fixture
def target(sqs):
    """Another one."""
    return make_queue(sqs, "target")
