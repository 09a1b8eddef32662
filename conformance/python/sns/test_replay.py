"""Archives of FIFO topics, and replays of them."""

import datetime
import json
import urllib.request

import pytest

from sns.receiver import eventually
from sqs.support import refused

DAY = 86400
ARCHIVE = json.dumps({"MessageRetentionPeriod": "30"})


@pytest.fixture
def archived(create):
    return create("a", fifo=True, ContentBasedDeduplication="true", ArchivePolicy=ARCHIVE)


@pytest.fixture
def now(clock):
    """A function that tells the endpoint's time, `seconds` from now, as replay policies want it."""
    def tell(seconds=0):
        with urllib.request.urlopen(clock.url, timeout=10) as answer:
            moment = json.load(answer)["now"] / 1000 + seconds
        return datetime.datetime.fromtimestamp(moment, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.") + "000Z"

    return tell


def fill(topic, *words, group="g"):
    for word in words:
        topic.publish(word, MessageGroupId=group)


def replay(start, end=None):
    policy = {"PointType": "Timestamp", "StartingPoint": start}
    return {**policy, "EndingPoint": end} if end else policy


def completed(subscription, clock):
    eventually(lambda: subscription.attribute("ReplayStatus") == "Completed", clock=clock)


def test_an_archive_policy_is_shown_with_its_beginning(archived):  # §3, §10
    assert archived.document("ArchivePolicy") == {"MessageRetentionPeriod": "30"}
    datetime.datetime.fromisoformat(archived.attribute("BeginningArchiveTime"))


def test_an_archive_is_of_fifo_topics(topic):  # §10
    with refused("InvalidParameter", 400):
        topic.set("ArchivePolicy", ARCHIVE)


@pytest.mark.parametrize("days", ["0", "366", "-1", "x", 1.5])
def test_an_archive_keeps_for_a_day_to_a_year(fifo, days):  # §10
    with refused("InvalidParameter", 400):
        fifo.set("ArchivePolicy", json.dumps({"MessageRetentionPeriod": days}))


def test_a_topic_with_an_archive_cannot_be_deleted(archived):  # §10
    with pytest.raises(archived.sns.exceptions.ClientError) as caught:
        archived.delete_topic()
    assert caught.value.response["Error"]["Code"] in ("InvalidState", "InvalidParameter")
    archived.set("ArchivePolicy", "{}")
    assert "ArchivePolicy" not in archived.attributes()
    archived.delete_topic()


def test_what_was_published_before_is_replayed_in_order(archived, create_queue, clock, now):  # §10
    start = now()
    fill(archived, *(f"m{n}" for n in range(5)))
    clock.advance(60)
    queue = create_queue("late", fifo=True)
    subscription = archived.subscribe_queue(queue, ReplayPolicy=replay(start), RawMessageDelivery=True)
    completed(subscription, clock)
    assert queue.bodies() == [f"m{n}" for n in range(5)]


def test_a_replayed_message_is_the_one_that_was_published_and_marked(archived, create_queue, clock, now):  # §7, §10
    early, late = create_queue("early", fifo=True), create_queue("late", fifo=True)
    archived.subscribe_queue(early)
    start = now()
    fill(archived, "hello")
    clock.advance(60)
    subscription = archived.subscribe_queue(late, ReplayPolicy=replay(start))
    completed(subscription, clock)
    first, again = json.loads(early.one()["Body"]), json.loads(late.one()["Body"])
    for key in ("MessageId", "Timestamp", "Message", "SequenceNumber", "TopicArn"):
        assert again[key] == first[key]
    assert "Replayed" in json.dumps(again) and "Replayed" not in json.dumps(first)


def test_new_messages_follow_those_that_are_replayed(archived, create_queue, clock, now):  # §10
    start = now()
    fill(archived, "old 1", "old 2")
    clock.advance(60)
    queue = create_queue("late", fifo=True)
    subscription = archived.subscribe_queue(queue, ReplayPolicy=replay(start), RawMessageDelivery=True)
    completed(subscription, clock)
    fill(archived, "new")
    assert queue.bodies() == ["old 1", "old 2", "new"]


def test_a_window_is_replayed_and_nothing_after_it(archived, create_queue, clock, now):  # §10
    fill(archived, "before")
    clock.advance(60)
    start = now()
    fill(archived, "within")
    clock.advance(60)
    end = now()
    clock.advance(60)
    fill(archived, "after")
    queue = create_queue("late", fifo=True)
    subscription = archived.subscribe_queue(queue, ReplayPolicy=replay(start, end), RawMessageDelivery=True)
    completed(subscription, clock)
    fill(archived, "new")
    assert queue.bodies() == ["within"]


def test_filters_hold_in_a_replay(archived, create_queue, clock, now):  # §10
    start = now()
    fill(archived, '{"n":1}', '{"n":2}', '{"n":3}')
    clock.advance(60)
    queue = create_queue("late", fifo=True)
    subscription = archived.subscribe_queue(
        queue,
        ReplayPolicy=replay(start),
        RawMessageDelivery=True,
        FilterPolicy={"n": [{"numeric": [">", 1]}]},
        FilterPolicyScope="MessageBody",
    )
    completed(subscription, clock)
    assert queue.bodies() == ['{"n":2}', '{"n":3}']


def test_a_subscription_may_ask_for_a_replay_later(archived, create_queue, clock, now):  # §10
    start = now()
    fill(archived, "one")
    clock.advance(60)
    queue = create_queue("q", fifo=True)
    subscription = archived.subscribe_queue(queue, RawMessageDelivery=True)
    assert queue.receive() == []
    subscription.set("ReplayPolicy", replay(start))
    completed(subscription, clock)
    assert queue.bodies() == ["one"]
    assert json.loads(subscription.attribute("ReplayPolicy")) == replay(start)


def test_what_is_older_than_the_archive_is_not_replayed(create, create_queue, clock, now):  # §10
    topic = create(
        fifo=True, ContentBasedDeduplication="true", ArchivePolicy=json.dumps({"MessageRetentionPeriod": "1"})
    )
    start = now()
    fill(topic, "old")
    clock.advance(DAY + 3600)
    fill(topic, "young")
    clock.advance(60)
    queue = create_queue("q", fifo=True)
    beginning = topic.attribute("BeginningArchiveTime")
    assert beginning > start
    subscription = topic.subscribe_queue(queue, ReplayPolicy=replay(beginning), RawMessageDelivery=True)
    completed(subscription, clock)
    assert queue.bodies() == ["young"]


def test_a_replay_replaces_another_that_has_handed_on_nothing(archived, create_queue, clock, now):  # §10
    start = now()
    fill(archived, "one", "two")
    clock.advance(60)
    queue = create_queue("q", fifo=True)
    subscription = archived.subscribe_queue(queue, RawMessageDelivery=True)
    subscription.set("ReplayPolicy", replay(now(), now(3600)))
    assert subscription.attribute("ReplayStatus") == "Pending"
    subscription.set("ReplayPolicy", replay(start, now()))
    clock.advance(1)
    completed(subscription, clock)
    assert queue.bodies() == ["one", "two"]


def test_a_longer_retention_brings_nothing_back_and_a_shorter_one_counts_at_once(create, create_queue, clock, now):
    topic = create(
        fifo=True, ContentBasedDeduplication="true", ArchivePolicy=json.dumps({"MessageRetentionPeriod": "1"})
    )
    start = now()
    fill(topic, "gone")
    clock.advance(DAY + 60)
    topic.set("ArchivePolicy", ARCHIVE)
    fill(topic, "old")
    clock.advance(2 * DAY)
    fill(topic, "young")
    clock.advance(60)
    first, second = create_queue("first", fifo=True), create_queue("second", fifo=True)
    subscription = topic.subscribe_queue(first, ReplayPolicy=replay(start), RawMessageDelivery=True)
    completed(subscription, clock)
    assert first.bodies() == ["old", "young"]
    topic.set("ArchivePolicy", json.dumps({"MessageRetentionPeriod": "1"}))
    subscription = topic.subscribe_queue(second, ReplayPolicy=replay(start), RawMessageDelivery=True)
    completed(subscription, clock)
    assert second.bodies() == ["young"]


@pytest.mark.parametrize(
    "policy",
    [
        "{",
        {"PointType": "Sequence", "StartingPoint": "2024-01-01T00:00:00.000Z"},
        {"PointType": "Timestamp"},
        {"PointType": "Timestamp", "StartingPoint": "yesterday"},
        {
            "PointType": "Timestamp",
            "StartingPoint": "2024-01-02T00:00:00.000Z",
            "EndingPoint": "2024-01-01T00:00:00.000Z",
        },
    ],
)
def test_a_replay_policy_of_wrong_form_is_refused(archived, fifo_queue, policy):  # §10
    with refused("InvalidParameter", 400):
        archived.subscribe_queue(fifo_queue, ReplayPolicy=policy)


def test_a_topic_without_an_archive_has_nothing_to_replay(fifo, fifo_queue, now):  # §10
    with refused("InvalidParameter", 400):
        fifo.subscribe_queue(fifo_queue, ReplayPolicy=replay(now()))
