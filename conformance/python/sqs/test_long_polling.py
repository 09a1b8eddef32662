"""Receives that wait.

They run beside the test in a thread. Where the endpoint has a virtual clock, the test moves it; elsewhere they wait
for a few real seconds.
"""

import time

from endpoint import Background


def wait_for(queue, seconds=20, **more):
    return Background(queue.receive, 10, WaitTimeSeconds=seconds, **more)


def test_a_waiting_receive_gets_a_message_as_soon_as_it_is_sent(queue):  # §6
    waiting = wait_for(queue)
    assert waiting.waiting()
    queue.send("at last")
    assert [m["Body"] for m in waiting.result(seconds=5)] == ["at last"]


def test_a_waiting_receive_answers_at_once_when_a_message_is_there(queue):  # §6
    queue.send("here")
    before = time.monotonic()
    assert [m["Body"] for m in queue.receive(WaitTimeSeconds=20)] == ["here"]
    assert time.monotonic() - before < 5


def test_a_waiting_receive_does_not_wait_for_more_messages(queue):  # §6, §16.13
    queue.send("only")
    assert len(wait_for(queue).result(seconds=5)) == 1


def test_a_waiting_receive_ends_empty_when_its_time_is_over(queue, offered_clock):  # §6
    waiting = wait_for(queue, seconds=1)
    assert waiting.result(offered_clock) == []


def test_the_wait_time_of_the_queue_is_used(create, offered_clock):  # §6
    queue = create(ReceiveMessageWaitTimeSeconds=2)
    waiting = Background(queue.receive)
    assert waiting.waiting()
    assert waiting.result(offered_clock) == []


def test_the_wait_time_of_a_receive_comes_before_the_queues_even_if_zero(create):  # §6
    queue = create(ReceiveMessageWaitTimeSeconds=20)
    before = time.monotonic()
    assert queue.receive(WaitTimeSeconds=0) == []
    assert time.monotonic() - before < 5


def test_a_waiting_receive_gets_a_message_whose_delay_ends(clock, queue):  # §6
    queue.send(DelaySeconds=5)
    waiting = wait_for(queue)
    assert waiting.waiting()
    clock.advance(6)
    assert [m["Body"] for m in waiting.result(seconds=5)] == ["hello"]


def test_a_waiting_receive_gets_a_message_whose_visibility_ends(clock, queue):  # §6
    queue.send()
    queue.one(VisibilityTimeout=5)
    waiting = wait_for(queue)
    assert waiting.waiting()
    clock.advance(6)
    assert [m["Body"] for m in waiting.result(seconds=5)] == ["hello"]


def test_a_waiting_receive_gets_a_message_that_is_shown_again(queue):  # §6
    queue.send()
    message = queue.one()
    waiting = wait_for(queue)
    assert waiting.waiting()
    queue.hide(message, 0)
    assert len(waiting.result(seconds=5)) == 1


def test_a_waiting_receive_gets_the_next_of_a_group_that_is_unlocked(fifo):  # §7
    fifo.send("first", MessageGroupId="g")
    first = fifo.one()
    fifo.send("second", MessageGroupId="g")
    waiting = wait_for(fifo)
    assert waiting.waiting()
    fifo.delete(first)
    assert [m["Body"] for m in waiting.result(seconds=5)] == ["second"]


def test_one_message_goes_to_one_of_several_waiting_receives(queue, offered_clock):  # §6
    waiting = [wait_for(queue, seconds=3) for _ in range(3)]
    assert all(receive.waiting(0.1) for receive in waiting)
    queue.send("one")
    answers = [receive.result(offered_clock) for receive in waiting]
    assert sorted(len(answer) for answer in answers) == [0, 0, 1]


def test_several_waiting_receives_get_one_message_each(queue):  # §6
    waiting = [Background(queue.receive, 1, WaitTimeSeconds=20) for _ in range(3)]
    assert all(receive.waiting(0.1) for receive in waiting)
    for body in "abc":
        queue.send(body)
    bodies = [receive.result(seconds=5)[0]["Body"] for receive in waiting]
    assert sorted(bodies) == ["a", "b", "c"]


def test_the_longest_waiter_is_served_first(queue):
    first = wait_for(queue)
    assert first.waiting(0.3)
    second = wait_for(queue)
    assert second.waiting(0.3)
    queue.send("for the first")
    assert [m["Body"] for m in first.result(seconds=5)] == ["for the first"]
    assert second.waiting(0.1)
    queue.send("for the second")
    assert [m["Body"] for m in second.result(seconds=5)] == ["for the second"]


def test_other_requests_are_answered_while_many_receives_wait(queue, create):  # §6
    waiting = [Background(queue.receive, 1, WaitTimeSeconds=20) for _ in range(15)]
    assert waiting[-1].waiting(0.2)
    other = create()
    other.send("meanwhile")
    assert other.bodies() == ["meanwhile"]
    for n in range(15):
        queue.send(str(n))
    bodies = [m["Body"] for receive in waiting for m in receive.result(seconds=10)]
    assert sorted(bodies, key=int) == [str(n) for n in range(15)]


def test_a_message_is_not_lost_to_a_receiver_that_went_away(clock, queue, endpoint):
    # The client hangs up while it waits; the next one must get the message, at the latest after its visibility.
    import http.client
    import json
    from urllib.parse import urlsplit

    connection = http.client.HTTPConnection(urlsplit(endpoint.url).netloc)
    connection.request(
        "POST",
        "/",
        json.dumps({"QueueUrl": queue.url, "WaitTimeSeconds": 20}),
        {"X-Amz-Target": "AmazonSQS.ReceiveMessage", "Content-Type": "application/x-amz-json-1.0"},
    )
    time.sleep(0.2)
    connection.close()
    time.sleep(0.1)
    queue.send("kept")
    if not queue.bodies():
        clock.advance(31)
        assert queue.bodies() == ["kept"]


def test_deleting_a_queue_ends_its_waiting_receives(queue, offered_clock):
    waiting = wait_for(queue, seconds=2)
    assert waiting.waiting()
    queue.delete_queue()
    try:
        assert waiting.result(offered_clock) == []
    except queue.sqs.exceptions.ClientError as error:
        assert error.response["Error"]["Code"] == "AWS.SimpleQueueService.NonExistentQueue"
