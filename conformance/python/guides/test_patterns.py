"""The patterns of an article on message queues work over SQS and SNS, each as its text promises."""

import json

import boto3
import endpoint as endpoints
import pytest
from botocore.config import Config

from guides import patterns

MESSAGE = {
    "id": "msg_12345",
    "timestamp": "2024-01-15T10:30:00Z",
    "type": "order.created",
    "source": "order-service",
    "data": {
        "orderId": "order_67890",
        "customerId": "cust_123",
        "items": [{"productId": "prod_456", "quantity": 2, "price": 29.99}],
        "total": 59.98,
    },
    "metadata": {"version": "1.0", "priority": "normal", "retryCount": 0},
}


@pytest.fixture
def queue(prefix):
    return patterns.QueueClient(prefix)


@pytest.fixture
def url(queue):
    return queue.create_queue("order-processing-queue")


def test_a_structured_message_arrives_as_it_was_sent(queue, url):
    queue.send(url, MESSAGE)
    assert json.loads(queue.receive(url)["Body"]) == MESSAGE


def test_sends_with_attributes_and_receives_in_a_loop(sqs, prefix):
    """The article's own boto3 code; its queue's address alone is this test's."""
    queue_url = sqs.create_queue(QueueName=prefix + "order-queue")["QueueUrl"]
    order_data = {"orderId": "order_67890", "type": "express", "priority": 3}
    response = sqs.send_message(
        QueueUrl=queue_url,
        MessageBody=json.dumps(order_data),
        MessageAttributes={
            "OrderType": {"StringValue": order_data.get("type", "standard"), "DataType": "String"},
            "Priority": {"StringValue": str(order_data.get("priority", 1)), "DataType": "Number"},
        },
    )
    assert response["MessageId"]
    response = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=20)
    messages = response.get("Messages", [])
    assert [json.loads(message["Body"]) for message in messages] == [order_data]
    for message in messages:
        sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    left = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=names)["Attributes"]
    assert left == dict.fromkeys(names, "0")


def test_one_of_many_processors_gets_a_message_and_a_refused_one_comes_again(queue, url):
    done = []

    def at_first_not_the_third(order):
        if order["orderId"] == 3 and order not in refused:
            refused.append(order)
            raise ValueError("not now")
        done.append(order["orderId"])

    refused = []
    processors = [patterns.OrderProcessor(queue, url, at_first_not_the_third) for _ in range(3)]
    for order_id in range(6):
        queue.send(url, {"orderId": order_id})
    while any([processor.process_one() for processor in processors]):
        pass
    assert sorted(done) == [0, 1, 2, 3, 4, 5] and len(refused) == 1


def test_each_subscriber_gets_a_copy(queue):
    broker = patterns.MessageBroker(queue)
    inventory, email = (broker.subscribe("order-events", name) for name in ("inventory", "email"))
    event = {"type": "order.created", "data": MESSAGE["data"], "timestamp": 1705314600.0}
    broker.publish("order-events", event)
    for url in (inventory, email):
        message = queue.receive(url)
        assert json.loads(message["Body"]) == event
        queue.acknowledge(url, message)
        assert queue.receive(url) is None


def test_a_request_gets_its_reply_on_a_queue_of_its_own(queue, waiting, offered_clock):
    service = queue.create_queue("pricing-requests")
    rpc = patterns.RPCOverMessageQueue(queue)
    serving = endpoints.Background(rpc.serve_one, service, {"total": lambda price, count: price * count})
    assert rpc.call_remote_service(service, "total", [5, 3]) == 15
    serving.result()
    with pytest.raises(TimeoutError):  # nobody serves
        waiting(rpc.call_remote_service, service, "total", [5, 3])
    assert not [url for url in queue.sqs.list_queues().get("QueueUrls", []) if queue.prefix + "reply-" in url]


def test_at_most_once_does_not_care_and_at_least_once_goes_on(queue, url):
    patterns.AtMostOnceProducer(queue).send_message(url + "-that-is-not-there", {"metric": 1})
    patterns.AtMostOnceProducer(queue).send_message(url, {"metric": 2})
    assert queue.get_queue_depth(url) == 1

    # The answer to the first attempt is lost on the way, and nobody is there at the second.
    nobody = boto3.client("sqs", endpoint_url="http://127.0.0.1:9", config=Config(retries={"total_max_attempts": 1}))
    attempts, pauses = [], []

    def send(to, message):
        attempts.append(message)
        if len(attempts) == 1:
            queue.send(to, message)
        if len(attempts) < 3:
            return nobody.send_message(QueueUrl=to, MessageBody="lost")
        return queue.send(to, message)

    assert patterns.AtLeastOnceProducer(send, pauses.append).send_message(url, {"order": 1})
    assert (pauses, queue.get_queue_depth(url)) == ([1, 2], 3)


def test_exactly_once_is_at_least_once_with_a_memory(queue, url):
    done = []
    processor = patterns.ExactlyOnceProcessor(queue, url, done.append)
    for _ in range(2):
        queue.send(url, MESSAGE)
        processor.process_message()
    assert done == [MESSAGE] and queue.get_queue_depth(url) == 0


def test_retries_wait_longer_each_time_and_end_among_the_dead_letters(queue, url, clock):
    def fail(_):
        raise ValueError("no such product")

    dead = queue.create_queue("order-dlq")
    processor = patterns.RetryingProcessor(queue, url, dead, fail)
    queue.send(url, MESSAGE)
    for wait in (1, 2, 4):
        assert processor.process_one()
        clock.advance(wait - 1)
        assert queue.receive(url) is None, "the copy came too early"
        clock.advance(1)
    assert processor.process_one() and not processor.process_one()
    assert processor.delays == [1, 2, 4]
    letter = json.loads(queue.receive(dead)["Body"])
    assert (letter["original_message"], letter["error"], letter["retry_count"]) == (
        MESSAGE["data"],
        "no such product",
        3,
    )


def test_a_batch_is_processed_and_acknowledged_together(queue, url):
    batches = []
    for number in range(25):
        queue.send(url, {"number": number})
    processor = patterns.BatchProcessor(queue, url, batches.append)
    while messages := queue.receive(url, most=10):
        for message in messages:
            processor.add_message(message)
    assert [sorted(one["number"] for one in batch) for batch in batches] == [list(range(25))]
    names = ["ApproximateNumberOfMessagesNotVisible"]
    assert queue.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"] == {names[0]: "0"}


def test_a_circuit_breaker_stores_for_later_what_it_does_not_try(queue, url):
    tried = []

    def fail(body):
        tried.append(body["number"])
        raise ValueError("the database is away")

    backup = queue.create_queue("backup")
    processor = patterns.CircuitBreakingProcessor(queue, url, backup, fail)
    for number in range(8):
        queue.send(url, {"number": number})
        processor.process_one()
    assert (tried, queue.get_queue_depth(backup), queue.get_queue_depth(url)) == ([0, 1, 2, 3, 4], 8, 0)


def test_health_and_metrics_are_read_from_the_queues(queue, url, prefix):
    payments = queue.create_queue("payment-processing")
    checker = patterns.QueueHealthChecker(queue, [url, payments], threshold=2)
    assert checker.check_health()["status"] == "healthy"
    for _ in range(3):
        sent = queue.send(url, MESSAGE)
    health = checker.check_health()
    assert health["status"] == "degraded"
    assert health["checks"][prefix + "order-processing-queue"] == "warning: 3 messages"
    # A consumer's lag: how long ago what it receives was sent.
    messages = queue.receive(url, most=10)
    sending = {message["MessageId"]: int(message["Attributes"]["SentTimestamp"]) for message in messages}
    assert sending[sent] > 0 and len(sending) == 3
    queue.delete_queue(payments)
    health = checker.check_health()
    assert health["status"] == "unhealthy" and "NonExistentQueue" in health["checks"][prefix + "payment-processing"]
