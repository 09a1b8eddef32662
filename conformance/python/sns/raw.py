"""Requests to SNS written by hand over plain HTTP, for what SDKs hide."""

from urllib.parse import urlencode

from sqs import raw

VERSION = "2010-03-31"
XMLNS = "{http://sns.amazonaws.com/doc/2010-03-31/}"
AUTHORIZATION = raw.AUTHORIZATION.replace("/sqs/", "/sns/")


def call(endpoint, action=None, parameters=None, headers=None, method="POST", version=VERSION):
    """A request of the query protocol, signed as if by an access key `test` unless `headers` say otherwise."""
    fields = dict(parameters or {})
    if action:
        fields = {"Action": action, **({"Version": version} if version else {}), **fields}
    form = urlencode(fields)
    sent = {"Authorization": AUTHORIZATION, **(headers or {})}
    if method == "GET":
        return raw.call(endpoint, "GET", f"/?{form}", headers=sent)
    sent = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8", **sent}
    return raw.call(endpoint, "POST", "/", form.encode(), sent)


def text(element, path):
    """The text at a path of an answer."""
    return element.findtext("/".join(XMLNS + step for step in path.split("/")))
