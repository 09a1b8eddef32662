"""What libraries ask: KCL's leases, Powertools' idempotency, the lock client (facts/dynamodb.md § 18)."""

import json

from botocore.exceptions import ClientError

from dynamodb.support import failed, make_table, n, s
from sqs.support import unique


def test_kcl_s_leases(ddb):
    table = unique("leases")
    create = {
        "TableName": table,
        "AttributeDefinitions": [{"AttributeName": "leaseKey", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "leaseKey", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
    }
    assert failed(ddb.describe_table, TableName=table)["Error"]["Code"] == "ResourceNotFoundException"
    ddb.create_table(**create, DeletionProtectionEnabled=False)
    assert failed(ddb.create_table, **create)["Error"]["Code"] == "ResourceInUseException"
    key = {"leaseKey": s("shard-0")}
    lease = key | {
        "leaseCounter": n(0),
        "checkpoint": s("TRIM_HORIZON"),
        "ownerSwitchesSinceCheckpoint": n(0),
        "childShardIds": {"SS": ["shard-1"]},
        "throughputKBps": n("0.0"),
    }
    absent = {"leaseKey": {"Exists": False}}
    ddb.put_item(TableName=table, Item=lease, Expected=absent)
    assert failed(ddb.put_item, TableName=table, Item=lease, Expected=absent)["Error"]["Code"] == (
        "ConditionalCheckFailedException"
    )
    taken = ddb.update_item(
        TableName=table,
        Key=key,
        Expected={
            "leaseKey": {"Exists": True, "Value": s("shard-0")},
            "leaseOwner": {"Exists": False},
            "checkpointOwner": {"Exists": False},
        },
        AttributeUpdates={
            "leaseOwner": {"Value": s("worker"), "Action": "PUT"},
            "checkpointOwner": {"Action": "DELETE"},
            "ownerSwitchesSinceCheckpoint": {"Value": n(1), "Action": "ADD"},
            "leaseCounter": {"Value": n(1), "Action": "ADD"},
        },
        ReturnValues="ALL_NEW",
    )["Attributes"]
    assert (taken["leaseOwner"], taken["leaseCounter"], taken["throughputKBps"]) == (s("worker"), n(1), n(0))

    def renew(counter):
        return {
            "TableName": table,
            "Key": key,
            "Expected": {"leaseCounter": {"Value": n(counter)}, "checkpointOwner": {"Exists": False}},
            "AttributeUpdates": {"leaseCounter": {"Value": n(counter + 1), "Action": "PUT"}},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    ddb.update_item(**renew(1))
    assert failed(ddb.update_item, **renew(1))["Item"]["leaseCounter"] == n(2)
    index = {
        "IndexName": "LeaseOwnerToLeaseKeyIndex",
        "KeySchema": [
            {"AttributeName": "leaseOwner", "KeyType": "HASH"},
            {"AttributeName": "leaseKey", "KeyType": "RANGE"},
        ],
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }
    attributes = create["AttributeDefinitions"] + [{"AttributeName": "leaseOwner", "AttributeType": "S"}]
    ddb.update_table(
        TableName=table, AttributeDefinitions=attributes, GlobalSecondaryIndexUpdates=[{"Create": index}]
    )
    found = ddb.query(
        TableName=table,
        IndexName="LeaseOwnerToLeaseKeyIndex",
        KeyConditionExpression="leaseOwner = :leaseOwner",
        ExpressionAttributeValues={":leaseOwner": s("worker")},
    )
    assert [item["leaseKey"]["S"] for item in found["Items"]] == ["shard-0"]
    parts = [ddb.scan(TableName=table, Segment=at, TotalSegments=2)["Count"] for at in range(2)]
    assert sum(parts) == 1


def test_powertools_idempotency(ddb):
    table = make_table(ddb)
    names = {"#id": "pk", "#expiry": "expiration", "#status": "status", "#in_progress_expiry": "in_progress_expiration"}
    condition = (
        "attribute_not_exists(#id) OR #expiry < :now OR (#status = :inprogress AND attribute_exists(#in_progress_expiry) "
        "AND #in_progress_expiry < :now_in_millis)"
    )

    def start(now):
        ddb.put_item(
            TableName=table,
            Item={
                "pk": s("f#1"),
                "expiration": n(now + 3600),
                "status": s("INPROGRESS"),
                "in_progress_expiration": n(int(now * 1000) + 1000),
            },
            ConditionExpression=condition,
            ExpressionAttributeNames=names,
            ExpressionAttributeValues={":now": n(now), ":now_in_millis": n(int(now * 1000)), ":inprogress": s("INPROGRESS")},
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )

    start(1000.5)
    try:
        start(1001)
        raise AssertionError("it was in progress")
    except ClientError as error:
        assert error.response["Item"]["status"] == s("INPROGRESS")
    ddb.update_item(
        TableName=table,
        Key={"pk": s("f#1")},
        UpdateExpression="SET #response_data = :response_data, #expiry = :expiry, #status = :status",
        ExpressionAttributeNames={"#response_data": "data", "#expiry": "expiration", "#status": "status"},
        ExpressionAttributeValues={":response_data": s("{}"), ":expiry": n(4600), ":status": s("COMPLETED")},
    )
    assert failed(lambda: start(1002))["Item"]["data"] == s("{}")
    start(4601)


def test_the_lock_client(ddb):
    table = make_table(ddb)
    lock = {"pk": s("lock"), "rvn": s("1"), "ownerName": s("me")}
    names = {"#pk": "pk", "#rvn": "rvn", "#on": "ownerName"}
    ddb.put_item(
        TableName=table,
        Item=lock,
        ConditionExpression="attribute_not_exists(#pk)",
        ExpressionAttributeNames={"#pk": "pk"},
    )
    update = {
        "TableName": table,
        "Key": {"pk": s("lock")},
        "UpdateExpression": "SET #ld = :ld, #rvn = :newRvn REMOVE #d",
        "ConditionExpression": "attribute_exists(#pk) AND #rvn = :rvn AND #on = :on ",
        "ExpressionAttributeNames": names | {"#ld": "leaseDuration", "#d": "data"},
        "ExpressionAttributeValues": {":ld": s("20"), ":newRvn": s("2"), ":rvn": s("1"), ":on": s("me")},
    }
    ddb.update_item(**update)
    assert failed(ddb.update_item, **update)["Error"]["Code"] == "ConditionalCheckFailedException"


def test_a_state_machine_keeps_its_state_in_a_table(ddb, sfn):
    """The optimized integration, and the same by `aws-sdk` (AWS's developer guide of Step Functions, "Call DynamoDB")."""
    table = make_table(ddb)
    put = {
        "Type": "Task",
        "Resource": "arn:aws:states:::dynamodb:putItem",
        "Parameters": {
            "TableName": table,
            "Item": {"pk": {"S.$": "$.id"}, "n": {"N": "1"}},
            "ConditionExpression": "attribute_not_exists(pk)",
        },
        "ResultPath": None,
        "Next": "Count",
    }
    count = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:dynamodb:updateItem",
        "Parameters": {
            "TableName": table,
            "Key": {"pk": {"S.$": "$.id"}},
            "UpdateExpression": "ADD n :one",
            "ExpressionAttributeValues": {":one": {"N": "41"}},
        },
        "ResultPath": None,
        "Next": "Get",
    }
    get = {
        "Type": "Task",
        "Resource": "arn:aws:states:::dynamodb:getItem",
        "Parameters": {"TableName": table, "Key": {"pk": {"S.$": "$.id"}}},
        "ResultSelector": {"n.$": "$.Item.n.N"},
        "End": True,
    }
    put["Catch"] = [{"ErrorEquals": ["DynamoDB.ConditionalCheckFailedException"], "Next": "Again", "ResultPath": None}]
    again = {"Type": "Pass", "Result": {"n": "again"}, "End": True}
    machine = sfn.create_state_machine(
        name=unique("machine"),
        roleArn="arn:aws:iam::000000000000:role/states",
        definition=json.dumps({"StartAt": "Put", "States": {"Put": put, "Count": count, "Get": get, "Again": again}}),
    )["stateMachineArn"]
    for expected in ["42", "again"]:
        execution = sfn.start_execution(stateMachineArn=machine, input='{"id": "x"}')["executionArn"]
        while (shown := sfn.describe_execution(executionArn=execution))["status"] == "RUNNING":
            pass
        assert (shown["status"], json.loads(shown["output"])) == ("SUCCEEDED", {"n": expected})
