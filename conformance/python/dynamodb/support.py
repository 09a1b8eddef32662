"""What the tests of DynamoDB share."""

import pytest
from botocore.exceptions import ClientError

from sqs.support import unique

ACCOUNT = "000000000000"
REGION = "us-east-1"


def s(text):
    return {"S": text}


def n(number):
    return {"N": str(number)}


def make_table(ddb, sk=None, **more):
    """The name of a fresh table on demand."""
    name = unique("table")
    attributes = [{"AttributeName": "pk", "AttributeType": "S"}]
    keys = [{"AttributeName": "pk", "KeyType": "HASH"}]
    if sk:
        attributes.append({"AttributeName": "sk", "AttributeType": sk})
        keys.append({"AttributeName": "sk", "KeyType": "RANGE"})
    attributes += more.pop("attributes", [])
    ddb.create_table(
        TableName=name, AttributeDefinitions=attributes, KeySchema=keys, BillingMode="PAY_PER_REQUEST", **more
    )
    return name


def failed(call, **arguments):
    """The answer of a request that fails."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response


def refused(call, **arguments):
    """Code and text of a request that fails."""
    error = failed(call, **arguments)["Error"]
    return error["Code"], error["Message"]


def all_pages(call, **arguments):
    """The items of all pages, and how many pages there are."""
    items, pages = [], 0
    while True:
        answer = call(**arguments)
        items += answer["Items"]
        pages += 1
        if "LastEvaluatedKey" not in answer:
            return items, pages
        arguments["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
