"""The words that the tests of EventBridge are written in: buses and rules with their calls."""

import json

from sqs.support import unique

ACCOUNT = "000000000000"
REGION = "us-east-1"
PREFIX = f"arn:aws:events:{REGION}:{ACCOUNT}:"


class Bus:
    """A bus and the calls that tests make of it."""

    def __init__(self, events, name):
        self.events = events
        self.name = name

    @property
    def arn(self):
        return f"{PREFIX}event-bus/{self.name}"

    def rule(self, pattern, **more):
        """A new rule."""
        name = unique("r")
        self.events.put_rule(Name=name, EventBusName=self.name, EventPattern=json.dumps(pattern), **more)
        return Rule(self.events, name, self.name)

    def put(self, *entries):
        """What became of the entries, which go to this bus."""
        return self.events.put_events(Entries=[{"EventBusName": self.name, **entry} for entry in entries])

    def put_one(self, source="shop", detail_type="t", detail=None, **more):
        """The id of an event."""
        detail = json.dumps({} if detail is None else detail)
        answer = self.put({"Source": source, "DetailType": detail_type, "Detail": detail, **more})
        assert answer["FailedEntryCount"] == 0, answer
        return answer["Entries"][0]["EventId"]


class Rule:
    """A rule and the calls that tests make of it."""

    def __init__(self, events, name, bus):
        self.events = events
        self.name = name
        self.bus = bus

    @property
    def arn(self):
        return PREFIX + (f"rule/{self.name}" if self.bus is None else f"rule/{self.bus}/{self.name}")

    def on_bus(self):
        return {} if self.bus is None else {"EventBusName": self.bus}

    def __getattr__(self, operation):
        """Any operation that takes the name of a rule: `rule.describe_rule()`."""
        call = getattr(self.events, operation)
        name = "Rule" if operation.endswith(("targets", "by_rule")) else "Name"
        return lambda **arguments: call(**{name: self.name}, **self.on_bus(), **arguments)

    def to(self, queue, id="1", **more):
        """The queue gets what the rule matches."""
        answer = self.put_targets(Targets=[{"Id": id, "Arn": queue.arn, **more}])
        assert answer["FailedEntryCount"] == 0, answer
        return self

    def targets(self):
        return self.list_targets_by_rule()["Targets"]


def event_of(message):
    """The event in a message's body."""
    return json.loads(message["Body"])
