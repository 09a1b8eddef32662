"""What an HTTP server gets: headers, bodies, raw deliveries, signatures; and that deliveries do not wait for others."""

import pytest

from sns.signatures import verify
from sns.support import string


def test_a_notification_has_these_headers_and_keys(topic, receiver, http_subscription):  # §7
    subscription = http_subscription(topic)
    sent = topic.publish("hello", Subject="s", MessageAttributes={"a": string("x")})
    request = receiver.next()
    assert request.method == "POST"
    assert request.headers["x-amz-sns-message-type"] == "Notification"
    assert request.headers["x-amz-sns-message-id"] == sent["MessageId"]
    assert request.headers["x-amz-sns-topic-arn"] == topic.arn
    assert request.headers["x-amz-sns-subscription-arn"] == subscription.arn
    assert "x-amz-sns-rawdelivery" not in request.headers
    assert request.headers["content-type"] == "text/plain; charset=UTF-8"
    assert request.headers["user-agent"] == "Amazon Simple Notification Service Agent"
    assert request.headers["accept-encoding"] == "gzip,deflate"
    found = request.json()
    assert list(found) == [
        "Type",
        "MessageId",
        "TopicArn",
        "Subject",
        "Message",
        "Timestamp",
        "SignatureVersion",
        "Signature",
        "SigningCertURL",
        "UnsubscribeURL",
        "MessageAttributes",
    ]
    assert found["MessageId"] == sent["MessageId"]
    assert found["MessageAttributes"] == {"a": {"Type": "String", "Value": "x"}}


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_notification_is_signed(create, receiver, http_subscription, version):  # §8
    topic = create(SignatureVersion=version)
    http_subscription(topic)
    topic.publish("Grüße 😀\n\"x\"", Subject="with a subject")
    verify(receiver.next("Notification").json(), version)
    topic.publish("without")
    verify(receiver.next("Notification").json(), version)


def test_the_signature_may_change_with_the_topic(topic, receiver, http_subscription):  # §3, §8
    http_subscription(topic)
    topic.set("SignatureVersion", "2")
    topic.publish()
    verify(receiver.next("Notification").json(), "2")


def test_a_raw_delivery_is_the_message_alone(topic, receiver, http_subscription):  # §7
    http_subscription(topic, RawMessageDelivery=True)
    sent = topic.publish("Grüße", Subject="s", MessageAttributes={"secret": string("not told")})
    request = receiver.next("Notification")
    assert request.text == "Grüße"
    assert request.headers["x-amz-sns-rawdelivery"] == "true"
    assert request.headers["x-amz-sns-message-id"] == sent["MessageId"]
    assert "not told" not in str(request.headers)


def test_the_content_type_is_that_of_the_subscription(topic, receiver, http_subscription):  # §7
    http_subscription(topic, DeliveryPolicy={"requestPolicy": {"headerContentType": "application/json"}})
    topic.publish()
    assert receiver.next("Notification").headers["content-type"] == "application/json"


def test_the_content_type_of_the_topic_is_the_default(topic, create_receiver, http_subscription):  # §7
    topic.set("DeliveryPolicy", '{"http":{"defaultRequestPolicy":{"headerContentType":"text/html"}}}')
    plain, special = create_receiver(), create_receiver()
    http_subscription(topic, plain)
    own = {"requestPolicy": {"headerContentType": "application/xml"}}
    http_subscription(topic, special, DeliveryPolicy=own, RawMessageDelivery=True)
    topic.publish()
    assert plain.next("Notification").headers["content-type"] == "text/html"
    assert special.next("Notification").headers["content-type"] == "application/xml"


def test_filters_hold_for_servers_too(topic, receiver, http_subscription):  # §11
    http_subscription(topic, FilterPolicy={"a": ["x"]})
    topic.publish("no", MessageAttributes={"a": string("y")})
    topic.publish("yes", MessageAttributes={"a": string("x")})
    assert receiver.next("Notification").json()["Message"] == "yes"


def test_a_large_message_arrives_whole(topic, receiver, http_subscription):
    http_subscription(topic, RawMessageDelivery=True)
    body = "".join(chr(ord("a") + n % 26) for n in range(262144))
    topic.publish(body)
    assert receiver.next("Notification").text == body


def test_a_link_with_query_and_path_is_called_as_it_is(topic, receiver):
    url = receiver.url.replace("/hook", "/a%20path/x;y?token=1&b=%26")
    topic.subscribe("http", url)
    assert receiver.confirm().path == "/a%20path/x;y?token=1&b=%26"
    topic.publish()
    assert receiver.next("Notification").path == "/a%20path/x;y?token=1&b=%26"


def test_a_server_that_does_not_answer_hinders_no_other(topic, create_receiver, http_subscription):
    stuck, lively = create_receiver(), create_receiver()
    http_subscription(topic, stuck)
    http_subscription(topic, lively)
    stuck.answer(always=None)
    for n in range(20):
        topic.publish(f"m{n}")
    assert sorted(lively.next("Notification").json()["Message"] for _ in range(20)) == sorted(
        f"m{n}" for n in range(20)
    )


def test_many_messages_all_arrive_once(topic, receiver, http_subscription):
    http_subscription(topic, RawMessageDelivery=True)
    for start in range(0, 100, 10):
        topic.publish_batch(*({"Id": str(n), "Message": f"m{n}"} for n in range(start, start + 10)))
    assert sorted(receiver.next("Notification").text for _ in range(100)) == sorted(f"m{n}" for n in range(100))
    assert receiver.silent()
