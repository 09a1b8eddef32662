"""When schedules run, and what their targets get (§ 9)."""

import datetime
import json
import urllib.request

import pytest

from scheduler.support import ACCOUNT, OFF, REGION, ROLE, at, now, queue_arn, received, unique
from sqs.support import make_queue

MINUTE = datetime.timedelta(minutes=1)


def bodies(sqs, queue):
    return [message["Body"] for message in received(sqs, queue)]


def test_a_single_run_sends_the_input_once(endpoint, clock, scheduler, sqs, queue, create):
    name = create(at(now(endpoint) + 2 * MINUTE))
    clock.advance(110)
    assert bodies(sqs, queue) == []
    clock.advance(11)
    assert bodies(sqs, queue) == ["hello"]
    clock.advance(86_400)
    assert bodies(sqs, queue) == []
    assert scheduler.get_schedule(Name=name)["State"] == "ENABLED"


def test_a_rate_runs_at_once_and_then_with_its_period(clock, scheduler, sqs, queue, create):
    name = create("rate(5 minutes)")
    clock.advance(0)
    assert bodies(sqs, queue) == ["hello"]
    clock.advance(299)
    assert bodies(sqs, queue) == []
    clock.advance(1)
    assert bodies(sqs, queue) == ["hello"]
    clock.advance(3600)
    assert bodies(sqs, queue) == ["hello"] * 12
    scheduler.delete_schedule(Name=name)
    clock.advance(3600)
    assert bodies(sqs, queue) == []


def test_dates_bound_a_rate(endpoint, clock, scheduler, sqs, queue, create):
    begin = now(endpoint).replace(microsecond=0) + 10 * MINUTE
    create("rate(1 hour)", StartDate=begin, EndDate=begin + datetime.timedelta(hours=2))
    clock.advance(599)
    assert bodies(sqs, queue) == []
    clock.advance(86_400)
    assert bodies(sqs, queue) == ["hello"] * 3


def test_a_disabled_schedule_rests_until_it_is_enabled(endpoint, clock, scheduler, sqs, queue, target, create):
    name = create("rate(1 minute)", State="DISABLED")
    clock.advance(600)
    assert bodies(sqs, queue) == []
    scheduler.update_schedule(
        Name=name, ScheduleExpression=at(now(endpoint) + MINUTE), Target=target, FlexibleTimeWindow=OFF
    )
    clock.advance(61)
    assert bodies(sqs, queue) == ["hello"]


def test_a_cron_runs_by_the_clocks_of_its_zone(endpoint, clock, sqs, queue, target, create):
    target["Input"] = "<aws.scheduler.scheduled-time>"
    create("cron(30 9 * * ? *)", ScheduleExpressionTimezone="Asia/Kolkata", Target=target)
    clock.advance(2 * 86_400)
    times = bodies(sqs, queue)
    assert len(times) == 2 and all(time.endswith("T04:00:00Z") for time in times)


def test_context_attributes_are_filled_in(endpoint, clock, scheduler, sqs, queue, target, create):
    moment = (now(endpoint) + MINUTE).replace(microsecond=0)
    target["Input"] = json.dumps(
        {
            "arn": "<aws.scheduler.schedule-arn>",
            "time": "<aws.scheduler.scheduled-time>",
            "execution": "<aws.scheduler.execution-id>",
            "attempt": "<aws.scheduler.attempt-number>",
            "other": "<aws.scheduler.other>",
        }
    )
    name = create(at(moment), Target=target)
    clock.advance(61)
    (body,) = bodies(sqs, queue)
    told = json.loads(body)
    assert len(told.pop("execution")) == 16
    assert told == {
        "arn": f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/{name}",
        "time": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "attempt": "1",
        "other": "<aws.scheduler.other>",
    }


def test_without_an_input_an_event_is_sent(endpoint, clock, sqs, queue, target, create):
    moment = (now(endpoint) + MINUTE).replace(microsecond=0)
    del target["Input"]
    name = create(at(moment), Target=target)
    clock.advance(61)
    (body,) = bodies(sqs, queue)
    event = json.loads(body)
    assert len(event.pop("id")) == 36
    assert event == {
        "version": "0",
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "account": ACCOUNT,
        "time": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": REGION,
        "resources": [f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/{name}"],
        "detail": "{}",
    }


def test_a_fifo_queue_gets_a_message_group(endpoint, clock, sqs, target, create):
    fifo = make_queue(sqs, "f", fifo=True, ContentBasedDeduplication="true").url
    target |= {"Arn": queue_arn(sqs, fifo), "SqsParameters": {"MessageGroupId": "g"}}
    create(at(now(endpoint) + MINUTE), Target=target)
    clock.advance(61)
    (message,) = received(sqs, fifo)
    assert message["Body"] == "hello" and message["Attributes"]["MessageGroupId"] == "g"


def test_a_completed_schedule_is_deleted_if_it_says_so(endpoint, clock, scheduler, sqs, queue, create):
    name = create(at(now(endpoint) + MINUTE), ActionAfterCompletion="DELETE")
    clock.advance(61)
    assert bodies(sqs, queue) == ["hello"]
    with pytest.raises(scheduler.exceptions.ResourceNotFoundException):
        scheduler.get_schedule(Name=name)
    # The server counts whole seconds, and the next may begin before it has the request: so the last run is not at the end itself.
    end = now(endpoint) + 3 * MINUTE + datetime.timedelta(seconds=20)
    name = create("rate(1 minute)", ActionAfterCompletion="DELETE", EndDate=end)
    clock.advance(150)
    assert scheduler.get_schedule(Name=name)["ActionAfterCompletion"] == "DELETE"
    clock.advance(60)
    with pytest.raises(scheduler.exceptions.ResourceNotFoundException):
        scheduler.get_schedule(Name=name)
    assert len(bodies(sqs, queue)) in (3, 4)


def test_a_flexible_window_delays_a_run_by_less_than_the_window(endpoint, clock, sqs, queue, create):
    create(at(now(endpoint) + MINUTE), FlexibleTimeWindow={"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 10})
    clock.advance(55)
    assert bodies(sqs, queue) == []
    clock.advance(606)
    assert bodies(sqs, queue) == ["hello"]


def test_many_that_fall_due_together_all_run_once(endpoint, clock, sqs, queue, target, create):
    moment = at(now(endpoint) + 2 * MINUTE)
    for number in range(50):
        create(moment, Target=target | {"Input": str(number)})
    clock.advance(121)
    assert sorted(map(int, bodies(sqs, queue))) == list(range(50))


def test_what_the_target_refuses_becomes_a_dead_letter(endpoint, clock, sqs, queue, target, create):
    missing = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{unique('missing')}"
    moment = (now(endpoint) + MINUTE).replace(microsecond=0)
    target |= {
        "Arn": missing,
        "DeadLetterConfig": {"Arn": queue_arn(sqs, queue)},
        "RetryPolicy": {"MaximumRetryAttempts": 0},
    }
    name = create(at(moment), Target=target)
    clock.advance(61)
    (letter,) = received(sqs, queue)
    assert letter["Body"] == "hello"
    told = {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()}
    assert all(value["DataType"] == "String" for value in letter["MessageAttributes"].values())
    assert len(told.pop("EXECUTION_ID")) == 16
    assert told.pop("ERROR_MESSAGE")
    assert told.pop("ERROR_CODE") == "AWS.SimpleQueueService.NonExistentQueue"
    with urllib.request.urlopen(endpoint.url + "/_posthaste/failures", timeout=5) as answer:
        failures = json.load(answer)["failures"]
    (failure,) = [it["delivery"] for it in failures if it["notification"]["subscriptionArn"] == told["SCHEDULE_ARN"]]
    assert (failure["destination"], failure["attempts"]) == (missing, 1)
    assert told == {
        "EXHAUSTED_RETRY_CONDITION": "MaximumRetryAttempts",
        "IS_PAYLOAD_TRUNCATED": "false",
        "RETRY_ATTEMPTS": "0",
        "SCHEDULED_TIME": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "SCHEDULE_ARN": f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/{name}",
        "TARGET_ARN": missing,
    }
