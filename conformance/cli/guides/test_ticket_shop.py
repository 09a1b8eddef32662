"""The shell script of a guide to a ticket shop's messaging, word for word but for the endpoint's address."""

import json
import pathlib

import pytest

QUEUES = ("payment-events-queue", "payment-events-dlq", "ticket-events-queue", "ticket-events-dlq")
TOPICS = ("payment-events", "ticket-events", "event-management-events")


@pytest.fixture(scope="module")
def set_up(shell):
    """What the script printed."""
    script = pathlib.Path(__file__).with_name("ticket_shop.sh").read_text()
    return shell.run(script.replace("http://localhost:4566", shell.endpoint)).stdout


def test_the_script_makes_the_shops_queues_and_topics(shell, set_up):
    for queue in QUEUES:
        assert f"{shell.endpoint}/000000000000/{queue}" in set_up
    for topic in TOPICS:
        assert f"arn:aws:sns:us-east-1:000000000000:{topic}" in set_up
    url = f"{shell.endpoint}/000000000000/payment-events-queue"
    shown = shell.aws(f"get-queue-attributes --queue-url {url} --attribute-names RedrivePolicy")
    policy = json.loads(shown["Attributes"]["RedrivePolicy"])
    assert policy["deadLetterTargetArn"] == "arn:aws:sqs:us-east-1:000000000000:payment-events-dlq"
    assert int(policy["maxReceiveCount"]) == 3


def test_a_payment_that_fails_three_times_is_found_among_the_dead_letters_and_requeued(shell, set_up):
    url, dead_letters = (f"{shell.endpoint}/000000000000/payment-events-{kind}" for kind in ("queue", "dlq"))
    event = json.dumps({"eventType": "PAYMENT_COMPLETED", "orderId": "uuid", "userId": "uuid", "amount": 100.00})
    sent = shell.aws(f"send-message --queue-url {url} --message-body '{event}'")
    for _ in range(3):
        answer = shell.aws(f"receive-message --queue-url {url} --visibility-timeout 0")
        assert answer["Messages"][0]["Body"] == event
    assert shell.aws(f"receive-message --queue-url {url} --visibility-timeout 0") is None

    # With all that the guide logs of a dead letter: its id, its receive count, when it was sent, and what it says.
    (dead,) = shell.aws(f"receive-message --queue-url {dead_letters} --visibility-timeout 0 --attribute-names All")[
        "Messages"
    ]
    assert (dead["MessageId"], dead["Body"]) == (sent["MessageId"], event)
    assert int(dead["Attributes"]["ApproximateReceiveCount"]) >= 3
    assert int(dead["Attributes"]["SentTimestamp"]) > 0
    assert dead["Attributes"]["DeadLetterQueueSourceArn"] == "arn:aws:sqs:us-east-1:000000000000:payment-events-queue"
    # Its operators then requeue what they have mended.
    shell.aws("start-message-move-task --source-arn arn:aws:sqs:us-east-1:000000000000:payment-events-dlq")
