"""Records are put and read (facts/kinesis.md §§ 3, 4, 11, 13, 16)."""

import datetime

from kinesis.support import ACCOUNT, Stream, refused, shard_id


def test_records_go_to_the_shards_of_their_keys(kinesis):
    stream = Stream(kinesis, shards=4)
    # § 11
    for key, shard in [("p", 2), ("partitionKey-1", 1), ("1", 3)]:
        put = kinesis.put_record(StreamName=stream.name, Data=b"", PartitionKey=key)
        assert put["ShardId"] == shard_id(shard)
        assert len(put["SequenceNumber"]) == 56 and "EncryptionType" not in put
    explicit = kinesis.put_record(StreamName=stream.name, Data=b"x", PartitionKey="p", ExplicitHashKey="0")
    assert explicit["ShardId"] == shard_id(0)
    records = [{"Data": b"%d" % n, "PartitionKey": key} for n, key in enumerate(["p", "1", "p", "1"])]
    answer = kinesis.put_records(StreamName=stream.name, Records=records)
    assert answer["FailedRecordCount"] == 0
    assert [record["ShardId"] for record in answer["Records"]] == [shard_id(n) for n in [2, 3, 2, 3]]
    assert stream.data(3, shard=2) == [b"", b"0", b"2"]


def test_data_of_all_kinds_comes_back_as_it_was(stream):
    # § 16
    data = [b"", bytes(range(256)), "Grüße €".encode(), b"\x00"]
    numbers = stream.put(*data, key="ключ")
    records, _ = stream.read(stream.iterator(), 4)
    assert [record["Data"] for record in records] == data
    assert [record["SequenceNumber"] for record in records] == numbers == sorted(numbers, key=int)
    assert {record["PartitionKey"] for record in records} == {"ключ"}
    assert isinstance(records[0]["ApproximateArrivalTimestamp"], datetime.datetime)


def test_each_iterator_stands_where_it_says(kinesis, stream):
    latest = stream.iterator(kind="LATEST")
    numbers = stream.put(b"1", b"2", b"3")
    assert [record["Data"] for record in stream.read(latest, 3)[0]] == [b"1", b"2", b"3"]
    at = dict(kind="AT_SEQUENCE_NUMBER", StartingSequenceNumber=numbers[1])
    assert stream.data(2, **at) == [b"2", b"3"]
    after = dict(kind="AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=numbers[1])
    assert stream.data(1, **after) == [b"3"]
    assert stream.data(3, kind="AT_TIMESTAMP", Timestamp=0) == [b"1", b"2", b"3"]
    got = kinesis.get_records(ShardIterator=stream.iterator(kind="LATEST"))
    assert got["Records"] == [] and got["NextShardIterator"] and got["MillisBehindLatest"] == 0
    assert "ChildShards" not in got
    wrong = dict(StreamName=stream.name, ShardId=shard_id(0), ShardIteratorType="AT_SEQUENCE_NUMBER")
    assert refused(kinesis.get_shard_iterator, **wrong, StartingSequenceNumber="1") == (
        "InvalidArgumentException",
        f"StartingSequenceNumber 1 used in GetShardIterator on shard {shard_id(0)} in stream {stream.name} under account "
        f"{ACCOUNT} is invalid because it did not come from this stream.",
    )
    assert refused(kinesis.get_records, ShardIterator="x") == ("InvalidArgumentException", "Invalid ShardIterator.")


def test_a_closed_shard_tells_of_its_children(kinesis, stream):
    stream.put(b"1")
    half = str(2**127)
    kinesis.split_shard(StreamName=stream.name, ShardToSplit=shard_id(0), NewStartingHashKey=half)
    records, answer = stream.read(stream.iterator(), 2)
    assert len(records) == 1 and "NextShardIterator" not in answer
    assert [child["ShardId"] for child in answer["ChildShards"]] == [shard_id(1), shard_id(2)]
    assert answer["ChildShards"][1]["ParentShards"] == [shard_id(0)]
    assert answer["ChildShards"][1]["HashKeyRange"]["StartingHashKey"] == half
    # § 15: KCL asks so.
    answer = kinesis.get_records(ShardIterator=stream.iterator(kind="LATEST"))
    assert len(answer["ChildShards"]) == 2 and "NextShardIterator" not in answer


def test_requests_have_bounds(kinesis, stream):
    of = {"StreamName": stream.name}
    code, text = refused(kinesis.put_records, **of, Records=[{"Data": b"", "PartitionKey": "k"}] * 501)
    assert code == "ValidationException"
    assert text.endswith("failed to satisfy constraint: Member must have length less than or equal to 500")
    long = {"Data": b"x" * (1 << 20), "PartitionKey": "k"}
    assert refused(kinesis.put_record, **of, **long)[0] == "InvalidArgumentException"
    long["Data"] = long["Data"][1:]
    kinesis.put_record(**of, **long)
    # § 10: ten megabytes.
    answer = kinesis.put_records(**of, Records=[{"Data": b"x" * 1_000_000, "PartitionKey": "k"}] * 10)
    assert answer["FailedRecordCount"] == 0
    assert [len(data) for data in stream.data(11)] == [(1 << 20) - 1] + [1_000_000] * 10
    records = [{"Data": b"x" * 1_048_000, "PartitionKey": "k"}] * 11
    assert refused(kinesis.put_records, **of, Records=records) == (
        "InvalidArgumentException",
        "Records size exceeds 10 MB limit",
    )
    assert refused(kinesis.put_record, **of, Data=b"", PartitionKey="")[0] == "ValidationException"


def test_a_record_of_ten_megabytes(kinesis, stream):
    kinesis.update_max_record_size(StreamARN=stream.arn, MaxRecordSizeInKiB=10_240)
    data = bytes(range(256)) * (10_200 << 2)
    stream.put(b"before")
    kinesis.put_record(StreamName=stream.name, Data=data, PartitionKey="k")
    stream.put(b"after")
    assert stream.data(3) == [b"before", data, b"after"]


def test_a_dry_run_does_nothing(kinesis, stream):
    put = dict(StreamName=stream.name, Data=b"", PartitionKey="k", DryRun=True)
    if "DryRun" not in kinesis.meta.service_model.operation_model("PutRecord").input_shape.members:
        return
    assert refused(kinesis.put_record, **put)[0] == "DryRunOperationException"
    assert kinesis.get_records(ShardIterator=stream.iterator())["Records"] == []
