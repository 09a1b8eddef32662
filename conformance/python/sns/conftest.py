"""The SNS clients, topics, queues and HTTP receivers that tests ask for."""

import boto3
import pytest

from sns.outbox import Outbox
from sns.receiver import Receiver
from sns.support import ACCOUNT, Topic, make_topic
from sqs.conftest import settings
from sqs.support import make_queue


@pytest.fixture(scope="session")
def clients_of():
    """A function that gives (a client of SNS, a client of SQS) for an endpoint and an access key and region."""
    made = {}

    def clients(endpoint, **who):
        key = endpoint.url, tuple(sorted(who.items()))
        if key not in made:
            made[key] = tuple(boto3.client(service, **settings(endpoint, **who)) for service in ("sns", "sqs"))
        return made[key]

    return clients


@pytest.fixture
def sns(endpoint, clients_of):
    """A client of the endpoint under test."""
    return clients_of(endpoint)[0]


@pytest.fixture
def sqs(endpoint, clients_of):
    """A client of SQS at the endpoint under test."""
    return clients_of(endpoint)[1]


@pytest.fixture
def account(sns):
    """The account of that client."""
    return ACCOUNT


@pytest.fixture
def create(sns):
    """A function that creates a topic: `create(DisplayName="x")`, `create(fifo=True)`."""
    return lambda word="t", **attributes: make_topic(sns, word, **attributes)


@pytest.fixture
def topic(create):
    """A fresh standard topic with default attributes."""
    return create()


@pytest.fixture
def fifo(create):
    """A fresh FIFO topic that takes deduplication ids from contents."""
    return create("f", fifo=True, ContentBasedDeduplication="true")


@pytest.fixture
def create_queue(sqs):
    """A function that creates a queue: `create_queue(fifo=True)`."""
    return lambda word="q", **attributes: make_queue(sqs, word, **attributes)


@pytest.fixture
def queue(create_queue):
    """A fresh standard queue."""
    return create_queue()


@pytest.fixture
def fifo_queue(create_queue):
    """A fresh FIFO queue, without deduplication by contents."""
    return create_queue("f", fifo=True)


@pytest.fixture
def other_account(endpoint, clients_of):
    """The clients of another account."""
    return clients_of(endpoint, access_key="111122223333")


@pytest.fixture
def other_region(endpoint, clients_of):
    """The clients of another region."""
    return clients_of(endpoint, region="eu-central-1")


@pytest.fixture
def receiver():
    """An HTTP server of this test's own, which answers 200 until told otherwise."""
    with Receiver() as running:
        yield running


@pytest.fixture
def create_receiver():
    """A function that starts one more HTTP server."""
    running = []

    def create():
        running.append(Receiver().__enter__())
        return running[-1]

    yield create
    for one in running:
        one.__exit__()


@pytest.fixture
def http_subscription(sns, receiver):
    """A function that subscribes this test's HTTP server to a topic, confirms that, and gives the subscription."""

    def subscribe(topic: Topic, at=None, **attributes):
        server = at or receiver
        subscription = topic.subscribe("http", server.url, **attributes)
        server.confirm()
        return subscription

    return subscribe


@pytest.fixture
def outbox(endpoint):
    """What the endpoint would have sent where it has no way to send it; skipped where there is no such list."""
    found = Outbox(endpoint)
    if not found.offered():
        pytest.skip("this endpoint has no outbox")
    return found
