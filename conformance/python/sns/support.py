"""The words that the tests of SNS are written in: topics and subscriptions with their calls, envelopes."""

import json
import re

from sqs.support import unique

ACCOUNT = "000000000000"
REGION = "us-east-1"
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


class Topic:
    """A topic and the calls that tests make of it, each a thin cover over the client's."""

    def __init__(self, sns, arn):
        self.sns = sns
        self.arn = arn

    def __getattr__(self, operation):
        """Any operation that takes a TopicArn: `topic.delete_topic()`."""
        call = getattr(self.sns, operation)
        return lambda **arguments: call(TopicArn=self.arn, **arguments)

    @property
    def name(self):
        return self.arn.rsplit(":", 1)[1]

    def attributes(self):
        return self.get_topic_attributes()["Attributes"]

    def attribute(self, name):
        return self.attributes().get(name)

    def document(self, name):
        """An attribute that holds JSON."""
        return json.loads(self.attribute(name))

    def set(self, name, value):
        self.set_topic_attributes(AttributeName=name, AttributeValue=value)

    def publish(self, message="hello", **more):
        return self.sns.publish(TopicArn=self.arn, Message=message, **more)

    def publish_batch(self, *entries):
        return self.sns.publish_batch(TopicArn=self.arn, PublishBatchRequestEntries=list(entries))

    def subscribe(self, protocol, endpoint, **attributes):
        """A subscription with these attributes, whether confirmed or not."""
        more = {"Attributes": {name: text(value) for name, value in attributes.items()}} if attributes else {}
        answer = self.sns.subscribe(
            TopicArn=self.arn, Protocol=protocol, Endpoint=endpoint, ReturnSubscriptionArn=True, **more
        )
        return Subscription(self.sns, answer["SubscriptionArn"])

    def subscribe_queue(self, queue, **attributes):
        return self.subscribe("sqs", queue.arn, **attributes)

    def subscriptions(self):
        """The first page of ListSubscriptionsByTopic."""
        return self.list_subscriptions_by_topic()["Subscriptions"]

    def counts(self):
        """How many subscriptions are (confirmed, pending, deleted)."""
        found = self.attributes()
        return tuple(int(found["Subscriptions" + kind]) for kind in ("Confirmed", "Pending", "Deleted"))


class Subscription:
    """A subscription and its calls."""

    def __init__(self, sns, arn):
        self.sns = sns
        self.arn = arn

    def attributes(self):
        return self.sns.get_subscription_attributes(SubscriptionArn=self.arn)["Attributes"]

    def attribute(self, name):
        return self.attributes().get(name)

    def set(self, name, value):
        self.sns.set_subscription_attributes(
            SubscriptionArn=self.arn, AttributeName=name, AttributeValue=text(value)
        )

    def unsubscribe(self):
        self.sns.unsubscribe(SubscriptionArn=self.arn)


def text(value):
    """An attribute's value as the API wants it: documents as JSON, everything else as a string."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value) if isinstance(value, (dict, list)) else str(value)


def make_topic(sns, word="t", fifo=False, tags=None, **attributes):
    if fifo:
        attributes["FifoTopic"] = "true"
    arguments = {"Name": unique(word, fifo)}
    if attributes:
        arguments["Attributes"] = {name: text(value) for name, value in attributes.items()}
    if tags:
        arguments["Tags"] = tag_list(tags)
    return Topic(sns, sns.create_topic(**arguments)["TopicArn"])


def tag_list(tags):
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def string(value, kind="String"):
    """A message attribute of type String (or String.Array, Number)."""
    return {"DataType": kind, "StringValue": value if isinstance(value, str) else json.dumps(value)}


def number(value):
    return string(str(value), "Number")


def binary(value, kind="Binary"):
    return {"DataType": kind, "BinaryValue": value}


def envelopes(queue, n=10):
    """The notifications of one ReceiveMessage, read from their JSON, their keys in the order in which they came."""
    return [json.loads(body) for body in queue.bodies(n)]


def envelope(queue):
    """The one notification that is there."""
    found = envelopes(queue)
    assert len(found) == 1, f"expected a notification, got {found}"
    return found[0]


def messages(queue, n=10):
    """The messages in the notifications of one ReceiveMessage, sorted."""
    return sorted(one["Message"] for one in envelopes(queue, n))
