"""What the tests of pipes share."""

import pytest
from botocore.exceptions import ClientError

from sqs.support import unique

ACCOUNT = "000000000000"
REGION = "us-east-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/pipes"


def refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response
    return error["ResponseMetadata"]["HTTPStatusCode"], error["Error"]["Code"]


def make_pipe(pipes, source, target, **more):
    """The name of a fresh pipe from a queue to an ARN."""
    name = unique("pipe")
    pipes.create_pipe(Name=name, Source=source.arn, Target=target, RoleArn=ROLE, **more)
    return name


def filters(*patterns):
    return {"FilterCriteria": {"Filters": [{"Pattern": pattern} for pattern in patterns]}}


def all_bodies(queue, count):
    """The bodies of so many messages, which are all that come within a moment."""
    bodies = []
    while len(bodies) < count:
        more = queue.bodies(WaitTimeSeconds=5)
        assert more, f"{bodies} and no more"
        bodies += more
    assert queue.bodies() == []
    return bodies


def eventually(clock, queue):
    """The bodies that a queue has once there are some; time goes on until then."""
    while not (bodies := queue.bodies()):
        clock.advance(1)
    return bodies
