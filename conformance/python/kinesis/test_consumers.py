"""Consumers, and what they are sent (facts/kinesis.md §§ 5, 14, 16)."""

import http.client
import json
import threading
import time
import urllib.parse

from kinesis.support import ACCOUNT, events_of, refused, shard_id


def make_consumer(kinesis, stream, name="c"):
    made = kinesis.register_stream_consumer(StreamARN=stream.arn, ConsumerName=name)["Consumer"]
    assert made["ConsumerStatus"] == "CREATING" and "StreamARN" not in made
    return made["ConsumerARN"]


def test_consumers_are_registered_described_listed_and_deregistered(kinesis, stream):
    arn = make_consumer(kinesis, stream)
    shown = kinesis.describe_stream_consumer(ConsumerARN=arn)["ConsumerDescription"]
    assert (shown["ConsumerStatus"], shown["StreamARN"]) == ("ACTIVE", stream.arn)
    by_name = kinesis.describe_stream_consumer(StreamARN=stream.arn, ConsumerName="c")
    assert by_name["ConsumerDescription"] == shown
    again = dict(StreamARN=stream.arn, ConsumerName="c")
    assert refused(kinesis.register_stream_consumer, **again)[0] == "ResourceInUseException"
    assert refused(kinesis.delete_stream, StreamName=stream.name)[0] == "ResourceInUseException"
    make_consumer(kinesis, stream, "d")
    page = kinesis.list_stream_consumers(StreamARN=stream.arn, MaxResults=1)
    rest = kinesis.list_stream_consumers(StreamARN=stream.arn, NextToken=page["NextToken"])
    names = [consumer["ConsumerName"] for consumer in page["Consumers"] + rest["Consumers"]]
    assert names == ["c", "d"]
    kinesis.deregister_stream_consumer(ConsumerARN=arn)
    assert refused(kinesis.describe_stream_consumer, ConsumerARN=arn) == (
        "ResourceNotFoundException",
        f"Consumer c, account {ACCOUNT} not found.",
    )
    kinesis.delete_stream(StreamName=stream.name, EnforceConsumerDeletion=True)


def test_a_consumer_is_sent_what_is_there_and_what_comes(kinesis, stream):
    stream.put(b"1", b"2")
    consumer = make_consumer(kinesis, stream)
    answer = kinesis.subscribe_to_shard(
        ConsumerARN=consumer, ShardId=shard_id(0), StartingPosition={"Type": "TRIM_HORIZON"}
    )
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert headers["content-type"] == "application/vnd.amazon.eventstream"
    threading.Timer(0.2, lambda: stream.put(b"3")).start()
    first, second = events_of(answer, 2)
    assert [record["Data"] for record in first["Records"]] == [b"1", b"2"]
    assert list(first["Records"][0]) == ["SequenceNumber", "ApproximateArrivalTimestamp", "Data", "PartitionKey"]
    assert first["MillisBehindLatest"] == 0 and "ChildShards" not in first
    assert [record["Data"] for record in second["Records"]] == [b"3"]
    number = first["ContinuationSequenceNumber"]
    assert stream.data(1, kind="AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=number) == [b"3"]


def test_a_subscription_ends_with_its_shard(kinesis, stream):
    numbers = stream.put(b"1", b"2")
    consumer = make_consumer(kinesis, stream)
    kinesis.split_shard(StreamName=stream.name, ShardToSplit=shard_id(0), NewStartingHashKey="5")
    position = {"Type": "AT_SEQUENCE_NUMBER", "SequenceNumber": numbers[1]}
    answer = kinesis.subscribe_to_shard(ConsumerARN=consumer, ShardId=shard_id(0), StartingPosition=position)
    events = [event["SubscribeToShardEvent"] for event in answer["EventStream"]]
    assert [record["Data"] for event in events for record in event["Records"]] == [b"2"]
    assert len(events[-1]["ChildShards"]) == 2 and "ContinuationSequenceNumber" not in events[-1]


def test_a_second_subscription_at_once_is_refused(kinesis, stream):
    consumer = make_consumer(kinesis, stream)
    subscribe = dict(ConsumerARN=consumer, ShardId=shard_id(0), StartingPosition={"Type": "LATEST"})
    answer = kinesis.subscribe_to_shard(**subscribe)
    begun = time.monotonic()
    code, _ = refused(kinesis.subscribe_to_shard, **subscribe)
    assert code == "ResourceInUseException" or time.monotonic() - begun > 5
    answer["EventStream"].close()
    unknown = consumer.replace("/consumer/c:", "/consumer/x:")
    missing = subscribe | {"ConsumerARN": unknown}
    assert refused(kinesis.subscribe_to_shard, **missing)[0] == "ResourceNotFoundException"


# § 11: the first frame of an answer in JSON.
INITIAL_RESPONSE = bytes.fromhex(
    "0000007200000060ab820d9e0d3a6d6573736167652d747970650700056576656e740b3a6576656e742d74797065070010696e697469616c2d"
    "726573706f6e73650d3a636f6e74656e742d7479706507001a6170706c69636174696f6e2f782d616d7a2d6a736f6e2d312e317b7de16e66e4"
)


def test_the_first_frame_is_that_of_the_specification(endpoint, kinesis, stream):
    consumer = make_consumer(kinesis, stream)
    body = {"ConsumerARN": consumer, "ShardId": shard_id(0), "StartingPosition": {"Type": "LATEST"}}
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(endpoint.url).netloc, timeout=20)
    headers = {"X-Amz-Target": "Kinesis_20131202.SubscribeToShard", "Content-Type": "application/x-amz-json-1.1"}
    connection.request("POST", "/", json.dumps(body), headers)
    assert connection.getresponse().read(len(INITIAL_RESPONSE)) == INITIAL_RESPONSE
    connection.close()
