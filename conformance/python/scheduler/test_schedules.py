"""Schedules: creating, changing, showing, listing, deleting them, and what is refused (§ 9, 16)."""

import datetime

import pytest
from botocore.exceptions import ClientError

from scheduler.support import ACCOUNT, OFF, REGION, ROLE, unique


def refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response
    return error["ResponseMetadata"]["HTTPStatusCode"], error["Error"]["Code"], error["Error"]["Message"]


def test_a_schedule_is_shown_as_it_was_made_with_the_defaults(scheduler, target):
    name = unique()
    made = scheduler.create_schedule(
        Name=name, ScheduleExpression="rate(5 minutes)", Target=target, FlexibleTimeWindow=OFF
    )
    arn = f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/{name}"
    assert made["ScheduleArn"] == arn
    shown = scheduler.get_schedule(Name=name)
    assert isinstance(shown.pop("CreationDate"), datetime.datetime)
    assert isinstance(shown.pop("LastModificationDate"), datetime.datetime)
    del shown["ResponseMetadata"]
    assert shown == {
        "ActionAfterCompletion": "NONE",
        "Arn": arn,
        "FlexibleTimeWindow": OFF,
        "GroupName": "default",
        "Name": name,
        "ScheduleExpression": "rate(5 minutes)",
        "ScheduleExpressionTimezone": "UTC",
        "State": "ENABLED",
        "Target": target | {"RetryPolicy": {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185}},
    }
    scheduler.delete_schedule(Name=name)


def test_an_update_replaces_all_that_was_given(scheduler, target, create):
    begin = datetime.datetime(2100, 1, 1, tzinfo=datetime.timezone.utc)
    name = create(
        "cron(0 8 ? * MON-FRI *)",
        ScheduleExpressionTimezone="Europe/Berlin",
        StartDate=begin,
        EndDate=begin + datetime.timedelta(days=1),
        Description="words",
        State="DISABLED",
        KmsKeyArn=f"arn:aws:kms:{REGION}:{ACCOUNT}:key/k",
        FlexibleTimeWindow={"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15},
        ActionAfterCompletion="DELETE",
        Target=target | {"RetryPolicy": {"MaximumEventAgeInSeconds": 60, "MaximumRetryAttempts": 0}},
    )
    before = scheduler.get_schedule(Name=name)
    assert before["StartDate"] == begin and before["Description"] == "words"
    assert before["FlexibleTimeWindow"] == {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15}
    assert before["Target"]["RetryPolicy"] == {"MaximumEventAgeInSeconds": 60, "MaximumRetryAttempts": 0}
    scheduler.update_schedule(
        Name=name, ScheduleExpression="rate(1 day)", Target=target, FlexibleTimeWindow=OFF, State="DISABLED"
    )
    after = scheduler.get_schedule(Name=name)
    assert not {"StartDate", "EndDate", "Description", "KmsKeyArn"} & after.keys()
    assert (after["ScheduleExpressionTimezone"], after["ActionAfterCompletion"]) == ("UTC", "NONE")
    assert after["CreationDate"] == before["CreationDate"] <= after["LastModificationDate"]


def test_parameters_of_targets_are_shown_as_they_were_given(scheduler, create, target):
    for parameters in [
        {"SqsParameters": {"MessageGroupId": "g"}},
        {"SqsParameters": {}},
        {"EventBridgeParameters": {"DetailType": "t", "Source": "s"}},
        {"KinesisParameters": {"PartitionKey": "k"}},
        {"SageMakerPipelineParameters": {"PipelineParameterList": [{"Name": "n", "Value": "v"}]}},
    ]:
        name = create("rate(1 day)", Target=target | parameters, State="DISABLED")
        shown = scheduler.get_schedule(Name=name)["Target"]
        assert {key: shown[key] for key in parameters} == parameters


@pytest.mark.parametrize(
    "expression",
    [
        "cron(0 1 * * * *)",
        "cron(7 20 * * NOT *)",
        "cron(INVALID)",
        "cron()",
        "at(2021-12-31)",
        "at(2021-12-31T23:59:59Z)",
        "rate(10 seconds)",
        "rate( 10 minutes )",
        " rate(10 minutes)",
        "rate(-10 minutes)",
    ],
)
def test_an_expression_that_is_none_is_refused_in_these_words(scheduler, target, expression):
    wanted = dict(Name=unique(), ScheduleExpression=expression, Target=target, FlexibleTimeWindow=OFF)
    text = f"Invalid Schedule Expression {expression}."
    assert refused(scheduler.create_schedule, **wanted) == (400, "ValidationException", text)


def test_names_that_are_taken_or_missing_are_refused_with_their_statuses(scheduler, target, create):
    name = create("rate(1 day)", State="DISABLED")
    wanted = dict(ScheduleExpression="rate(1 day)", Target=target, FlexibleTimeWindow=OFF)
    status, code, text = refused(scheduler.create_schedule, Name=name, **wanted)
    assert (status, code, text) == (409, "ConflictException", f"Schedule {name} already exists.")
    for call, more in [
        (scheduler.get_schedule, {}),
        (scheduler.delete_schedule, {}),
        (scheduler.update_schedule, wanted),
    ]:
        status, code, text = refused(call, Name="missing", **more)
        assert (status, code, text) == (404, "ResourceNotFoundException", "Schedule missing does not exist.")
    status, code, _ = refused(scheduler.create_schedule, Name=name, GroupName="missing", **wanted)
    assert (status, code) == (404, "ResourceNotFoundException")


def test_the_same_request_again_is_answered_again(scheduler, target):
    wanted = dict(ScheduleExpression="rate(1 day)", Target=target, FlexibleTimeWindow=OFF, State="DISABLED")
    name, token = unique(), unique("token")
    first = scheduler.create_schedule(Name=name, ClientToken=token, **wanted)
    again = scheduler.create_schedule(Name=name, ClientToken=token, **wanted)
    assert first["ScheduleArn"] == again["ScheduleArn"]
    other = wanted | {"ScheduleExpression": "rate(2 days)"}
    assert refused(scheduler.create_schedule, Name=name, ClientToken=token, **other)[0] == 409
    assert refused(scheduler.create_schedule, Name=name, ClientToken=unique("token"), **wanted)[0] == 409


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"Name": "a b"}, "'name'"),
        ({"Name": "n" * 65}, "less than or equal to 64"),
        ({"GroupName": "a/b"}, "'groupName'"),
        ({"State": "ON"}, "[ENABLED, DISABLED]"),
        ({"ActionAfterCompletion": "STAY"}, "[NONE, DELETE]"),
        ({"ScheduleExpressionTimezone": "Mars/Phobos"}, "Mars/Phobos"),
        ({"FlexibleTimeWindow": {"Mode": "FLEXIBLE"}}, "MaximumWindowInMinutes"),
        ({"FlexibleTimeWindow": {"Mode": "OFF", "MaximumWindowInMinutes": 5}}, "MaximumWindowInMinutes"),
        ({"Target": {"Arn": "nonsense", "RoleArn": ROLE}}, "Provided Arn is not in correct format."),
        ({"Target": {"Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:q.fifo", "RoleArn": ROLE}}, "MessageGroupId"),
        ({"Target": {"Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:q", "RoleArn": "role"}}, "'target.roleArn'"),
        ({"Target": {"Arn": "arn:aws:scheduler:::aws-sdk:sqs:getQueueUrl", "RoleArn": ROLE}}, "only reads"),
        ({"Target": {"Arn": "arn:aws:scheduler:::aws-sdk:sqs", "RoleArn": ROLE}}, "correct format"),
        (
            {
                "StartDate": datetime.datetime(2101, 1, 1),
                "EndDate": datetime.datetime(2100, 1, 1),
            },
            "StartDate",
        ),
        ({"StartDate": datetime.datetime(2001, 1, 1)}, "cannot be earlier than 5 minutes ago"),
    ],
)
def test_members_that_are_wrong_are_refused(scheduler, target, wrong, word):
    wanted = dict(Name=unique(), ScheduleExpression="rate(1 day)", Target=target, FlexibleTimeWindow=OFF)
    status, code, text = refused(scheduler.create_schedule, **wanted | wrong)
    assert (status, code) == (400, "ValidationException") and word in text


def test_lists_are_in_pages_by_group_prefix_and_state(scheduler, create):
    prefix = unique("list")
    names = [create("rate(1 day)", Name=f"{prefix}-{number:02}", State="DISABLED") for number in range(7)]
    create("rate(1 day)", Name=f"{prefix}-on", State="ENABLED")
    pages = scheduler.get_paginator("list_schedules").paginate(
        NamePrefix=prefix, State="DISABLED", PaginationConfig={"PageSize": 3}
    )
    pages = [[schedule["Name"] for schedule in page["Schedules"]] for page in pages]
    assert sum(pages, []) == names and max(map(len, pages)) == 3
    one = scheduler.list_schedules(NamePrefix=prefix, State="ENABLED", GroupName="default")["Schedules"]
    assert [schedule["Name"] for schedule in one] == [f"{prefix}-on"]
    assert one[0]["Target"].keys() == {"Arn"} and one[0]["GroupName"] == "default"
    assert refused(scheduler.list_schedules, GroupName="missing")[:2] == (404, "ResourceNotFoundException")
    assert refused(scheduler.list_schedules, NextToken="?")[:2] == (400, "ValidationException")
