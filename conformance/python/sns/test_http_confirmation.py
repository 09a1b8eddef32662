"""Subscriptions of HTTP servers: how they are asked to confirm, confirm, and are told of their end."""

import json
import urllib.parse

import pytest

from sns.receiver import eventually, visit
from sns.signatures import verify
from sns.support import TIMESTAMP
from sqs.support import refused

TWO_DAYS = 48 * 3600


def test_a_server_is_asked_to_confirm(topic, receiver):  # §7
    topic.subscribe("http", receiver.url)
    request = receiver.next("SubscriptionConfirmation")
    assert request.method == "POST" and request.path == "/hook"
    found = request.json()
    assert list(found) == [
        "Type",
        "MessageId",
        "Token",
        "TopicArn",
        "Message",
        "SubscribeURL",
        "Timestamp",
        "SignatureVersion",
        "Signature",
        "SigningCertURL",
    ]
    assert found["Type"] == "SubscriptionConfirmation"
    assert found["TopicArn"] == topic.arn
    assert found["Message"] == (
        f"You have chosen to subscribe to the topic {topic.arn}.\n"
        "To confirm the subscription, visit the SubscribeURL included in this message."
    )
    assert TIMESTAMP.fullmatch(found["Timestamp"])


def test_the_request_has_these_headers(topic, receiver):  # §7
    topic.subscribe("http", receiver.url)
    request = receiver.next()
    found = request.json()
    assert request.headers["x-amz-sns-message-type"] == "SubscriptionConfirmation"
    assert request.headers["x-amz-sns-message-id"] == found["MessageId"]
    assert request.headers["x-amz-sns-topic-arn"] == topic.arn
    assert "x-amz-sns-subscription-arn" not in request.headers
    assert request.headers["content-type"] == "text/plain; charset=UTF-8"
    assert request.headers["user-agent"] == "Amazon Simple Notification Service Agent"
    assert request.headers["accept-encoding"] == "gzip,deflate"
    assert request.headers["content-length"] == str(len(request.body))
    assert request.headers["host"] == urllib.parse.urlsplit(receiver.url).netloc


@pytest.mark.parametrize("version", ["1", "2"])
def test_the_request_is_signed(create, receiver, version):  # §8
    create(SignatureVersion=version).subscribe("http", receiver.url)
    found = receiver.next().json()
    verify(found, version)
    with pytest.raises(Exception) as caught:
        verify({**found, "Token": found["Token"] + "0"}, version)
    assert type(caught.value).__name__ == "InvalidSignature"


def test_the_link_says_what_it_does(topic, receiver):  # §7
    topic.subscribe("http", receiver.url)
    found = receiver.next().json()
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(found["SubscribeURL"]).query)
    assert query == {"Action": ["ConfirmSubscription"], "TopicArn": [topic.arn], "Token": [found["Token"]]}


def test_following_the_link_confirms(topic, receiver):  # §1, §4
    subscription = topic.subscribe("http", receiver.url)
    receiver.confirm()
    found = subscription.attributes()
    assert found["PendingConfirmation"] == "false"
    assert found["ConfirmationWasAuthenticated"] == "false"
    assert topic.counts()[:2] == (1, 0)
    (listed,) = topic.subscriptions()
    assert listed["SubscriptionArn"] == subscription.arn


def test_a_confirmation_by_api_is_repeatable(topic, receiver):  # §2
    subscription = topic.subscribe("http", receiver.url)
    token = receiver.next().json()["Token"]
    for _ in range(2):
        assert topic.confirm_subscription(Token=token)["SubscriptionArn"] == subscription.arn


def test_following_the_link_again_is_no_error(topic, receiver):  # §2
    topic.subscribe("http", receiver.url)
    link = receiver.confirm().json()["SubscribeURL"]
    assert visit(link).status == 200


@pytest.mark.parametrize(
    ("token", "text"), [("randomtoken", "Invalid token"), ("51b2ff3e" * 36, "Invalid parameter: Token")]
)
def test_a_token_that_is_none_is_refused(topic, token, text):  # §4; recorded in October 2025
    with refused("InvalidParameter", 400, text):
        topic.confirm_subscription(Token=token)


def test_a_token_of_nobody_is_refused(topic, receiver):  # §4
    topic.subscribe("http", receiver.url)
    token = receiver.next().json()["Token"]
    changed = token[:-8] + "".join("0" if c != "0" else "1" for c in token[-8:])
    with pytest.raises(topic.sns.exceptions.ClientError) as caught:
        topic.confirm_subscription(Token=changed)
    assert caught.value.response["Error"]["Code"] == "InvalidParameter"
    assert caught.value.response["Error"]["Message"] == "Invalid parameter: Token"


def test_a_token_is_of_one_topic(topic, create, receiver):  # §4
    topic.subscribe("http", receiver.url)
    token = receiver.next().json()["Token"]
    with refused("InvalidParameter", 400):
        create().confirm_subscription(Token=token)


def test_a_topic_of_another_region_is_refused(topic, receiver, other_region):  # §4
    topic.subscribe("http", receiver.url)
    token = receiver.next().json()["Token"]
    with refused("InvalidParameter", 400, "Invalid parameter: Topic"):
        other_region[0].confirm_subscription(TopicArn=topic.arn, Token=token)


def test_nothing_is_delivered_before_it_is_confirmed(topic, receiver):  # §4
    topic.subscribe("http", receiver.url)
    request = receiver.next("SubscriptionConfirmation")
    topic.publish("too early")
    assert receiver.silent()
    visit(request.json()["SubscribeURL"])
    topic.publish("in time")
    assert receiver.next("Notification").json()["Message"] == "in time"


def test_subscribing_again_asks_again(topic, receiver):  # §4
    subscription = topic.subscribe("http", receiver.url)
    receiver.next("SubscriptionConfirmation")
    assert topic.subscribe("http", receiver.url).arn == subscription.arn
    receiver.confirm()
    assert subscription.attribute("PendingConfirmation") == "false"
    assert len(topic.subscriptions()) == 1


def test_a_request_to_confirm_is_plain_text_whatever_was_asked_for(topic, receiver):  # §7
    policy = {"requestPolicy": {"headerContentType": "application/json"}}
    topic.subscribe("http", receiver.url, RawMessageDelivery=True, DeliveryPolicy=policy)
    request = receiver.next("SubscriptionConfirmation")
    assert request.headers["content-type"] == "text/plain; charset=UTF-8"
    assert "x-amz-sns-rawdelivery" not in request.headers
    assert request.json()["Type"] == "SubscriptionConfirmation"


def test_a_token_is_good_for_two_days(topic, receiver, clock):  # §2
    subscription = topic.subscribe("http", receiver.url)
    token = receiver.next().json()["Token"]
    clock.advance(TWO_DAYS - 60)
    assert topic.confirm_subscription(Token=token)["SubscriptionArn"] == subscription.arn


def test_a_subscription_that_is_not_confirmed_is_gone_after_two_days(topic, receiver, clock):  # §4
    subscription = topic.subscribe("http", receiver.url)
    token = receiver.next().json()["Token"]
    clock.advance(TWO_DAYS + 60)
    with refused("NotFound", 404, "Subscription does not exist"):
        subscription.attributes()
    assert topic.subscriptions() == []
    with refused("InvalidParameter", 400):
        topic.confirm_subscription(Token=token)


def test_who_must_sign_to_unsubscribe_cannot_do_it_by_link(topic, receiver):  # §2
    subscription = topic.subscribe("http", receiver.url)
    token = receiver.next().json()["Token"]
    topic.confirm_subscription(Token=token, AuthenticateOnUnsubscribe="true")
    assert subscription.attribute("ConfirmationWasAuthenticated") == "true"
    topic.publish()
    assert visit(receiver.next("Notification").json()["UnsubscribeURL"]).status == 403
    assert len(topic.subscriptions()) == 1
    subscription.unsubscribe()
    assert topic.subscriptions() == []


def test_following_the_link_in_a_notification_ends_the_subscription(topic, receiver, http_subscription):  # §1
    subscription = http_subscription(topic)
    topic.publish()
    assert visit(receiver.next("Notification").json()["UnsubscribeURL"]).status == 200
    assert topic.subscriptions() == []
    request = receiver.next("UnsubscribeConfirmation")
    found = request.json()
    assert found["Message"] == (
        f"You have chosen to deactivate subscription {subscription.arn}.\n"
        "To cancel this operation and restore the subscription, visit the SubscribeURL included in this message."
    )
    assert found["TopicArn"] == topic.arn and found["Token"] in found["SubscribeURL"]
    verify(found)
    topic.publish()
    assert receiver.silent()


def test_who_ended_a_subscription_may_take_it_back(topic, receiver, http_subscription):  # §7
    http_subscription(topic)
    topic.publish()
    assert visit(receiver.next("Notification").json()["UnsubscribeURL"]).status == 200
    assert visit(receiver.next("UnsubscribeConfirmation").json()["SubscribeURL"]).status == 200
    topic.publish("back")
    assert receiver.next("Notification").json()["Message"] == "back"


def test_a_server_that_is_down_is_asked_to_confirm_again(topic, receiver, clock):  # §9
    receiver.answer(500)
    topic.subscribe("http", receiver.url)
    receiver.next("SubscriptionConfirmation")
    _, request = receiver.seconds_until_next(clock)
    assert request.kind == "SubscriptionConfirmation"


# E-mail, where the endpoint has no mail server.


@pytest.mark.parametrize("protocol", ["email", "email-json"])
def test_an_address_confirms_by_the_link_in_its_mail(topic, outbox, protocol):  # §4
    address = f"{topic.name}@example.com"
    subscription = topic.subscribe(protocol, address)
    token = outbox.token(address)
    assert topic.confirm_subscription(Token=token)["SubscriptionArn"] == subscription.arn
    topic.publish(f"news of {topic.name}", Subject="the subject")
    outbox.one_about(address, f"news of {topic.name}", "the subject")


def test_a_mail_of_json_is_an_envelope(topic, outbox):  # §7
    address = f"{topic.name}@example.com"
    topic.subscribe("email-json", address)
    topic.confirm_subscription(Token=outbox.token(address))
    sent = topic.publish("in json")
    entry = outbox.one_about(address, sent["MessageId"], "Notification")
    assert "in json" in json.dumps(entry)


def test_the_outbox_can_be_emptied(topic, outbox):
    topic.subscribe("email", f"{topic.name}@example.com")
    eventually(lambda: outbox.all_about(topic.name))
    outbox.clear()
    assert outbox.entries() == []
