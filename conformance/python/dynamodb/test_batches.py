"""Batches and transactions (facts/dynamodb.md § 11, § 12)."""

from dynamodb.support import failed, make_table, n, refused, s


def get(ddb, table, key):
    return ddb.get_item(TableName=table, Key={"pk": s(key)}).get("Item")


def test_batches(ddb, table):
    other = make_table(ddb)
    puts = [{"PutRequest": {"Item": {"pk": s(str(at)), "v": n(at)}}} for at in range(10)]
    answer = ddb.batch_write_item(RequestItems={table: puts, other: puts[:3]}, ReturnConsumedCapacity="TOTAL")
    assert answer["UnprocessedItems"] == {}
    units = {one["TableName"]: one["CapacityUnits"] for one in answer["ConsumedCapacity"]}
    assert units == {table: 10.0, other: 3.0}
    ddb.batch_write_item(RequestItems={table: [{"DeleteRequest": {"Key": {"pk": s("0")}}}]})
    names = {"#v": "v"}
    asked = {
        table: {"Keys": [{"pk": s(key)} for key in ["0", "1", "2"]]},
        other: {"Keys": [{"pk": s("1")}], "ProjectionExpression": "#v", "ExpressionAttributeNames": names},
    }
    answer = ddb.batch_get_item(RequestItems=asked)
    assert sorted(item["pk"]["S"] for item in answer["Responses"][table]) == ["1", "2"]
    assert answer["Responses"][other] == [{"v": n(1)}] and answer["UnprocessedKeys"] == {}
    none = ddb.batch_get_item(RequestItems={table: {"Keys": [{"pk": s("none")}]}})
    assert none["Responses"] == {table: []}
    twice = "Provided list of item keys contains duplicates"
    assert refused(ddb.batch_get_item, RequestItems={table: {"Keys": [{"pk": s("1")}] * 2}})[1] == twice
    mixed = [puts[1], {"DeleteRequest": {"Key": {"pk": s("1")}}}]
    assert refused(ddb.batch_write_item, RequestItems={table: mixed})[1] == twice
    # One wrong entry, and nothing is written.
    wrong = [{"PutRequest": {"Item": {"pk": s("new")}}}, {"PutRequest": {"Item": {"x": s("x")}}}]
    assert refused(ddb.batch_write_item, RequestItems={table: wrong})[1] == (
        "The provided key element does not match the schema"
    )
    assert get(ddb, table, "new") is None


def test_a_batch_that_is_too_large_for_one_group_is_written_in_parts(ddb, table):
    rest = {table: [{"PutRequest": {"Item": {"pk": s(str(at)), "x": s("x" * 390_000)}}} for at in range(10)]}
    rounds = 0
    while rest:
        rest = ddb.batch_write_item(RequestItems=rest)["UnprocessedItems"]
        rounds += 1
    assert rounds == 2 and ddb.describe_table(TableName=table)["Table"]["ItemCount"] == 10
    keys = [{"pk": s(str(at))} for at in range(10)]
    assert len(ddb.batch_get_item(RequestItems={table: {"Keys": keys}})["Responses"][table]) == 10


def test_a_transaction_writes_all_or_nothing(ddb, table):
    other = make_table(ddb)
    ddb.put_item(TableName=table, Item={"pk": s("stock"), "left": n(5)})

    def order(count, token=None):
        arguments = {"ClientRequestToken": token} if token else {}
        return {
            "TransactItems": [
                {"Put": {"TableName": other, "Item": {"pk": s("order"), "count": n(count)}}},
                {
                    "Update": {
                        "TableName": table,
                        "Key": {"pk": s("stock")},
                        "UpdateExpression": "SET #l = #l - :c",
                        "ConditionExpression": "#l >= :c",
                        "ExpressionAttributeNames": {"#l": "left"},
                        "ExpressionAttributeValues": {":c": n(count)},
                        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                    }
                },
                {
                    "ConditionCheck": {
                        "TableName": table,
                        "Key": {"pk": s("closed")},
                        "ConditionExpression": "attribute_not_exists(pk)",
                    }
                },
                {"Delete": {"TableName": other, "Key": {"pk": s("cart")}}},
            ],
        } | arguments

    answer = ddb.transact_write_items(**order(3), ReturnConsumedCapacity="TOTAL")
    units = {one["TableName"]: one for one in answer["ConsumedCapacity"]}
    assert units[other] == {"TableName": other, "CapacityUnits": 4.0, "WriteCapacityUnits": 4.0}
    assert get(ddb, table, "stock")["left"] == n(2) and get(ddb, other, "order")["count"] == n(3)
    error = failed(ddb.transact_write_items, **order(4))
    assert error["Error"]["Code"] == "TransactionCanceledException"
    assert error["Error"]["Message"] == (
        "Transaction cancelled, please refer cancellation reasons for specific reasons "
        "[None, ConditionalCheckFailed, None, None]"
    )
    assert error["CancellationReasons"] == [
        {"Code": "None"},
        {
            "Code": "ConditionalCheckFailed",
            "Message": "The conditional request failed",
            "Item": {"pk": s("stock"), "left": n(2)},
        },
        {"Code": "None"},
        {"Code": "None"},
    ]
    assert get(ddb, other, "order")["count"] == n(3)
    # A request that is repeated under its token has no second effect.
    for _ in range(2):
        ddb.transact_write_items(**order(1, "token"))
        assert get(ddb, table, "stock")["left"] == n(1)
    assert refused(ddb.transact_write_items, **order(2, "token"))[0] == "IdempotentParameterMismatchException"


def test_a_token_counts_for_ten_minutes(ddb, table, clock):
    add = {"Update": {"TableName": table, "Key": {"pk": s("a")}, "UpdateExpression": "ADD c :one",
                      "ExpressionAttributeValues": {":one": n(1)}}}
    for seconds, count in [(0, 1), (590, 1), (20, 2)]:
        clock.advance(seconds)
        ddb.transact_write_items(TransactItems=[add], ClientRequestToken="t")
        assert get(ddb, table, "a")["c"] == n(count)


def test_transactions_that_are_refused(ddb, table):
    put = {"Put": {"TableName": table, "Item": {"pk": s("a")}}}
    assert refused(ddb.transact_write_items, TransactItems=[put, put])[1] == (
        "Transaction request cannot include multiple operations on one item"
    )
    both = put | {"Delete": {"TableName": table, "Key": {"pk": s("b")}}}
    assert refused(ddb.transact_write_items, TransactItems=[both])[1] == (
        "TransactItems can only contain one of Check, Put, Update or Delete"
    )
    wrong = {"Put": {"TableName": table, "Item": {"pk": n(1)}}}
    error = failed(ddb.transact_write_items, TransactItems=[put, wrong])
    assert error["CancellationReasons"] == [
        {"Code": "None"},
        {
            "Code": "ValidationError",
            "Message": "One or more parameter values were invalid: Type mismatch for key pk expected: S actual: N",
        },
    ]
    missing = {"Put": {"TableName": "none", "Item": {"pk": s("a")}}}
    assert refused(ddb.transact_write_items, TransactItems=[missing]) == (
        "ResourceNotFoundException",
        "Requested resource not found",
    )
    assert get(ddb, table, "a") is None


def test_a_transaction_reads_in_order(ddb, table):
    ddb.put_item(TableName=table, Item={"pk": s("a"), "v": n(1), "w": n(2)})
    gets = [
        {"Get": {"TableName": table, "Key": {"pk": s("none")}}},
        {"Get": {"TableName": table, "Key": {"pk": s("a")}, "ProjectionExpression": "v"}},
    ]
    answer = ddb.transact_get_items(TransactItems=gets, ReturnConsumedCapacity="TOTAL")
    assert answer["Responses"] == [{}, {"Item": {"v": n(1)}}]
    assert answer["ConsumedCapacity"][0]["ReadCapacityUnits"] == 4.0
    assert refused(ddb.transact_get_items, TransactItems=[gets[0]] * 2)[0] == "ValidationException"
