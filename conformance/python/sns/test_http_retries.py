"""Deliveries to HTTP servers that fail: which are tried again, when, how often, and what becomes of the rest."""

import json

import pytest

from sns.receiver import eventually
from sns.signatures import verify


def policy(**change):
    retries = {
        "minDelayTarget": 20,
        "maxDelayTarget": 20,
        "numRetries": 3,
        "numNoDelayRetries": 0,
        "numMinDelayRetries": 0,
        "numMaxDelayRetries": 0,
        "backoffFunction": "linear",
    }
    return {"healthyRetryPolicy": {**retries, **change}}


def gaps(receiver, clock, count, step=1):
    """The seconds between the next `count` attempts and those before them."""
    found = []
    for _ in range(count):
        passed, request = receiver.seconds_until_next(clock, step)
        assert request.kind == "Notification"
        found.append(passed)
    return found


def ends(receiver, clock, seconds=4000):
    """Nothing comes any more, however long one waits."""
    assert receiver.silent()
    clock.advance(seconds)
    assert receiver.silent()


@pytest.fixture
def dead(create_queue):
    return create_queue("dead")


@pytest.fixture
def failing(topic, receiver, http_subscription, dead):
    """A function that subscribes a server with dead letters, which from then on answers with a status."""

    def subscribe(status=500, **attributes):
        subscription = http_subscription(topic, RedrivePolicy={"deadLetterTargetArn": dead.arn}, **attributes)
        receiver.answer(always=status)
        return subscription

    return subscribe


def test_three_retries_twenty_seconds_apart_are_the_default(topic, receiver, failing, dead, clock):  # §9
    failing(500)
    sent = topic.publish("hello")
    first = receiver.next("Notification")
    for passed, request in (receiver.seconds_until_next(clock) for _ in range(3)):
        assert 20 <= passed <= 25
        assert request.headers["x-amz-sns-message-id"] == sent["MessageId"]
        assert request.body == first.body
    got = eventually(lambda: dead.receive())[0]
    assert got["Body"] == first.text
    verify(json.loads(got["Body"]))
    ends(receiver, clock)


@pytest.mark.parametrize("status", [500, 502, 503, 599, 429])
def test_servers_errors_are_tried_again(topic, receiver, failing, clock, status):  # §9
    failing()
    receiver.answer(status, always=200)
    topic.publish()
    receiver.next("Notification")
    assert gaps(receiver, clock, 1)[0] >= 20
    ends(receiver, clock)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 499])
def test_clients_errors_are_final(topic, receiver, failing, dead, clock, status):  # §9, §14.7
    failing(status)
    topic.publish("hello")
    request = receiver.next("Notification")
    got = eventually(lambda: dead.receive())[0]
    assert got["Body"] == request.text
    ends(receiver, clock)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_these_are_successes(topic, receiver, failing, dead, clock, status):  # §9
    failing(status)
    topic.publish()
    receiver.next("Notification")
    ends(receiver, clock)
    assert dead.receive() == []


def test_a_server_that_is_not_there_is_tried_again(topic, dead, create_receiver, http_subscription, clock):  # §9
    down = create_receiver()
    http_subscription(topic, down, RedrivePolicy={"deadLetterTargetArn": dead.arn}, RawMessageDelivery=True)
    down.__exit__()
    topic.publish("nobody there")
    assert dead.receive() == []
    eventually(lambda: dead.bodies() == ["nobody there"], clock=clock, step=5)


def test_a_success_ends_the_retries(topic, receiver, failing, dead, clock):  # §9
    failing()
    receiver.answer(500, 500, always=200)
    topic.publish()
    receiver.next("Notification")
    gaps(receiver, clock, 2)
    ends(receiver, clock)
    assert dead.receive() == []


def test_a_raw_delivery_that_fails_is_a_raw_dead_letter(topic, receiver, failing, dead):  # §9
    failing(404, RawMessageDelivery=True)
    topic.publish("hello")
    receiver.next("Notification")
    assert eventually(lambda: dead.bodies()) == ["hello"]


def test_no_retries_are_a_choice(topic, receiver, failing, dead, clock):  # §9
    failing(500, DeliveryPolicy=policy(numRetries=0))
    topic.publish()
    receiver.next("Notification")
    eventually(lambda: dead.receive())
    ends(receiver, clock)


def test_the_four_phases_follow_each_other(topic, receiver, failing, dead, clock):  # §9
    failing(
        500,
        DeliveryPolicy=policy(
            minDelayTarget=5,
            maxDelayTarget=20,
            numRetries=7,
            numNoDelayRetries=2,
            numMinDelayRetries=1,
            numMaxDelayRetries=2,
        ),
    )
    topic.publish()
    receiver.next("Notification")
    found = gaps(receiver, clock, 7)
    assert found[0] <= 1 and found[1] <= 1  # at once
    assert 5 <= found[2] <= 9  # the least delay
    assert 5 <= found[3] <= found[4] + 2 <= 26  # growing
    assert 20 <= found[5] <= 25 and 20 <= found[6] <= 25  # the longest delay
    eventually(lambda: dead.receive())
    ends(receiver, clock)


@pytest.mark.parametrize("function", ["linear", "arithmetic", "geometric", "exponential"])
def test_delays_grow_from_the_least_to_the_longest(topic, receiver, failing, clock, function):  # §9
    failing(500, DeliveryPolicy=policy(minDelayTarget=2, maxDelayTarget=30, numRetries=5, backoffFunction=function))
    topic.publish()
    receiver.next("Notification")
    found = gaps(receiver, clock, 5)
    assert all(2 <= gap <= 36 for gap in found), found
    assert found[0] < 15 < found[-1], found
    assert all(later >= earlier - 3 for earlier, later in zip(found, found[1:])), found


def test_a_topics_policy_holds_for_its_subscriptions(topic, receiver, failing, dead, clock):  # §9
    once = policy(numRetries=1)["healthyRetryPolicy"]
    topic.set("DeliveryPolicy", json.dumps({"http": {"defaultHealthyRetryPolicy": once}}))
    failing(500)
    topic.publish()
    receiver.next("Notification")
    gaps(receiver, clock, 1)
    eventually(lambda: dead.receive())
    ends(receiver, clock)


def test_a_topic_may_forbid_policies_of_subscriptions(topic, receiver, failing, dead, clock):  # §9
    never = {"defaultHealthyRetryPolicy": policy(numRetries=0)["healthyRetryPolicy"]}
    topic.set("DeliveryPolicy", json.dumps({"http": {**never, "disableSubscriptionOverrides": True}}))
    failing(500, DeliveryPolicy=policy(numRetries=5))
    topic.publish()
    receiver.next("Notification")
    eventually(lambda: dead.receive())
    ends(receiver, clock)


def test_messages_that_fail_do_not_hold_up_those_that_follow(topic, receiver, failing, clock):  # §9
    failing()
    receiver.answer(500, always=200)
    topic.publish("first")
    assert receiver.next("Notification").json()["Message"] == "first"
    topic.publish("second")
    assert receiver.next("Notification").json()["Message"] == "second"
    _, again = receiver.seconds_until_next(clock)
    assert again.json()["Message"] == "first"


def test_a_failing_server_costs_the_others_nothing(topic, queue, receiver, failing, clock):  # §9
    topic.subscribe_queue(queue)
    failing(500)
    topic.publish()
    queue.delete(queue.one())
    receiver.next("Notification")
    gaps(receiver, clock, 3)
    assert queue.receive(10) == []


def test_redirects_are_not_followed(topic, receiver, failing, create_receiver):  # §9
    elsewhere = create_receiver()
    failing()
    receiver.answer(always=302, headers={"Location": elsewhere.url})
    topic.publish()
    receiver.next("Notification")
    assert elsewhere.silent()


@pytest.mark.slow
def test_a_server_that_answers_too_late_is_tried_again(topic, receiver, failing, clock):  # §9
    failing(200)
    receiver.answer(None)
    topic.publish("slow")
    receiver.next("Notification")
    # Fifteen seconds for an answer, by whichever clock, then twenty until the next attempt.
    eventually(lambda: receiver.arrived.qsize(), seconds=40, clock=clock)
    assert receiver.next("Notification").json()["Message"] == "slow"


def test_a_throttled_subscription_gets_so_many_a_second(topic, receiver, failing, clock):  # §9
    failing(200, DeliveryPolicy={"throttlePolicy": {"maxReceivesPerSecond": 2}})
    for n in range(6):
        topic.publish(f"m{n}")
    got = 0
    for _ in range(8):
        now = 0
        while not receiver.silent(0.1):
            now += 1
        assert now <= 4, "more than were allowed came within a second"
        got += now
        clock.advance(1)
    assert got == 6
