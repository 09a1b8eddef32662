"""An exercise in order processing works as its text says, task by task."""

import json
import time

import pytest
from sns.support import ACCOUNT, REGION

from guides.orders import (
    DeadLetterQueueProcessor,
    InventoryMessageConsumer,
    OrderMessageProducer,
    OrderNotificationTopics,
    OrderProcessingQueues,
    PaymentMessageConsumer,
)


@pytest.fixture
def queues(prefix):
    return OrderProcessingQueues(prefix).create_all_queues()


@pytest.fixture
def topics(prefix):
    made = OrderNotificationTopics(prefix)
    made.create_notification_topics()
    return made


@pytest.fixture
def attributes(sqs):
    return lambda url: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]


@pytest.fixture
def bodies(sqs):
    def received(url):
        found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]).get(
            "Messages", []
        )
        return [json.loads(message["Body"]) for message in found]

    return received


def order(order_id, customer="c-1", price=29.99, quantity=2, **more):
    items = [{"productId": "prod_456", "quantity": quantity, "price": price}]
    return {"orderId": order_id, "customerId": customer, "items": items, "totalAmount": price * quantity, **more}


def dead_letters_of(sqs, url):
    policy = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])["Attributes"]["RedrivePolicy"]
    return sqs.get_queue_url(QueueName=json.loads(policy)["deadLetterTargetArn"].rsplit(":", 1)[1])["QueueUrl"]


@pytest.mark.parametrize(
    "queue, receives, expected",
    [
        (
            "orders",
            3,
            {"VisibilityTimeout": "300", "MessageRetentionPeriod": "1209600", "ReceiveMessageWaitTimeSeconds": "20"},
        ),
        (
            "priority_orders",
            3,
            {
                "VisibilityTimeout": "120",
                "ContentBasedDeduplication": "true",
                "FifoThroughputLimit": "perMessageGroupId",
            },
        ),
        ("payments", 5, {"VisibilityTimeout": "600", "ReceiveMessageWaitTimeSeconds": "20"}),
        (
            "inventory",
            3,
            {"FifoQueue": "true", "ContentBasedDeduplication": "false", "DeduplicationScope": "messageGroup"},
        ),
        ("notifications", 2, {"VisibilityTimeout": "60"}),
    ],
)
def test_each_queue_has_its_settings_and_its_dead_letter_queue(sqs, queues, attributes, queue, receives, expected):
    found = attributes(queues[queue])
    assert {name: found[name] for name in expected} == expected
    assert json.loads(found["RedrivePolicy"])["maxReceiveCount"] == receives
    assert attributes(dead_letters_of(sqs, queues[queue]))["MessageRetentionPeriod"] == "1209600"


def test_the_order_status_topic_reaches_mail_texts_queues_and_functions(
    queues, topics, attributes, bodies, outbox, prefix
):
    arn = topics.topics["order_status"]
    function = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{prefix}audit"
    subscriptions = topics.setup_topic_subscriptions(
        arn,
        [
            ("email", f"{prefix}customer@example.com", None),
            ("sms", "+12065550100", {"priority": ["high"]}),
            ("sqs", attributes(queues["orders"])["QueueArn"], {"eventType": ["ORDER_CREATED"]}),
            ("lambda", function, None),
        ],
    )
    assert len(set(subscriptions)) == 4
    # Whoever has the address must agree first.
    assert (
        topics.sns.get_subscription_attributes(SubscriptionArn=subscriptions[0])["Attributes"]["PendingConfirmation"]
        == "true"
    )

    topics.publish_order_event(arn, {"eventType": "ORDER_CREATED", "orderId": prefix + "1", "priority": "high"})
    topics.publish_order_event(arn, {"eventType": "ORDER_SHIPPED", "orderId": prefix + "1", "priority": "normal"})
    (envelope,) = bodies(queues["orders"])
    assert json.loads(envelope["Message"])["eventType"] == "ORDER_CREATED"
    assert envelope["MessageAttributes"]["eventType"] == {"Type": "String", "Value": "ORDER_CREATED"}
    if outbox:
        outbox.one_about(f"{prefix}customer@example.com")
        outbox.one_about("+12065550100", prefix + "1")
        outbox.one_about(function, prefix + "1", "ORDER_SHIPPED")


def test_new_orders_are_validated_routed_announced_and_confirmed(queues, topics, attributes, bodies):
    arn = attributes(queues["payments"])["QueueArn"]
    topics.setup_topic_subscriptions(topics.topics["order_status"], [("sqs", arn, None)])
    producer = OrderMessageProducer(queues, topics)
    assert producer.process_new_order(order("o-1"))["success"]
    assert producer.process_new_order(order("o-2", priority="high"))["success"]
    for wrong in (order("o-3", quantity=0), {**order("o-4"), "totalAmount": 1}, {"orderId": "o-5"}):
        assert producer.process_new_order(wrong) == {"success": False, "error": "Invalid order data"}

    assert bodies(queues["orders"]) == [order("o-1")]
    assert bodies(queues["priority_orders"]) == [order("o-2", priority="high")]
    assert sorted(note["orderId"] for note in bodies(queues["notifications"])) == ["o-1", "o-2"]
    assert sorted(json.loads(told["Message"])["orderId"] for told in bodies(queues["payments"])) == ["o-1", "o-2"]


def test_many_orders_are_sent_in_batches(queues, topics, sqs):
    producer = OrderMessageProducer(queues, topics)
    sent = producer.send_order_messages(queues["orders"], [order(f"o-{n}") for n in range(25)])
    assert len(set(sent)) == 25
    received = []
    while found := sqs.receive_message(QueueUrl=queues["orders"], MaxNumberOfMessages=10, WaitTimeSeconds=0).get(
        "Messages"
    ):
        received += [message["MessageId"] for message in found]
    assert sorted(received) == sorted(sent)


def test_payments_are_charged_once_declined_for_good_or_tried_again(queues, topics, sqs, attributes, bodies, waiting):
    """The one that is busy comes again until its queue makes a dead letter of it."""
    outcomes = {"o-1": "paid", "o-2": "declined", "o-3": "busy"}
    charged = []

    def gateway(order_data):
        charged.append(order_data["orderId"])
        return outcomes[order_data["orderId"]]

    heard = OrderProcessingQueues(topics.prefix + "heard-").create_notification_queue()
    topics.setup_topic_subscriptions(
        topics.topics["payment_notifications"], [("sqs", attributes(heard)["QueueArn"], None)]
    )
    for order_id in outcomes:
        body = json.dumps(order(order_id))
        sqs.send_message(QueueUrl=queues["payments"], MessageBody=body)
    dead = dead_letters_of(sqs, queues["payments"])
    consumer = PaymentMessageConsumer(queues["payments"], dead, topics, gateway)
    waiting(consumer.start_processing)
    assert sorted(charged) == ["o-1", "o-2"] + 5 * ["o-3"]
    told = [json.loads(envelope["Message"]) for envelope in bodies(heard)]
    assert sorted((event["orderId"], event["eventType"]) for event in told) == [
        ("o-1", "PAYMENT_COMPLETED"),
        ("o-2", "PAYMENT_FAILED"),
    ]

    monitor = DeadLetterQueueProcessor({"payments": dead})
    waiting(monitor.monitor_dead_letter_queues)
    assert monitor.failure_counts() == {("payments", "declined"): 1, ("payments", "attempts exhausted"): 1}
    found = {json.loads(entry["body"])["orderId"]: entry["retry"] for entry in monitor.archive}
    assert found == {"o-2": False, "o-3": True}


def test_what_fails_too_often_is_analysed_among_the_dead_letters(queues, sqs, waiting):
    sqs.send_message(QueueUrl=queues["notifications"], MessageBody="dear customer")
    for _ in range(2):
        (message,) = sqs.receive_message(QueueUrl=queues["notifications"], VisibilityTimeout=0)["Messages"]
    assert "Messages" not in sqs.receive_message(QueueUrl=queues["notifications"], VisibilityTimeout=0)
    monitor = DeadLetterQueueProcessor({name: dead_letters_of(sqs, url) for name, url in queues.items()})
    waiting(monitor.monitor_dead_letter_queues)
    assert monitor.failure_counts() == {("notifications", "attempts exhausted"): 1}
    assert monitor.archive[0]["retry"] and monitor.archive[0]["receives"] >= 2


def test_stock_is_updated_in_order_once_and_reserved_whole(queues, sqs):
    for number in range(1, 4):
        for product in ("a", "b"):
            update = json.dumps({"productId": product, "number": number, "change": 10})
            for _ in range(2):  # the second is the same update, and is dropped
                sqs.send_message(
                    QueueUrl=queues["inventory"],
                    MessageBody=update,
                    MessageGroupId=product,
                    MessageDeduplicationId=f"{product}-{number}",
                )
    inventory = InventoryMessageConsumer(queues["inventory"], {})
    inventory.process_available()
    assert inventory.stock == {"a": 30, "b": 30}
    for product in ("a", "b"):
        assert [number for of, number in inventory.seen if of == product] == [1, 2, 3]
    items = [{"productId": "a", "quantity": 25}, {"productId": "b", "quantity": 31}]
    assert not inventory.reserve_inventory("o-1", items) and inventory.stock == {"a": 30, "b": 30}
    assert inventory.reserve_inventory("o-2", items[:1]) and inventory.stock["a"] == 5
    inventory.release_expired(time.time() + 3_600)
    assert inventory.stock["a"] == 30
