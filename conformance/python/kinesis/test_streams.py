"""Streams and their shards: made, described, changed (facts/kinesis.md)."""

import datetime

from kinesis.support import ACCOUNT, REGION, Stream, refused, shard_id
from sqs.support import unique

LAST = str(2**128 - 1)


def test_a_stream_is_made_described_and_deleted(kinesis):
    name = unique("stream")
    answer = kinesis.create_stream(StreamName=name, ShardCount=2, Tags={"a": "1"})
    # § 10: no body where the model has no output.
    assert answer["ResponseMetadata"]["HTTPHeaders"].get("content-length", "0") == "0"
    again = refused(kinesis.create_stream, StreamName=name, ShardCount=2)
    assert again == ("ResourceInUseException", f"Stream {name} under account {ACCOUNT} already exists.")
    shown = kinesis.describe_stream(StreamName=name)["StreamDescription"]
    assert shown["StreamARN"] == f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{name}"
    assert (shown["StreamStatus"], shown["HasMoreShards"]) == ("ACTIVE", False)
    assert shown["StreamModeDetails"] == {"StreamMode": "PROVISIONED"}
    assert (shown["RetentionPeriodHours"], shown["EncryptionType"]) == (24, "NONE")
    assert shown["EnhancedMonitoring"] == [{"ShardLevelMetrics": []}]
    assert isinstance(shown["StreamCreationTimestamp"], datetime.datetime)
    # § 11
    half = 2**127
    ranges = [shard["HashKeyRange"] for shard in shown["Shards"]]
    assert ranges == [
        {"StartingHashKey": "0", "EndingHashKey": str(half - 1)},
        {"StartingHashKey": str(half), "EndingHashKey": LAST},
    ]
    assert all(list(shard) == ["ShardId", "HashKeyRange", "SequenceNumberRange"] for shard in shown["Shards"])
    by_arn = kinesis.describe_stream_summary(StreamARN=shown["StreamARN"])["StreamDescriptionSummary"]
    assert (by_arn["OpenShardCount"], by_arn["ConsumerCount"], by_arn["MaxRecordSizeInKiB"]) == (2, 0, 1024)
    assert kinesis.list_tags_for_stream(StreamName=name)["Tags"] == [{"Key": "a", "Value": "1"}]
    kinesis.delete_stream(StreamName=name)
    gone = refused(kinesis.describe_stream, StreamName=name)
    assert gone == ("ResourceNotFoundException", f"Stream {name} under account {ACCOUNT} not found.")


def test_a_stream_without_a_count_is_on_demand(kinesis):
    # § 16 (recorded)
    stream = Stream(kinesis, shards=None)
    assert len(stream.shards()) == 4
    shown = kinesis.describe_stream_summary(StreamName=stream.name)["StreamDescriptionSummary"]
    assert shown["StreamModeDetails"] == {"StreamMode": "ON_DEMAND"}
    split = dict(StreamName=stream.name, ShardToSplit=shard_id(0), NewStartingHashKey="5")
    assert refused(kinesis.split_shard, **split)[0] == "ValidationException"
    kinesis.update_stream_mode(StreamARN=stream.arn, StreamModeDetails={"StreamMode": "PROVISIONED"})
    kinesis.split_shard(**split)
    assert len(stream.shards()) == 6


def test_streams_are_listed(kinesis):
    prefix = unique("list")
    for n in range(3):
        kinesis.create_stream(StreamName=f"{prefix}-{n}", ShardCount=1)
    page = kinesis.list_streams(ExclusiveStartStreamName=prefix, Limit=2)
    assert page["StreamNames"] == [f"{prefix}-0", f"{prefix}-1"] and page["HasMoreStreams"]
    assert page["StreamSummaries"][0]["StreamStatus"] == "ACTIVE"
    page = kinesis.list_streams(NextToken=page["NextToken"], Limit=1)
    assert page["StreamNames"] == [f"{prefix}-2"]


def test_shards_are_split_merged_and_listed(kinesis, stream):
    kinesis.split_shard(StreamName=stream.name, ShardToSplit=shard_id(0), NewStartingHashKey=str(2**127))
    kinesis.merge_shards(StreamARN=stream.arn, ShardToMerge=shard_id(1), AdjacentShardToMerge=shard_id(2))
    shards = stream.shards()
    assert [shard["ShardId"] for shard in shards] == [shard_id(n) for n in range(4)]
    assert (shards[3]["ParentShardId"], shards[3]["AdjacentParentShardId"]) == (shard_id(1), shard_id(2))
    numbers = [shard["SequenceNumberRange"] for shard in shards]
    assert int(numbers[0]["EndingSequenceNumber"]) < int(numbers[1]["StartingSequenceNumber"])
    assert int(numbers[2]["EndingSequenceNumber"]) < int(numbers[3]["StartingSequenceNumber"])
    assert "EndingSequenceNumber" not in numbers[3]
    latest = stream.shards(ShardFilter={"Type": "AT_LATEST"})
    assert [shard["ShardId"] for shard in latest] == [shard_id(3)]
    page = kinesis.list_shards(StreamName=stream.name, MaxResults=3)
    rest = kinesis.list_shards(NextToken=page["NextToken"])
    assert len(page["Shards"]) == 3 and len(rest["Shards"]) == 1 and "NextToken" not in rest
    both = dict(StreamName=stream.name, NextToken=page["NextToken"])
    assert refused(kinesis.list_shards, **both)[0] == "InvalidArgumentException"
    closed = dict(StreamName=stream.name, ShardToSplit=shard_id(0), NewStartingHashKey="5")
    assert "has already been merged or split" in refused(kinesis.split_shard, **closed)[1]


def test_the_shard_count_is_updated(kinesis, stream):
    update = dict(StreamName=stream.name, ScalingType="UNIFORM_SCALING")
    answer = kinesis.update_shard_count(**update, TargetShardCount=2)
    assert (answer["CurrentShardCount"], answer["TargetShardCount"]) == (1, 2)
    assert refused(kinesis.update_shard_count, **update, TargetShardCount=5)[0] == "LimitExceededException"
    assert kinesis.describe_limits()["OpenShardCount"] >= 2


def test_a_stream_is_set_to_something(kinesis, stream):
    of = {"StreamName": stream.name}
    kinesis.increase_stream_retention_period(**of, RetentionPeriodHours=48)
    assert refused(kinesis.increase_stream_retention_period, **of, RetentionPeriodHours=24) == (
        "InvalidArgumentException",
        f"Requested retention period (24 hours) for stream {stream.name} can not be shorter than existing retention period "
        "(48 hours). Use DecreaseRetentionPeriod API.",
    )
    kinesis.decrease_stream_retention_period(**of, RetentionPeriodHours=24)
    kinesis.start_stream_encryption(**of, EncryptionType="KMS", KeyId="alias/aws/kinesis")
    answer = kinesis.enable_enhanced_monitoring(**of, ShardLevelMetrics=["IncomingBytes", "OutgoingBytes"])
    assert answer["CurrentShardLevelMetrics"] == []
    kinesis.disable_enhanced_monitoring(**of, ShardLevelMetrics=["OutgoingBytes"])
    shown = kinesis.describe_stream(**of)["StreamDescription"]
    assert (shown["EncryptionType"], shown["KeyId"]) == ("KMS", "alias/aws/kinesis")
    assert shown["EnhancedMonitoring"] == [{"ShardLevelMetrics": ["IncomingBytes"]}]
    stream.put(b"1")
    assert stream.read(stream.iterator(), 1)[0][0]["EncryptionType"] == "KMS"
    kinesis.stop_stream_encryption(**of, EncryptionType="KMS", KeyId="alias/aws/kinesis")
    stream.put(b"2")
    # § 16: it is not there if the record is not encrypted.
    assert "EncryptionType" not in stream.read(stream.iterator(), 2)[0][1]


def test_streams_and_consumers_have_tags_and_policies(kinesis, stream):
    kinesis.add_tags_to_stream(StreamName=stream.name, Tags={"a": "1", "b": "2"})
    kinesis.remove_tags_from_stream(StreamName=stream.name, TagKeys=["a", "unknown"])
    kinesis.tag_resource(ResourceARN=stream.arn, Tags={"c": "3"})
    both = [{"Key": "b", "Value": "2"}, {"Key": "c", "Value": "3"}]
    assert kinesis.list_tags_for_resource(ResourceARN=stream.arn)["Tags"] == both
    page = kinesis.list_tags_for_stream(StreamName=stream.name, Limit=1)
    assert (page["Tags"], page["HasMoreTags"]) == (both[:1], True)
    made = kinesis.register_stream_consumer(StreamARN=stream.arn, ConsumerName="c", Tags={"x": "y"})
    consumer = made["Consumer"]["ConsumerARN"]
    assert kinesis.list_tags_for_resource(ResourceARN=consumer)["Tags"] == [{"Key": "x", "Value": "y"}]
    # § 16: without a policy it is an empty document.
    assert kinesis.get_resource_policy(ResourceARN=stream.arn)["Policy"] == "{}"
    policy = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"kinesis:*","Resource":"*"}]}'
    for arn in [stream.arn, consumer]:
        kinesis.put_resource_policy(ResourceARN=arn, Policy=policy)
        assert kinesis.get_resource_policy(ResourceARN=arn)["Policy"] == policy
        kinesis.delete_resource_policy(ResourceARN=arn)
        assert kinesis.get_resource_policy(ResourceARN=arn)["Policy"] == "{}"


def test_what_aws_has_and_this_server_does_not_is_refused(endpoint):
    import urllib.error
    import urllib.request

    headers = {"X-Amz-Target": "Kinesis_20131202.CreateQueue", "Content-Type": "application/x-amz-json-1.1"}
    request = urllib.request.Request(endpoint.url, data=b"{}", headers=headers)
    try:
        urllib.request.urlopen(request)
    except urllib.error.HTTPError as error:
        assert error.code == 400 and b"UnknownOperationException" in error.read()
    else:
        raise AssertionError("it is answered")
