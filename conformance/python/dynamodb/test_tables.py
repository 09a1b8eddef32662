"""Tables: how they are declared, changed, shown and deleted (facts/dynamodb.md § 13, § 15)."""

import re
import zlib

import requests

from dynamodb.support import ACCOUNT, REGION, make_table, n, refused, s
from scheduler.support import now
from sqs.support import unique

HASH = [{"AttributeName": "pk", "KeyType": "HASH"}]
PK = [{"AttributeName": "pk", "AttributeType": "S"}]
ON_DEMAND = {"BillingMode": "PAY_PER_REQUEST"}


def test_a_table_is_made_described_listed_and_deleted(ddb):
    name = unique("table")
    arn = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}"
    made = ddb.create_table(TableName=name, AttributeDefinitions=PK, KeySchema=HASH, **ON_DEMAND)["TableDescription"]
    assert (made["TableStatus"], made["TableArn"], made["ItemCount"], made["TableSizeBytes"]) == ("CREATING", arn, 0, 0)
    assert made["BillingModeSummary"] == {"BillingMode": "PAY_PER_REQUEST"} and "WarmThroughput" not in made
    units = {"NumberOfDecreasesToday": 0, "ReadCapacityUnits": 0, "WriteCapacityUnits": 0}
    assert made["ProvisionedThroughput"] == units and made["DeletionProtectionEnabled"] is False
    assert refused(ddb.create_table, TableName=name, AttributeDefinitions=PK, KeySchema=HASH, **ON_DEMAND) == (
        "ResourceInUseException",
        f"Table already exists: {name}",
    )
    ddb.get_waiter("table_exists").wait(TableName=name)
    shown = ddb.describe_table(TableName=arn)["Table"]
    assert (shown["TableStatus"], shown["TableId"]) == ("ACTIVE", made["TableId"])
    warm = {"ReadUnitsPerSecond": 12000, "WriteUnitsPerSecond": 4000, "Status": "ACTIVE"}
    assert shown["WarmThroughput"] == warm
    assert "LastUpdateToPayPerRequestDateTime" in shown["BillingModeSummary"]
    assert name in ddb.list_tables(ExclusiveStartTableName=name[:-1])["TableNames"]
    first = ddb.list_tables(Limit=1)
    assert len(first["TableNames"]) == 1
    gone = ddb.delete_table(TableName=name)["TableDescription"]
    assert (gone["TableStatus"], gone["TableId"]) == ("DELETING", made["TableId"])
    assert "KeySchema" not in gone and "CreationDateTime" not in gone
    missing = ("ResourceNotFoundException", f"Requested resource not found: Table: {name} not found")
    assert refused(ddb.describe_table, TableName=name) == missing
    assert refused(ddb.delete_table, TableName=name) == missing
    assert refused(ddb.get_item, TableName=name, Key={"pk": s("a")}) == (
        "ResourceNotFoundException",
        "Requested resource not found",
    )
    ddb.get_waiter("table_not_exists").wait(TableName=name)


def test_what_cannot_be_declared_is_refused_in_aws_s_words(ddb):
    wrong = "One or more parameter values were invalid: "
    a = [{"AttributeName": "a", "AttributeType": "S"}]
    index = {"IndexName": "gsi", "KeySchema": [{"AttributeName": "a", "KeyType": "HASH"}]}
    for arguments, text in [
        (
            {"AttributeDefinitions": PK, "KeySchema": HASH},
            wrong + "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
        ),
        (
            {"AttributeDefinitions": PK + a, "KeySchema": HASH} | ON_DEMAND,
            wrong + "Number of attributes in KeySchema does not exactly match number of attributes defined in "
            "AttributeDefinitions",
        ),
        (
            {"AttributeDefinitions": PK, "KeySchema": [{"AttributeName": "pk", "KeyType": "RANGE"}]} | ON_DEMAND,
            "Invalid KeySchema: The first KeySchemaElement is not a HASH key type",
        ),
        (
            {"AttributeDefinitions": PK, "KeySchema": HASH, "GlobalSecondaryIndexes": [index | {"Projection": {}}]}
            | ON_DEMAND,
            wrong + "Some index key attributes are not defined in AttributeDefinitions. Keys: [a], "
            "AttributeDefinitions: [pk]",
        ),
        (
            {"AttributeDefinitions": PK + a, "KeySchema": HASH, "GlobalSecondaryIndexes": [index | {"Projection": {}}]}
            | ON_DEMAND,
            wrong + "Unknown ProjectionType: null",
        ),
        (
            {
                "AttributeDefinitions": PK + a,
                "KeySchema": HASH,
                "LocalSecondaryIndexes": [index | {"Projection": {"ProjectionType": "ALL"}}],
            }
            | ON_DEMAND,
            wrong + "Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex",
        ),
    ]:
        assert refused(ddb.create_table, TableName=unique("t"), **arguments) == ("ValidationException", text)


def test_a_table_is_changed(ddb, table):
    ddb.update_table(TableName=table, DeletionProtectionEnabled=True)
    code, text = refused(ddb.delete_table, TableName=table)
    assert (code, text.startswith("Resource cannot be deleted as it is currently protected")) == (
        "ValidationException",
        True,
    )
    ddb.update_table(TableName=table, DeletionProtectionEnabled=False)
    units = {"ReadCapacityUnits": 3, "WriteCapacityUnits": 4}
    ddb.update_table(TableName=table, BillingMode="PROVISIONED", ProvisionedThroughput=units)
    shown = ddb.describe_table(TableName=table)["Table"]
    assert shown["ProvisionedThroughput"] == units | {"NumberOfDecreasesToday": 0}
    assert "BillingModeSummary" not in shown and shown["WarmThroughput"]["WriteUnitsPerSecond"] == 4
    code, text = refused(ddb.update_table, TableName=table, ProvisionedThroughput=units)
    assert code == "ValidationException" and "will not change" in text
    assert refused(ddb.update_table, TableName=table)[1].startswith("At least one of ProvisionedThroughput")


def test_an_index_is_added_to_a_table_with_items_and_deleted(ddb, table):
    for number in range(600):
        if number % 25 == 0:
            puts = [
                {"PutRequest": {"Item": {"pk": s(str(at)), "owner": s(f"w{at % 3}"), "rest": s("x")}}}
                for at in range(number, number + 25)
            ]
            assert ddb.batch_write_item(RequestItems={table: puts})["UnprocessedItems"] == {}
    create = {
        "IndexName": "LeaseOwnerToLeaseKeyIndex",
        "KeySchema": [
            {"AttributeName": "owner", "KeyType": "HASH"},
            {"AttributeName": "pk", "KeyType": "RANGE"},
        ],
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }
    owner = {"AttributeName": "owner", "AttributeType": "S"}
    made = ddb.update_table(
        TableName=table, AttributeDefinitions=PK + [owner], GlobalSecondaryIndexUpdates=[{"Create": create}]
    )["TableDescription"]
    assert made["TableStatus"] == "UPDATING" and made["GlobalSecondaryIndexes"][0]["IndexStatus"] == "CREATING"
    while (index := ddb.describe_table(TableName=table)["Table"]["GlobalSecondaryIndexes"][0])["IndexStatus"] != "ACTIVE":
        assert index["Backfilling"] is True
    assert index["ItemCount"] == 600
    found = ddb.query(
        TableName=table,
        IndexName="LeaseOwnerToLeaseKeyIndex",
        KeyConditionExpression="#o = :o",
        ExpressionAttributeNames={"#o": "owner"},
        ExpressionAttributeValues={":o": s("w1")},
    )
    assert found["Count"] == 200 and found["Items"][0].keys() == {"pk", "owner"}
    ddb.update_table(TableName=table, GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": create["IndexName"]}}])
    shown = ddb.describe_table(TableName=table)["Table"]
    assert "GlobalSecondaryIndexes" not in shown and shown["AttributeDefinitions"] == PK
    assert refused(ddb.query, TableName=table, IndexName="x", KeyConditionExpression="pk = :p",
                   ExpressionAttributeValues={":p": s("a")}) == (
        "ValidationException",
        "The table does not have the specified index: x",
    )


def test_tags_recovery_and_what_tools_ask_for(ddb, table):
    arn = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{table}"
    ddb.tag_resource(ResourceArn=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    ddb.untag_resource(ResourceArn=arn, TagKeys=["a", "unknown"])
    assert ddb.list_tags_of_resource(ResourceArn=arn)["Tags"] == [{"Key": "b", "Value": "2"}]
    missing = arn + "x"
    assert refused(ddb.list_tags_of_resource, ResourceArn=missing) == (
        "ResourceNotFoundException",
        f"Requested resource not found: ResourcArn: {missing} not found",
    )
    recovery = ddb.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
    assert recovery == {
        "ContinuousBackupsStatus": "ENABLED",
        "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "DISABLED"},
    }
    specification = {"PointInTimeRecoveryEnabled": True}
    ddb.update_continuous_backups(TableName=table, PointInTimeRecoverySpecification=specification)
    recovery = ddb.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
    assert recovery["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    assert refused(ddb.describe_continuous_backups, TableName="none") == (
        "TableNotFoundException",
        "Table not found: none",
    )
    insights = ddb.describe_contributor_insights(TableName=table)
    assert insights["ContributorInsightsStatus"] == "DISABLED"
    assert refused(ddb.get_resource_policy, ResourceArn=arn)[0] == "PolicyNotFoundException"
    assert ddb.describe_limits()["TableMaxReadCapacityUnits"] == 40000
    assert ddb.describe_endpoints()["Endpoints"]


def test_items_expire(ddb, clock, endpoint):
    table = make_table(ddb)
    off = ddb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    assert off == {"TimeToLiveStatus": "DISABLED"}
    on = {"Enabled": True, "AttributeName": "ttl"}
    before = {"pk": s("before"), "ttl": n(int(now(endpoint).timestamp()) + 50)}
    ddb.put_item(TableName=table, Item=before)
    assert ddb.update_time_to_live(TableName=table, TimeToLiveSpecification=on)["TimeToLiveSpecification"] == on
    shown = ddb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    assert shown == {"TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}
    assert refused(ddb.update_time_to_live, TableName=table, TimeToLiveSpecification=on) == (
        "ValidationException",
        "TimeToLive is already enabled",
    )
    moment = int(now(endpoint).timestamp())
    six_years = 6 * 365 * 86400
    for key, value in [
        ("soon", n(moment + 100)),
        ("late", n(moment + 5000)),
        ("text", s(str(moment + 100))),
        ("ancient", n(moment - six_years)),
    ]:
        ddb.put_item(TableName=table, Item={"pk": s(key), "ttl": value})
    clock.advance(200)
    keys = sorted(item["pk"]["S"] for item in ddb.scan(TableName=table)["Items"])
    assert keys == ["ancient", "late", "text"]
    ddb.update_item(TableName=table, Key={"pk": s("late")}, UpdateExpression="REMOVE #t", ExpressionAttributeNames={"#t": "ttl"})
    clock.advance(6000)
    assert ddb.scan(TableName=table, Select="COUNT")["Count"] == 3


def test_the_bytes_of_answers_and_refusals(endpoint):
    """CRC-32, name spaces of errors, unknown operations (facts/dynamodb.md § 1, § 2, § 20)."""

    def ask(operation, body):
        credential = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0"
        headers = {
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": f"DynamoDB_20120810.{operation}",
            "Authorization": credential,
        }
        answer = requests.post(endpoint.url, body, headers=headers, timeout=30)
        assert answer.headers["x-amz-crc32"] == str(zlib.crc32(answer.content))
        assert answer.headers["content-type"] == "application/x-amz-json-1.0"
        return answer

    assert ask("ListTables", '{"ExclusiveStartTableName":"zzzz"}').headers["x-amz-crc32"] == "1315925753"
    assert zlib.crc32(b"{}") == 2745614147
    wrong = ask("PutItem", '{"TableName":""}')
    assert wrong.json()["__type"] == "com.amazon.coral.validate#ValidationException" and wrong.status_code == 400
    missing = ask("DescribeTable", '{"TableName":"none"}').json()
    assert missing["__type"] == "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException"
    for operation in ["ExecuteStatement", "CreateGlobalTable", "Nonsense"]:
        unknown = ask(operation, "{}").json()
        assert unknown["__type"] == "com.amazon.coral.service#UnknownOperationException"
    number = ask("GetItem", '{"TableName":"none","Key":{"pk":{"N":123}}}').json()
    assert number["__type"] == "com.amazon.coral.service#SerializationException"
    assert re.search("NUMBER_VALUE cannot be converted to String", str(number))
    deep = '{"L":[' * 100 + '{"S":"x"}' + "]}" * 100
    assert ask("PutItem", '{"TableName":"none","Item":{"pk":%s}}' % deep).status_code == 400
