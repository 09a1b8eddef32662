"""Tables and their items over the death of the program."""

import os

import pytest

from program.support import client

pytestmark = pytest.mark.skipif("POSTHASTE_BIN" not in os.environ, reason="needs POSTHASTE_BIN to start")

ACCOUNTS = 12


def start_with_tables(start, flags):
    server = start(*flags)
    return server, client(server, "dynamodb")


def test_tables_items_and_indexes_survive_a_kill(start, tmp_path):
    flags = ["--data", tmp_path / "data"]
    server, ddb = start_with_tables(start, flags)
    ddb.create_table(
        TableName="table",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ["pk", "owner"]],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-owner",
                "KeySchema": [{"AttributeName": "owner", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    for at in range(30):
        ddb.put_item(TableName="table", Item={"pk": {"S": str(at)}, "owner": {"S": "a"}, "n": {"N": str(at)}})
    for at in range(10):
        ddb.delete_item(TableName="table", Key={"pk": {"S": str(at)}})
    update = {"UpdateExpression": "SET #o = :b ADD n :one", "ExpressionAttributeNames": {"#o": "owner"}}
    values = {":b": {"S": "b"}, ":one": {"N": "1000"}}
    ddb.update_item(TableName="table", Key={"pk": {"S": "10"}}, ExpressionAttributeValues=values, **update)
    made = ddb.describe_table(TableName="table")["Table"]
    server.close()
    server, ddb = start_with_tables(start, flags)
    shown = ddb.describe_table(TableName="table")["Table"]
    assert shown == made and shown["ItemCount"] == 20
    items = {item["pk"]["S"]: item for item in ddb.scan(TableName="table")["Items"]}
    assert items.keys() == {str(at) for at in range(10, 30)}
    assert items["10"] == {"pk": {"S": "10"}, "owner": {"S": "b"}, "n": {"N": "1010"}}
    found = ddb.query(
        TableName="table",
        IndexName="by-owner",
        KeyConditionExpression="#o = :b",
        ExpressionAttributeNames={"#o": "owner"},
        ExpressionAttributeValues={":b": {"S": "b"}},
    )
    assert found["Items"] == [items["10"]]


def test_a_transaction_is_whole_after_a_kill_and_its_token_is_known(start, tmp_path):
    flags = ["--data", tmp_path / "data"]
    server, ddb = start_with_tables(start, flags)
    for table in ["one", "two"]:
        ddb.create_table(
            TableName=table + "-accounts",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )

    def move(ddb, at, token):
        def add(table, amount):
            return {
                "Update": {
                    "TableName": table + "-accounts",
                    "Key": {"pk": {"S": str(at)}},
                    "UpdateExpression": "ADD amount :a",
                    "ExpressionAttributeValues": {":a": {"N": str(amount)}},
                }
            }

        ddb.transact_write_items(TransactItems=[add("one", -5), add("two", 5)], ClientRequestToken=token)

    for at in range(ACCOUNTS):
        move(ddb, at, f"token-{at}")
        if at == 6:
            server.close()
            server, ddb = start_with_tables(start, flags)
            # The client did not hear the answer, and asks again.
            move(ddb, at, f"token-{at}")
    server.close()
    server, ddb = start_with_tables(start, flags)
    for table, amount in [("one", "-5"), ("two", "5")]:
        items = ddb.scan(TableName=table + "-accounts")["Items"]
        assert [item["amount"]["N"] for item in items] == [amount] * ACCOUNTS


def test_memory_has_an_end_and_deletes_go_on(start):
    server = start("--in-memory", "--dynamodb-memory", "1MiB")
    ddb = client(server, "dynamodb")
    ddb.create_table(
        TableName="table",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    for at in range(2):
        ddb.put_item(TableName="table", Item={"pk": {"S": str(at)}, "x": {"S": "x" * 400_000}})
    with pytest.raises(ddb.exceptions.ProvisionedThroughputExceededException):
        ddb.put_item(TableName="table", Item={"pk": {"S": "2"}, "x": {"S": "x" * 400_000}})
    ddb.delete_item(TableName="table", Key={"pk": {"S": "0"}})
    ddb.put_item(TableName="table", Item={"pk": {"S": "2"}, "x": {"S": "x" * 400_000}})
    ddb.delete_table(TableName="table")
