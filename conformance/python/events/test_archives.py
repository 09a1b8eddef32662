"""Archives and replays: creating, changing, showing, what is kept, what is handed on again (§7)."""

import datetime
import json
import time

import pytest

from events.support import PREFIX, event_of
from sqs.support import make_queue, refused, unique

ALL = {
    "EventStartTime": datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc),
    "EventEndTime": datetime.datetime(2100, 1, 1, tzinfo=datetime.timezone.utc),
}


class Archive:
    """An archive and the calls that tests make of it."""

    def __init__(self, events, name, bus):
        self.events = events
        self.name = name
        self.bus = bus
        self.arn = f"{PREFIX}archive/{name}"

    def describe(self):
        return self.events.describe_archive(ArchiveName=self.name)

    def replay(self, name=None, rules=(), **window):
        """The name of a new replay of it."""
        name = name or unique("replay")
        destination = {"Arn": self.bus.arn}
        if rules:
            destination["FilterArns"] = [rule.arn for rule in rules]
        window = {**ALL, **window}
        answer = self.events.start_replay(
            ReplayName=name, EventSourceArn=self.arn, Destination=destination, **window
        )
        assert (answer["ReplayArn"], answer["State"]) == (f"{PREFIX}replay/{name}", "STARTING")
        return name


@pytest.fixture
def archive(events, bus):
    """A function that makes an archive of the bus."""

    def make(**more):
        name = unique("archive")
        events.create_archive(ArchiveName=name, EventSourceArn=bus.arn, **more)
        return Archive(events, name, bus)

    return make


def ended(events, replay):
    """A replay, when it has ended."""
    for _ in range(300):
        described = events.describe_replay(ReplayName=replay)
        if described["State"] not in ("STARTING", "RUNNING", "CANCELLING"):
            return described
        time.sleep(0.1)
    raise AssertionError(described)


def received(queue, count):
    """So many events of a queue, which are deleted."""
    events = []
    for _ in range(50):
        for message in queue.receive(10, WaitTimeSeconds=1):
            events.append(event_of(message))
            queue.delete(message)
        if len(events) >= count:
            break
    assert len(events) == count
    return events


def test_an_archive_is_created_described_listed_updated_and_deleted(events, bus):
    name = unique("archive")
    created = events.create_archive(
        ArchiveName=name,
        EventSourceArn=bus.arn,
        Description="d",
        EventPattern='{"source": ["shop"]}',
        RetentionDays=7,
    )
    assert (created["ArchiveArn"], created["State"]) == (f"{PREFIX}archive/{name}", "ENABLED")
    described = events.describe_archive(ArchiveName=name)
    wanted = {
        "ArchiveArn": created["ArchiveArn"],
        "ArchiveName": name,
        "EventSourceArn": bus.arn,
        "Description": "d",
        "EventPattern": '{"source": ["shop"]}',
        "State": "ENABLED",
        "RetentionDays": 7,
        "SizeBytes": 0,
        "EventCount": 0,
    }
    assert {key: described.get(key) for key in wanted} == wanted
    assert described["CreationTime"] == created["CreationTime"]
    (listed,) = events.list_archives(NamePrefix=name)["Archives"]
    assert (listed["ArchiveName"], listed["RetentionDays"], listed["EventCount"]) == (name, 7, 0)
    (listed,) = events.list_archives(EventSourceArn=bus.arn)["Archives"]
    assert listed["ArchiveName"] == name
    updated = events.update_archive(ArchiveName=name, RetentionDays=0, Description="e")
    assert updated["ArchiveArn"] == created["ArchiveArn"]
    described = events.describe_archive(ArchiveName=name)
    assert (described["RetentionDays"], described["Description"]) == (0, "e")
    assert described["EventPattern"] == '{"source": ["shop"]}'
    events.delete_archive(ArchiveName=name)
    assert events.list_archives(NamePrefix=name)["Archives"] == []
    assert events.list_rules(EventBusName=bus.name)["Rules"] == []


def test_archives_are_listed_page_by_page(events, archive):
    names = sorted(archive().name for _ in range(3))
    pages, token = [], {}
    while True:
        page = events.list_archives(NamePrefix="archive", Limit=2, **token)
        pages += [item["ArchiveName"] for item in page["Archives"]]
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert [name for name in pages if name in names] == names


def test_what_is_wrong_with_an_archive_is_refused(events, bus, archive):
    made = archive()
    create = lambda **more: events.create_archive(  # noqa: E731
        **{"ArchiveName": unique("a"), "EventSourceArn": bus.arn, **more}
    )
    with refused("ResourceAlreadyExistsException", 400, f"Archive {made.name} already exists."):
        create(ArchiveName=made.name)
    with refused("ResourceNotFoundException", 400, "Event bus none does not exist."):
        create(EventSourceArn=f"{PREFIX}event-bus/none")
    with refused("InvalidEventPatternException", 400):
        create(EventPattern="{")
    with refused("ValidationException", 400):
        create(ArchiveName="a" * 49)
    with refused("ValidationException", 400):
        create(RetentionDays=-1)
    for call in (events.describe_archive, events.delete_archive):
        with refused("ResourceNotFoundException", 400, "Archive none does not exist."):
            call(ArchiveName="none")
    with refused("ResourceNotFoundException", 400, "Archive none does not exist."):
        events.update_archive(ArchiveName="none", RetentionDays=1)
    text = "At least one of EventPattern, RetentionDays or Description must be provided."
    with refused("ValidationException", 400, text):
        events.update_archive(ArchiveName=made.name)
    with refused("ValidationException", 400):
        events.list_archives(NamePrefix="a", State="ENABLED")


def test_an_archive_has_a_managed_rule(events, bus, archive):
    made = archive(EventPattern='{"source": ["shop"]}')
    (rule,) = events.list_rules(EventBusName=bus.name)["Rules"]
    assert rule["Name"] == f"Events-Archive-{made.name}"
    assert rule["ManagedBy"] == "prod.vhs.events.aws.internal"
    assert json.loads(rule["EventPattern"]) == {"source": ["shop"], "replay-name": [{"exists": False}]}
    of = {"EventBusName": bus.name}
    (target,) = events.list_targets_by_rule(Rule=rule["Name"], **of)["Targets"]
    assert (target["Id"], target["Arn"]) == (rule["Name"], "arn:aws:events:us-east-1:::")
    assert f'"archive-arn": "{made.arn}:' in target["InputTransformer"]["InputTemplate"]
    with refused("ManagedRuleException", 400):
        events.disable_rule(Name=rule["Name"], **of)
    with refused("ManagedRuleException", 400):
        events.remove_targets(Rule=rule["Name"], Ids=[target["Id"]], **of)
    events.remove_targets(Rule=rule["Name"], Ids=[target["Id"]], Force=True, **of)
    events.delete_rule(Name=rule["Name"], Force=True, **of)
    described = made.describe()
    assert described["State"] == "DISABLED"
    assert described["StateReason"] == "Managed rule for the archive was forcefully deleted."


def test_a_replay_hands_on_what_the_archive_has_kept(events, bus, archive, queue):
    made = archive(EventPattern='{"detail": {"n": [{"numeric": ["<", 3]}]}}')
    ids = [bus.put_one(detail={"n": number}) for number in range(4)][:3]
    assert made.describe()["EventCount"] == 3
    # A rule that comes later gets them, too.
    bus.rule({"source": ["shop"]}).to(queue)
    replay = made.replay()
    handed = received(queue, 3)
    assert [(event["id"], event["replay-name"]) for event in handed] == [(id, replay) for id in ids]
    keys = ["version", "id", "detail-type", "source", "account", "time", "region", "replay-name"]
    assert list(handed[0]) == [*keys, "resources", "detail"]
    described = ended(events, replay)
    assert described["State"] == "COMPLETED"
    assert described["EventSourceArn"] == made.arn
    assert described["Destination"] == {"Arn": bus.arn}
    assert described["EventLastReplayedTime"] >= described["EventStartTime"]
    assert described["ReplayEndTime"] >= described["ReplayStartTime"]
    assert made.describe()["EventCount"] == 3, "what is replayed is not archived"
    (listed,) = events.list_replays(EventSourceArn=made.arn)["Replays"]
    assert (listed["ReplayName"], listed["State"]) == (replay, "COMPLETED")
    assert replay in [it["ReplayName"] for it in events.list_replays(State="COMPLETED")["Replays"]]


def test_a_replay_hands_on_what_happened_in_its_window_to_the_rules_that_are_named(events, bus, archive, sqs):
    made = archive()
    first, second = make_queue(sqs), make_queue(sqs)
    rules = [bus.rule({"source": ["shop"], "replay-name": [{"exists": True}]}) for _ in range(2)]
    rules[0].to(first)
    rules[1].to(second)
    at = lambda minute: datetime.datetime(2024, 5, 1, 12, minute, tzinfo=datetime.timezone.utc)  # noqa: E731
    for minute in (0, 10, 20, 30):
        bus.put_one(detail={"minute": minute}, Time=at(minute))
    replay = made.replay(rules=rules[:1], EventStartTime=at(10), EventEndTime=at(20))
    described = ended(events, replay)
    assert described["Destination"]["FilterArns"] == [rules[0].arn]
    assert described["EventLastReplayedTime"] == at(20)
    assert [event["detail"]["minute"] for event in received(first, 2)] == [10, 20]
    assert second.bodies() == []


def test_what_is_wrong_with_a_replay_is_refused(events, bus, archive):
    made = archive()
    other = unique("b")
    events.create_event_bus(Name=other)
    replay = made.replay()

    def start(**more):
        wanted = {"ReplayName": unique("r"), "EventSourceArn": made.arn, "Destination": {"Arn": bus.arn}, **ALL}
        events.start_replay(**{**wanted, **more})

    with refused("ResourceAlreadyExistsException", 400, f"Replay {replay} already exists."):
        start(ReplayName=replay)
    text = "Parameter EventSourceArn is not valid. Reason: Archive none does not exist."
    with refused("ValidationException", 400, text):
        start(EventSourceArn=f"{PREFIX}archive/none")
    text = "Parameter Destination.Arn is not valid. Reason: Cross event bus replay is not permitted."
    with refused("ValidationException", 400, text):
        start(Destination={"Arn": f"{PREFIX}event-bus/{other}"})
    text = "Parameter Destination.Arn is not valid. Reason: Must contain an event bus ARN."
    with refused("ValidationException", 400, text):
        start(Destination={"Arn": "arn:aws:sqs:us-east-1:000000000000:q"})
    text = "Parameter EventEndTime is not valid. Reason: EventStartTime must be before EventEndTime."
    with refused("ValidationException", 400, text):
        start(EventStartTime=ALL["EventEndTime"], EventEndTime=ALL["EventStartTime"])
    for call in (events.describe_replay, events.cancel_replay):
        with refused("ResourceNotFoundException", 400, "Replay none does not exist."):
            call(ReplayName="none")
    ended(events, replay)
    with refused("IllegalStatusException", 400):
        events.cancel_replay(ReplayName=replay)
    with refused("ValidationException", 400):
        events.list_replays(NamePrefix="a", State="COMPLETED")
