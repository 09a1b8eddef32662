"""What the tests of Kinesis share."""

import time

import pytest
from botocore.exceptions import ClientError

from sqs.support import unique

ACCOUNT = "000000000000"
REGION = "us-east-1"


def refused(call, **arguments):
    """The code and the text of a refusal."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 400
    return error["Error"]["Code"], error["Error"]["Message"]


def shard_id(number):
    return f"shardId-{number:012}"


class Stream:
    """A fresh stream, ready to be used."""

    def __init__(self, client, shards=1, **more):
        self.client = client
        self.name = unique("stream")
        self.arn = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{self.name}"
        if shards:
            more["ShardCount"] = shards
        client.create_stream(StreamName=self.name, **more)
        client.get_waiter("stream_exists").wait(StreamName=self.name, WaiterConfig={"Delay": 1})

    def put(self, *data, key="k"):
        """Puts records of one key. Returns their sequence numbers."""
        records = [{"Data": item, "PartitionKey": key} for item in data]
        answer = self.client.put_records(StreamName=self.name, Records=records)
        assert answer["FailedRecordCount"] == 0
        return [record["SequenceNumber"] for record in answer["Records"]]

    def iterator(self, shard=0, kind="TRIM_HORIZON", **more):
        return self.client.get_shard_iterator(
            StreamName=self.name, ShardId=shard_id(shard), ShardIteratorType=kind, **more
        )["ShardIterator"]

    def read(self, iterator, count):
        """Reads until so many records are there. Returns them and the last answer."""
        records, give_up = [], time.monotonic() + 30
        while True:
            answer = self.client.get_records(ShardIterator=iterator)
            records += answer["Records"]
            iterator = answer.get("NextShardIterator")
            if len(records) >= count or iterator is None:
                return records, answer
            assert time.monotonic() < give_up, records

    def data(self, count, shard=0, **more):
        records, _ = self.read(self.iterator(shard, **more), count)
        return [record["Data"] for record in records]

    def shards(self, **more):
        return self.client.list_shards(StreamName=self.name, **more)["Shards"]


def events_of(answer, count):
    """The first events of a subscription."""
    events = []
    for event in answer["EventStream"]:
        events.append(event["SubscribeToShardEvent"])
        if len(events) == count:
            break
    answer["EventStream"].close()
    return events
