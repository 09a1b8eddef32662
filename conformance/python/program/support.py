"""How the program's tests reach a server that they started."""

import json
import urllib.error
import urllib.request

import boto3
from botocore.config import Config


def client(server, service="sqs", account="test", region="us-east-1"):
    return boto3.client(
        service,
        endpoint_url=server.url,
        region_name=region,
        aws_access_key_id=account,
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )


def ask(server, path, order=None, method=None):
    """A page of the program about itself: (status, answer)."""
    body = None if order is None else json.dumps(order).encode()
    request = urllib.request.Request(server.url + path, body, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"null")
