"""How messages end without being deleted: by a purge, or by their age."""

from sqs.support import refused


def test_a_purge_removes_visible_hidden_and_delayed_messages(clock, queue):  # §2
    queue.send("in flight")
    queue.one()
    queue.send("visible")
    queue.send("delayed", DelaySeconds=10)
    queue.purge_queue()
    assert queue.counts() == (0, 0, 0)
    clock.advance(60)
    assert queue.bodies() == []


def test_a_purged_queue_takes_new_messages(clock, queue):  # §2
    queue.send("old")
    queue.purge_queue()
    clock.advance(61)
    queue.send("new")
    assert queue.bodies() == ["new"]


def test_a_purge_unlocks_fifo_groups(fifo):  # §2, §7
    fifo.send("held", MessageGroupId="g")
    fifo.one()
    fifo.purge_queue()
    fifo.send("next", MessageGroupId="g")
    assert fifo.bodies() == ["next"]


def test_the_handle_of_a_purged_message_is_harmless(queue):  # §6
    queue.send()
    message = queue.one()
    queue.purge_queue()
    queue.delete(message)


def test_a_second_purge_within_a_minute_is_refused_where_limits_are_strict(strict_create):  # §2, §11, §16.4
    queue = strict_create()
    queue.purge_queue()
    text = f"Only one PurgeQueue operation on {queue.name} is allowed every 60 seconds."
    with refused("AWS.SimpleQueueService.PurgeQueueInProgress", 403, text):
        queue.purge_queue()


def test_a_queue_cannot_be_created_again_within_a_minute_where_limits_are_strict(strict_sqs, strict_create):  # §2, §11
    queue = strict_create()
    queue.delete_queue()
    text = "You must wait 60 seconds after deleting a queue before you can create another with the same name."
    with refused("AWS.SimpleQueueService.QueueDeletedRecently", 400, text):
        strict_sqs.create_queue(QueueName=queue.name)


def test_both_are_allowed_again_after_a_minute(strict_sqs, strict_create, strict_endpoint):  # §2
    from endpoint import Clock

    purged, deleted = strict_create(), strict_create()
    purged.purge_queue()
    deleted.delete_queue()
    Clock(strict_endpoint).advance(61)
    purged.purge_queue()
    strict_sqs.create_queue(QueueName=deleted.name)


def test_messages_are_kept_for_four_days_by_default(clock, queue):  # §3
    queue.send()
    clock.advance(4 * 86400 - 60)
    queue.one(VisibilityTimeout=0)
    clock.advance(61)
    assert queue.bodies() == []
    assert queue.counts() == (0, 0, 0)


def test_messages_are_kept_for_fourteen_days_at_most(clock, create):  # §3
    queue = create(MessageRetentionPeriod=1209600)
    queue.send()
    clock.advance(1209600 - 60)
    queue.one(VisibilityTimeout=0)
    clock.advance(61)
    assert queue.bodies() == []


def test_messages_are_kept_for_one_minute_at_least(clock, create):  # §3
    queue = create(MessageRetentionPeriod=60)
    queue.send("old")
    clock.advance(40)
    queue.send("young")
    clock.advance(21)
    assert queue.bodies() == ["young"]


def test_a_message_in_flight_ages_too(clock, create):  # §6
    queue = create(MessageRetentionPeriod=60)
    queue.send()
    message = queue.one(VisibilityTimeout=70)
    clock.advance(71)
    assert queue.bodies() == []
    assert queue.counts() == (0, 0, 0)
    queue.delete(message)


def test_a_delayed_message_ages_too(clock, create):  # §6
    queue = create(MessageRetentionPeriod=60)
    queue.send(DelaySeconds=120)
    clock.advance(121)
    assert queue.bodies() == []


def test_an_aged_fifo_message_frees_its_group(clock, create):  # §6, §7
    queue = create(fifo=True, ContentBasedDeduplication="true", MessageRetentionPeriod=60)
    queue.send("old", MessageGroupId="g")
    queue.one(VisibilityTimeout=600)
    clock.advance(61)
    queue.send("young", MessageGroupId="g")
    assert queue.bodies() == ["young"]
