"""The SQS clients and queues that tests ask for."""

import boto3
import pytest
from botocore.config import Config

from sqs import legacy
from sqs.support import make_queue, redrive_to

REGION = "us-east-1"
ACCOUNT = "000000000000"

# Nothing is retried, so that every answer is seen, and nothing is checked before it is sent, so that wrong requests
# reach the endpoint.
CONFIG = Config(
    retries={"total_max_attempts": 1},
    parameter_validation=False,
    read_timeout=60,
    max_pool_connections=20,
)


def settings(endpoint, access_key="test", region=REGION):
    """What boto3.client needs to talk to `endpoint`."""
    return dict(
        endpoint_url=endpoint.url,
        region_name=region,
        aws_access_key_id=access_key,
        aws_secret_access_key="test",
        config=CONFIG,
    )


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def client_for(model_folder):
    """A function that gives a client for an endpoint, in the protocol `json` or `query`."""

    def client(endpoint, protocol="json", **who):
        if protocol == "query":
            return legacy.query_client(model_folder, **settings(endpoint, **who))
        return boto3.client("sqs", **settings(endpoint, **who))

    return client


@pytest.fixture(scope="session")
def json_and_query(endpoint, client_for):
    return {protocol: client_for(endpoint, protocol) for protocol in ("json", "query")}


@pytest.fixture(params=["json", "query"])
def protocol(request):
    """Every test that uses `sqs` runs once in each of these."""
    return request.param


@pytest.fixture
def sqs(protocol, json_and_query):
    """A client of the endpoint under test."""
    return json_and_query[protocol]


@pytest.fixture
def strict_sqs(protocol, strict_endpoint, client_for):
    """A client of an endpoint that keeps all of AWS's limits."""
    return client_for(strict_endpoint, protocol)


@pytest.fixture
def queue(sqs):
    """A fresh standard queue with default attributes."""
    return make_queue(sqs)


@pytest.fixture
def fifo(sqs):
    """A fresh FIFO queue that takes deduplication ids from contents."""
    return make_queue(sqs, "f", fifo=True, ContentBasedDeduplication="true")


@pytest.fixture
def create(sqs):
    """A function that creates a queue: `create(VisibilityTimeout=5)`, `create(fifo=True)`."""
    return lambda word="q", **attributes: make_queue(sqs, word, **attributes)


@pytest.fixture
def strict_create(strict_sqs):
    return lambda word="q", **attributes: make_queue(strict_sqs, word, **attributes)


@pytest.fixture
def with_dead_letters(create):
    """A function that gives (source, its dead-letter queue)."""

    def pair(receives=1, fifo=False, **attributes):
        extra = {"ContentBasedDeduplication": "true"} if fifo else {}
        dead = create("dead", fifo=fifo, **extra)
        source = create("source", fifo=fifo, RedrivePolicy=redrive_to(dead, receives), **extra, **attributes)
        return source, dead

    return pair
