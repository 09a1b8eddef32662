"""Groups of schedules, and their tags (§ 9)."""

import pytest

from scheduler.support import ACCOUNT, REGION, unique
from scheduler.test_schedules import refused


@pytest.fixture
def group(scheduler):
    name = unique("g")
    scheduler.create_schedule_group(Name=name, Tags=[{"Key": "k", "Value": "v"}])
    return name


def test_there_is_always_the_default_group(scheduler):
    shown = scheduler.get_schedule_group(Name="default")
    assert (shown["Name"], shown["State"]) == ("default", "ACTIVE")
    assert shown["Arn"] == f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule-group/default"
    groups = scheduler.list_schedule_groups(NamePrefix="defau")["ScheduleGroups"]
    assert [group["Name"] for group in groups] == ["default"]
    assert refused(scheduler.delete_schedule_group, Name="default")[:2] == (400, "ValidationException")
    assert refused(scheduler.create_schedule_group, Name="default")[:2] == (409, "ConflictException")


def test_groups_are_made_shown_and_listed(scheduler, group):
    shown = scheduler.get_schedule_group(Name=group)
    assert shown["Arn"] == f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule-group/{group}"
    assert shown["CreationDate"] == shown["LastModificationDate"]
    assert refused(scheduler.create_schedule_group, Name=group)[:2] == (409, "ConflictException")
    assert refused(scheduler.get_schedule_group, Name="missing")[:2] == (404, "ResourceNotFoundException")
    token = unique("token")
    for _ in range(2):
        scheduler.create_schedule_group(Name=f"{group}-2", ClientToken=token)
    pages = scheduler.get_paginator("list_schedule_groups").paginate(
        NamePrefix=group, PaginationConfig={"PageSize": 1}
    )
    assert [[one["Name"] for one in page["ScheduleGroups"]] for page in pages if page["ScheduleGroups"]] == [
        [group],
        [f"{group}-2"],
    ]


def test_schedules_of_two_groups_may_have_one_name(scheduler, create, group):
    name = create("rate(1 day)", State="DISABLED")
    create("rate(2 days)", Name=name, GroupName=group, State="DISABLED")
    shown = scheduler.get_schedule(Name=name, GroupName=group)
    assert shown["Arn"] == f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/{group}/{name}"
    assert scheduler.get_schedule(Name=name)["ScheduleExpression"] == "rate(1 day)"
    listed = scheduler.list_schedules(GroupName=group)["Schedules"]
    assert [(schedule["GroupName"], schedule["Name"]) for schedule in listed] == [(group, name)]


def test_a_group_is_deleted_with_its_schedules(clock, scheduler, create, group):
    names = [create("rate(1 day)", GroupName=group, State="DISABLED") for _ in range(3)]
    scheduler.delete_schedule_group(Name=group)
    clock.advance(1)
    assert refused(scheduler.get_schedule_group, Name=group)[0] == 404
    assert refused(scheduler.get_schedule, Name=names[0], GroupName=group)[0] == 404
    scheduler.create_schedule_group(Name=group)
    assert scheduler.list_schedules(GroupName=group)["Schedules"] == []


def test_groups_have_tags_and_schedules_have_none(scheduler, group):
    arn = scheduler.get_schedule_group(Name=group)["Arn"]
    scheduler.tag_resource(ResourceArn=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "k", "Value": "w"}])
    tags = scheduler.list_tags_for_resource(ResourceArn=arn)["Tags"]
    assert tags == [{"Key": "a", "Value": "1"}, {"Key": "k", "Value": "w"}]
    scheduler.untag_resource(ResourceArn=arn, TagKeys=["k", "unknown"])
    assert scheduler.list_tags_for_resource(ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "1"}]
    missing = arn.replace(group, "missing")
    assert refused(scheduler.list_tags_for_resource, ResourceArn=missing)[0] == 404
    schedule = f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/s"
    assert refused(scheduler.list_tags_for_resource, ResourceArn=schedule)[:2] == (400, "ValidationException")
