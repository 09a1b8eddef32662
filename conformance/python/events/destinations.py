"""How tests make API destinations that lead to a receiver."""

from sqs.support import unique

BASIC = ("BASIC", {"BasicAuthParameters": {"Username": "user", "Password": "s3cret"}})
API_KEY = ("API_KEY", {"ApiKeyAuthParameters": {"ApiKeyName": "x-key", "ApiKeyValue": "s3cret"}})


def make_connection(events, credentials=BASIC, parameters=None):
    """The ARN of a fresh connection."""
    kind, given = credentials
    if parameters:
        given = {**given, "InvocationHttpParameters": parameters}
    return events.create_connection(Name=unique("c"), AuthorizationType=kind, AuthParameters=given)["ConnectionArn"]


def make_destination(events, url, credentials=BASIC, method="POST", parameters=None, **more):
    """The ARN of a fresh API destination that leads to a URL."""
    connection = make_connection(events, credentials, parameters)
    endpoint = {"InvocationEndpoint": url, "HttpMethod": method, **more}
    made = events.create_api_destination(Name=unique("d"), ConnectionArn=connection, **endpoint)
    return made["ApiDestinationArn"]
