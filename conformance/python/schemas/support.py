"""What the tests of schemas share."""

import json

import pytest
from botocore.exceptions import ClientError

ACCOUNT = "000000000000"
REGION = "us-east-1"
PREFIX = f"arn:aws:schemas:{REGION}:{ACCOUNT}:"
OPENAPI = json.dumps({"openapi": "3.0.0", "info": {"version": "1.0.0", "title": "T"}, "paths": {}})
DRAFT4 = json.dumps({"$schema": "http://json-schema.org/draft-04/schema#", "title": "T", "type": "object"})


def refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response
    return error["ResponseMetadata"]["HTTPStatusCode"], error["Error"]["Code"]
