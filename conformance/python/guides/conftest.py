"""What readers of guides have: clients that find their endpoint in the environment, and nothing else."""

import boto3
import endpoint as endpoints
import pytest

from sns.outbox import Outbox
from sqs.support import unique


@pytest.fixture(autouse=True)
def environment(monkeypatch, endpoint):
    """The endpoint by environment alone, as the guides' own code must find it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture
def sqs():
    return boto3.client("sqs", region_name="us-east-1")


@pytest.fixture
def sns():
    return boto3.client("sns", region_name="us-east-1")


@pytest.fixture
def prefix():
    """The beginning of names that no other test uses."""
    return unique("guide") + "-"


@pytest.fixture
def waiting(offered_clock):
    """A function that makes a call which may poll in vain, while time passes."""
    return lambda call, *args: endpoints.Background(call, *args).result(offered_clock)


@pytest.fixture
def outbox(endpoint):
    """What the endpoint would have sent by e-mail, text message or function call; none where it has no such list."""
    found = Outbox(endpoint)
    return found if found.offered() else None
