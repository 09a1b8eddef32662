"""Requests to SQS written by hand over plain HTTP, for what SDKs hide."""

import http.client
import json
import types
import uuid
from urllib.parse import urlencode, urlsplit
from xml.etree import ElementTree

AUTHORIZATION = (
    "AWS4-HMAC-SHA256 Credential=test/20261121/us-east-1/sqs/aws4_request, "
    "SignedHeaders=host;x-amz-date, Signature=" + "0" * 64
)
XMLNS = "{http://queue.amazonaws.com/doc/2012-11-05/}"
VERSION = "2012-11-05"


def call(endpoint, method="POST", path="/", body=b"", headers=None):
    """One request; the answer as (status, headers, body, and `json()`/`xml()` to read the body).

    It is signed as if by an access key `test`, unless `headers` say otherwise; a header that is None is left out.
    """
    sent = {"Authorization": AUTHORIZATION, **(headers or {})}
    sent = {name: value for name, value in sent.items() if value is not None}
    connection = http.client.HTTPConnection(urlsplit(endpoint.url).netloc, timeout=30)
    try:
        connection.request(method, path, body, sent)
        answer = connection.getresponse()
        content = answer.read()
    finally:
        connection.close()
    return types.SimpleNamespace(
        status=answer.status,
        headers={name.lower(): value for name, value in answer.getheaders()},
        body=content,
        json=lambda: json.loads(content),
        xml=lambda: ElementTree.fromstring(content),
    )


def json_call(endpoint, operation, arguments=None, headers=None, path="/", query_mode=True, version="1.0"):
    """An awsJson request. `arguments` may be bytes, to send something that is no JSON."""
    body = arguments if isinstance(arguments, bytes) else json.dumps(arguments or {}).encode()
    sent = {"X-Amz-Target": f"AmazonSQS.{operation}", "Content-Type": f"application/x-amz-json-{version}"}
    if query_mode:
        sent["x-amzn-query-mode"] = "true"
    return call(endpoint, path=path, body=body, headers={**sent, **(headers or {})})


def query_call(endpoint, action=None, headers=None, path="/", method="POST", **parameters):
    """A request of the query protocol; `parameters` are form fields, with `__` for the dot in a name."""
    fields = {name.replace("__", "."): value for name, value in parameters.items()}
    if action:
        fields = {"Action": action, "Version": VERSION, **fields}
    form = urlencode(fields)
    if method == "GET":
        return call(endpoint, "GET", f"{path}?{form}" if form else path, headers=headers)
    sent = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    return call(endpoint, "POST", path, form.encode(), {**sent, **(headers or {})})


def is_uuid(text):
    try:
        return str(uuid.UUID(text)) == text.lower()
    except (ValueError, TypeError):
        return False


def path_of(url):
    return urlsplit(url).path
