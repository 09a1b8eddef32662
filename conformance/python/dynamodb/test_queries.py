"""Query and Scan: ranges, pages, segments, filters, indexes (facts/dynamodb.md § 10, § 13)."""

import pytest

from dynamodb.support import all_pages, make_table, n, refused, s

GSI = "gsi"


@pytest.fixture
def filled(ddb, ranged):
    """Two partitions, one with sort keys 00 to 29."""
    for begin in range(0, 30, 15):
        puts = [
            {"PutRequest": {"Item": {"pk": s("a"), "sk": s(f"{at:02}"), "v": n(at % 3)}}} for at in range(begin, begin + 15)
        ]
        ddb.batch_write_item(RequestItems={ranged: puts})
    ddb.put_item(TableName=ranged, Item={"pk": s("b"), "sk": s("00")})
    return ranged


def keys(answer):
    return [item["sk"]["S"] for item in answer["Items"]]


@pytest.mark.parametrize(
    ("condition", "values", "first", "last", "count"),
    [
        ("pk = :p", {}, "00", "29", 30),
        ("sk = :a AND pk = :p", {":a": "07"}, "07", "07", 1),
        ("pk = :p AND sk < :a", {":a": "07"}, "00", "06", 7),
        ("pk = :p AND sk <= :a", {":a": "07"}, "00", "07", 8),
        ("pk = :p AND (sk > :a)", {":a": "07"}, "08", "29", 22),
        ("pk = :p AND :a <= sk", {":a": "07"}, "07", "29", 23),
        ("pk = :p AND sk BETWEEN :a AND :b", {":a": "07", ":b": "09"}, "07", "09", 3),
        ("pk = :p AND begins_with(sk, :a)", {":a": "2"}, "20", "29", 10),
    ],
)
def test_ranges(ddb, filled, condition, values, first, last, count):
    values = {":p": s("a")} | {key: s(value) for key, value in values.items()}
    arguments = {"TableName": filled, "KeyConditionExpression": condition, "ExpressionAttributeValues": values}
    found = ddb.query(**arguments)
    assert (keys(found)[0], keys(found)[-1], found["Count"], found["ScannedCount"]) == (first, last, count, count)
    assert "LastEvaluatedKey" not in found
    assert keys(ddb.query(**arguments, ScanIndexForward=False)) == keys(found)[::-1]
    for forward in [True, False]:
        items, pages = all_pages(ddb.query, **arguments, Limit=4, ScanIndexForward=forward)
        assert len(items) == count and pages == count // 4 + 1


def test_filters_count_behind_the_limit(ddb, filled):
    arguments = {
        "TableName": filled,
        "KeyConditionExpression": "pk = :p",
        "FilterExpression": "v = :v",
        "ExpressionAttributeValues": {":p": s("a"), ":v": n(1)},
        "Limit": 10,
    }
    found = ddb.query(**arguments)
    assert (found["Count"], found["ScannedCount"]) == (3, 10)
    assert found["LastEvaluatedKey"] == {"pk": s("a"), "sk": s("09")}
    counted = ddb.query(**arguments, Select="COUNT", ReturnConsumedCapacity="TOTAL")
    assert counted["Count"] == 3 and "Items" not in counted
    assert counted["ConsumedCapacity"]["CapacityUnits"] == 0.5
    only = ddb.query(**arguments, ProjectionExpression="v")
    assert only["Items"] == [{"v": n(1)}] * 3
    older = ddb.query(
        TableName=filled,
        KeyConditions={
            "pk": {"ComparisonOperator": "EQ", "AttributeValueList": [s("a")]},
            "sk": {"ComparisonOperator": "GT", "AttributeValueList": [s("27")]},
        },
        QueryFilter={"v": {"ComparisonOperator": "NE", "AttributeValueList": [n(2)]}},
    )
    assert keys(older) == ["28"]


def test_queries_that_are_refused(ddb, filled):
    def query(condition, **more):
        values = {":p": s("a"), ":q": s("b")}
        used = {key: value for key, value in values.items() if key in condition}
        return refused(
            ddb.query, TableName=filled, KeyConditionExpression=condition, ExpressionAttributeValues=used, **more
        )[1]

    assert query("sk = :p") == "Query condition missed key schema element: pk"
    assert query("pk > :p") == "Query key condition not supported"
    assert query("pk = :p AND v = :q") == "Query condition missed key schema element: sk"
    assert query("pk = :p OR pk = :q") == "Invalid operator used in KeyConditionExpression: OR"
    assert query("pk = :p AND pk = :q") == (
        "Invalid KeyConditionExpression: KeyConditionExpressions must only contain one condition per key"
    )
    assert query("pk = :p", FilterExpression="attribute_exists(sk)") == (
        "Filter Expression can only contain non-primary key attributes: Primary key attribute: sk"
    )
    assert query("pk = :p", Select="ALL_PROJECTED_ATTRIBUTES") == (
        "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName"
    )
    assert query("pk = :p", ExclusiveStartKey={"pk": s("a")}) == "The provided starting key is invalid"
    assert query("pk = :p", ExclusiveStartKey={"pk": s("b"), "sk": s("00")}) == (
        "The provided starting key is outside query boundaries based on provided conditions"
    )
    assert refused(ddb.query, TableName=filled)[1] == (
        "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request."
    )
    wrong = "One or more parameter values were invalid: Condition parameter type does not match schema type"
    values = {":p": n(1)}
    got = refused(ddb.query, TableName=filled, KeyConditionExpression="pk = :p", ExpressionAttributeValues=values)
    assert got[1] == wrong


def test_numbers_and_bytes_are_in_their_order(ddb):
    numbers = make_table(ddb, sk="N")
    values = ["-1e20", "-10", "-1.5", "-1e-20", "0", "1e-20", "0.5", "9", "10", "1e20"]
    for value in reversed(values):
        ddb.put_item(TableName=numbers, Item={"pk": s("a"), "sk": n(value)})
    arguments = {"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": s("a")}}
    found = ddb.query(TableName=numbers, **arguments)["Items"]
    assert [float(item["sk"]["N"]) for item in found] == [float(value) for value in values]
    binaries = make_table(ddb, sk="B")
    values = [b"\x00", b"\x00\x00", b"\x00\x01", b"\x01", b"\x7f", b"\x80", b"\xff", b"\xff\x00", b"\xff\xff"]
    for value in reversed(values):
        ddb.put_item(TableName=binaries, Item={"pk": s("a"), "sk": {"B": value}})
    assert [item["sk"]["B"] for item in ddb.query(TableName=binaries, **arguments)["Items"]] == values
    arguments["ExpressionAttributeValues"][":b"] = {"B": b"\xff"}
    arguments["KeyConditionExpression"] += " AND begins_with(sk, :b)"
    assert [item["sk"]["B"] for item in ddb.query(TableName=binaries, **arguments)["Items"]] == values[6:]


def test_scans_in_pages_and_segments(ddb, table):
    for begin in range(0, 200, 25):
        puts = [{"PutRequest": {"Item": {"pk": s(f"k{at}"), "streamName": s(f"s{at % 2}")}}} for at in range(begin, begin + 25)]
        ddb.batch_write_item(RequestItems={table: puts})
    whole = {item["pk"]["S"] for item in ddb.scan(TableName=table)["Items"]}
    assert len(whole) == 200
    segments = [all_pages(ddb.scan, TableName=table, Segment=at, TotalSegments=7, Limit=9)[0] for at in range(7)]
    found = [item["pk"]["S"] for segment in segments for item in segment]
    assert len(found) == 200 and set(found) == whole and all(segments)
    # Pages go on where they were, whatever is written meanwhile.
    page = ddb.scan(TableName=table, Limit=100)
    for item in page["Items"]:
        ddb.delete_item(TableName=table, Key={"pk": item["pk"]})
    rest = ddb.scan(TableName=table, ExclusiveStartKey=page["LastEvaluatedKey"])
    assert rest["Count"] == 100
    filtered = ddb.scan(
        TableName=table, FilterExpression="streamName = :streamName", ExpressionAttributeValues={":streamName": s("s1")}
    )
    assert 0 < filtered["Count"] < filtered["ScannedCount"] == 100
    older = {"streamName": {"ComparisonOperator": "IN", "AttributeValueList": [s("s1"), s("x")]}}
    assert ddb.scan(TableName=table, ScanFilter=older)["Count"] == filtered["Count"]
    for arguments, text in [
        (
            {"Segment": 3, "TotalSegments": 3},
            "The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: 3 is not less than "
            "TotalSegments: 3",
        ),
        (
            {"Segment": 0},
            "The TotalSegments parameter is required but was not present in the request when Segment parameter is present",
        ),
    ]:
        assert refused(ddb.scan, TableName=table, **arguments)[1] == text


def test_a_page_has_a_megabyte(ddb, ranged):
    for at in range(8):
        ddb.put_item(TableName=ranged, Item={"pk": s("a"), "sk": s(str(at)), "x": s("x" * 300_000)})
    values = {":p": s("a")}
    items, pages = all_pages(
        ddb.query, TableName=ranged, KeyConditionExpression="pk = :p", ExpressionAttributeValues=values
    )
    assert (len(items), pages) == (8, 3)
    counted = ddb.scan(TableName=ranged, Select="COUNT")
    assert counted["Count"] == 3 and "LastEvaluatedKey" in counted


def test_indexes(ddb):
    attributes = [{"AttributeName": name, "AttributeType": "S"} for name in ["state", "at"]]
    key = [{"AttributeName": "state", "KeyType": "HASH"}]
    sparse = {
        "IndexName": "pending",
        "KeySchema": key + [{"AttributeName": "at", "KeyType": "RANGE"}],
        "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["body"]},
    }
    by_state = {"IndexName": "by-state", "KeySchema": key, "Projection": {"ProjectionType": "KEYS_ONLY"}}
    table = make_table(ddb, attributes=attributes, GlobalSecondaryIndexes=[sparse, by_state])
    for at in range(10):
        item = {"pk": s(f"{at}"), "state": s("pending"), "body": s("b"), "rest": s("r")}
        if at % 2:
            item["at"] = s(f"{9 - at}")
        ddb.put_item(TableName=table, Item=item)
    arguments = {
        "TableName": table,
        "KeyConditionExpression": "#s = :s",
        "ExpressionAttributeNames": {"#s": "state"},
        "ExpressionAttributeValues": {":s": s("pending")},
    }
    found = ddb.query(**arguments, IndexName="pending")
    assert [item["pk"]["S"] for item in found["Items"]] == ["9", "7", "5", "3", "1"]
    assert found["Items"][0] == {"pk": s("9"), "state": s("pending"), "at": s("0"), "body": s("b")}
    items, pages = all_pages(ddb.query, **arguments, IndexName="by-state", Limit=3)
    assert (len(items), pages) == (10, 4) and items[0].keys() == {"pk", "state"}
    last = ddb.query(**arguments, IndexName="pending", Limit=2)["LastEvaluatedKey"]
    assert last == {"pk": s("7"), "state": s("pending"), "at": s("2")}
    update = {"UpdateExpression": "SET #s = :d REMOVE #a", "ExpressionAttributeNames": {"#s": "state", "#a": "at"}}
    answer = ddb.update_item(
        TableName=table,
        Key={"pk": s("9")},
        ExpressionAttributeValues={":d": s("done")},
        ReturnConsumedCapacity="INDEXES",
        **update,
    )
    parts = answer["ConsumedCapacity"]["GlobalSecondaryIndexes"]
    assert parts == {"pending": {"CapacityUnits": 1.0}, "by-state": {"CapacityUnits": 2.0}}
    assert ddb.query(**arguments, IndexName="pending")["Count"] == 4
    assert ddb.scan(TableName=table, IndexName="by-state")["Count"] == 10
    assert refused(ddb.query, **arguments, IndexName="pending", ConsistentRead=True)[1] == (
        "Consistent reads are not supported on global secondary indexes"
    )
    assert "is not supported for global secondary index pending" in (
        refused(ddb.query, **arguments, IndexName="pending", Select="ALL_ATTRIBUTES")[1]
    )


def test_an_index_with_several_attributes(ddb):
    names = ["h", "a", "b", "c", "d"]
    kinds = ["HASH", "RANGE", "RANGE", "RANGE", "RANGE"]
    index = {
        "IndexName": GSI,
        "KeySchema": [{"AttributeName": name, "KeyType": kind} for name, kind in zip(names, kinds)],
        "Projection": {"ProjectionType": "ALL"},
    }
    attributes = [{"AttributeName": name, "AttributeType": "S"} for name in names]
    table = make_table(ddb, attributes=attributes, GlobalSecondaryIndexes=[index])
    for at in range(8):
        ddb.put_item(
            TableName=table,
            Item={"pk": s(str(at)), "h": s("h"), "a": s("a"), "b": s("b"), "c": s(str(at // 2)), "d": s(str(at % 2))},
        )

    def query(condition, call=ddb.query, **more):
        values = {f":{name}": s(value) for name, value in {"h": "h", "a": "a", "b": "b", "c": "1"}.items()}
        used = {key: value for key, value in values.items() if key in condition}
        return call(
            TableName=table, IndexName=GSI, KeyConditionExpression=condition, ExpressionAttributeValues=used, **more
        )

    found = query("h = :h AND a = :a AND b = :b AND c > :c", Limit=2)
    assert [item["pk"]["S"] for item in found["Items"]] == ["4", "5"]
    assert found["LastEvaluatedKey"].keys() == {"a", "b", "c", "d", "h", "pk"}
    rest = query("h = :h AND a = :a AND b = :b AND c > :c", ExclusiveStartKey=found["LastEvaluatedKey"])
    assert [item["pk"]["S"] for item in rest["Items"]] == ["6", "7"]
    assert query("h = :h AND b = :b", lambda **arguments: refused(ddb.query, **arguments))[1] == (
        "RANGE key attributes a must have equality conditions specified in the query because a condition is present on key "
        "attribute b"
    )


def test_a_local_index_has_the_rest_from_the_table(ddb):
    index = {
        "IndexName": "lsi",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "at", "KeyType": "RANGE"}],
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }
    attributes = [{"AttributeName": "at", "AttributeType": "N"}]
    table = make_table(ddb, sk="S", attributes=attributes, LocalSecondaryIndexes=[index])
    for at in range(4):
        ddb.put_item(TableName=table, Item={"pk": s("a"), "sk": s(str(at)), "at": n(-at), "x": s("x")})
    arguments = {
        "TableName": table,
        "IndexName": "lsi",
        "KeyConditionExpression": "pk = :p",
        "ExpressionAttributeValues": {":p": s("a")},
        "ConsistentRead": True,
    }
    found = ddb.query(**arguments)["Items"]
    assert [item["sk"]["S"] for item in found] == ["3", "2", "1", "0"] and found[0].keys() == {"pk", "sk", "at"}
    assert "x" in ddb.query(**arguments, Select="ALL_ATTRIBUTES")["Items"][0]
    assert ddb.query(**arguments, ProjectionExpression="x")["Items"][0] == {"x": s("x")}
