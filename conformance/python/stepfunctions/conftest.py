"""The clients, state machines and queues that tests ask for."""

import json

import boto3
import pytest
from botocore.config import Config

from sqs.conftest import settings
from sqs.support import make_queue
from stepfunctions.support import ROLE, unique


@pytest.fixture(scope="session")
def sfn(endpoint):
    """A client of the endpoint under test."""
    config = Config(inject_host_prefix=False, retries={"max_attempts": 0})
    given = settings(endpoint)
    given["config"] = given["config"].merge(config) if "config" in given else config
    return boto3.client("stepfunctions", **given)


@pytest.fixture(scope="session")
def sqs(endpoint):
    """A client of SQS at the endpoint under test."""
    return boto3.client("sqs", **settings(endpoint))


@pytest.fixture
def queue(sqs):
    """A fresh standard queue."""
    return make_queue(sqs, "q").url


@pytest.fixture
def create(sfn):
    """A function that creates a state machine and gives its ARN: `create(definition, type="EXPRESS")`."""

    def create(definition, **more):
        text = definition if isinstance(definition, str) else json.dumps(definition)
        wanted = {"name": unique(), "roleArn": ROLE, **more}
        return sfn.create_state_machine(definition=text, **wanted)["stateMachineArn"]

    return create
