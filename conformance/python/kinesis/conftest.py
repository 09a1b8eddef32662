"""The clients and streams that tests of Kinesis ask for."""

import boto3
import pytest

from kinesis.support import Stream
from sqs.conftest import settings


@pytest.fixture(scope="session")
def kinesis(endpoint):
    """A client of the endpoint under test."""
    return boto3.client("kinesis", **settings(endpoint))


@pytest.fixture(scope="session")
def events(endpoint):
    """A client of EventBridge at the endpoint under test."""
    return boto3.client("events", **settings(endpoint))


@pytest.fixture(scope="session")
def sqs(endpoint):
    """A client of SQS at the endpoint under test."""
    return boto3.client("sqs", **settings(endpoint))


@pytest.fixture(scope="session")
def pipes(endpoint):
    """A client of Pipes at the endpoint under test."""
    return boto3.client("pipes", **settings(endpoint))


@pytest.fixture(scope="session")
def sfn(endpoint):
    """A client of Step Functions at the endpoint under test."""
    return boto3.client("stepfunctions", **settings(endpoint))


@pytest.fixture
def stream(kinesis):
    """A fresh stream of one shard."""
    return Stream(kinesis)


@pytest.fixture
def stream_of_two(kinesis):
    """A fresh stream of two shards."""
    return Stream(kinesis, shards=2)
