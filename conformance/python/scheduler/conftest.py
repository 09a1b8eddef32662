"""The clients, schedules and queues that tests ask for."""

import boto3
import pytest

from scheduler.support import OFF, ROLE, queue_arn, unique
from sqs.conftest import settings
from sqs.support import make_queue


@pytest.fixture(scope="session")
def scheduler(endpoint):
    """A client of the endpoint under test."""
    return boto3.client("scheduler", **settings(endpoint))


@pytest.fixture(scope="session")
def sqs(endpoint):
    """A client of SQS at the endpoint under test."""
    return boto3.client("sqs", **settings(endpoint))


@pytest.fixture
def queue(sqs):
    """A fresh standard queue."""
    return make_queue(sqs, "q").url


@pytest.fixture
def target(sqs, queue):
    """A target that is that queue."""
    return {"Arn": queue_arn(sqs, queue), "RoleArn": ROLE, "Input": "hello"}


@pytest.fixture
def create(scheduler, target):
    """A function that creates a schedule and gives its name: `create("rate(5 minutes)", State="DISABLED")`."""

    def create(expression="rate(5 minutes)", **more):
        name = more.pop("Name", None) or unique()
        wanted = {"FlexibleTimeWindow": OFF, "Target": target, **more}
        scheduler.create_schedule(Name=name, ScheduleExpression=expression, **wanted)
        return name

    return create
