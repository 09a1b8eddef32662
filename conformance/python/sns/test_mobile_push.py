"""Platform applications and their endpoints, and pushes to them."""

import json

import pytest

from sns.support import Topic
from sqs.support import refused, unique


class Application:
    """A platform application and its calls."""

    def __init__(self, sns, platform="GCM", **attributes):
        self.sns = sns
        self.name = unique("app")
        attributes = {"PlatformCredential": "secret", "PlatformPrincipal": "key", **attributes}
        self.arn = sns.create_platform_application(Name=self.name, Platform=platform, Attributes=attributes)[
            "PlatformApplicationArn"
        ]

    def device(self, token=None, **more):
        """The ARN of an endpoint."""
        return self.sns.create_platform_endpoint(
            PlatformApplicationArn=self.arn, Token=token or unique("token"), **more
        )["EndpointArn"]

    def attributes(self):
        return self.sns.get_platform_application_attributes(PlatformApplicationArn=self.arn)["Attributes"]


@pytest.fixture
def application(sns):
    return Application(sns)


def attributes(sns, device):
    return sns.get_endpoint_attributes(EndpointArn=device)["Attributes"]


@pytest.mark.parametrize("platform", ["GCM", "APNS", "APNS_SANDBOX", "ADM"])
def test_an_application_has_an_arn_of_platform_and_name(sns, account, platform):  # §1
    application = Application(sns, platform)
    assert application.arn == f"arn:aws:sns:us-east-1:{account}:app/{platform}/{application.name}"


def test_an_unknown_platform_is_refused(sns):
    with refused("InvalidParameter", 400):
        Application(sns, "PIGEON")


def test_applications_are_listed_changed_and_deleted(sns, application):  # §2
    sns.set_platform_application_attributes(
        PlatformApplicationArn=application.arn, Attributes={"EventEndpointCreated": "arn:aws:sns:us-east-1:0:t"}
    )
    assert application.attributes()["EventEndpointCreated"] == "arn:aws:sns:us-east-1:0:t"
    assert application.attributes()["Enabled"] == "true"
    pages = sns.get_paginator("list_platform_applications").paginate()
    listed = [one["PlatformApplicationArn"] for page in pages for one in page["PlatformApplications"]]
    assert application.arn in listed
    for _ in range(2):
        sns.delete_platform_application(PlatformApplicationArn=application.arn)
    with refused("NotFound", 404):
        application.attributes()


@pytest.mark.parametrize(
    ("platform", "more", "method"),
    [
        ("GCM", {}, "Key"),
        ("GCM", {"PlatformCredential": '{"type":"service_account"}'}, "Token"),
        ("APNS", {}, "Certificate"),
        ("APNS_SANDBOX", {"ApplePlatformTeamID": "A1B2C3D4E5", "ApplePlatformBundleID": "com.example.app"}, "Token"),
        ("ADM", {}, None),
    ],
)
def test_an_application_tells_its_kind_of_credentials(sns, platform, more, method):  # AWS's documentation
    assert Application(sns, platform, **more).attributes().get("AuthenticationMethod") == method


def test_user_data_has_a_limit(application):
    application.device(CustomUserData="x" * 2048)
    text = "Invalid value for attribute: CustomUserData: must be at most 2048 bytes long in UTF-8 encoding"
    with refused("InvalidParameter", 400, f"Invalid parameter: Attributes Reason: {text}"):
        application.device(CustomUserData="x" * 2049)


def test_secrets_are_not_told(application):
    found = application.attributes()
    assert "secret" not in json.dumps(found)


def test_a_device_has_an_arn_and_attributes(sns, application, account):  # §1, §2
    device = application.device("the-token", CustomUserData="mine")
    head, last = device.rsplit("/", 1)
    assert head == f"arn:aws:sns:us-east-1:{account}:endpoint/GCM/{application.name}"
    assert [len(part) for part in last.split("-")] == [8, 4, 4, 4, 12]
    assert attributes(sns, device) == {"Enabled": "true", "Token": "the-token", "CustomUserData": "mine"}


def test_a_device_registered_again_is_the_same(application):  # §2
    device = application.device("the-token", CustomUserData="mine")
    assert application.device("the-token", CustomUserData="mine") == device


def test_a_device_registered_again_with_other_data_is_refused(application):  # §2
    device = application.device("the-token", CustomUserData="mine")
    reason = f"Endpoint {device} already exists with the same Token, but different attributes."
    with refused("InvalidParameter", 400, f"Invalid parameter: Token Reason: {reason}"):
        application.device("the-token", CustomUserData="yours")


def test_devices_are_listed_a_hundred_at_a_time_and_deleted(sns, application):  # §2
    devices = [application.device() for _ in range(101)]
    pages = list(
        sns.get_paginator("list_endpoints_by_platform_application").paginate(PlatformApplicationArn=application.arn)
    )
    assert [len(page["Endpoints"]) for page in pages] == [100, 1]
    found = {one["EndpointArn"]: one["Attributes"]["Enabled"] for page in pages for one in page["Endpoints"]}
    assert found == {device: "true" for device in devices}
    for _ in range(2):
        sns.delete_endpoint(EndpointArn=devices[0])
    with refused("NotFound", 404):
        attributes(sns, devices[0])


def test_a_device_can_be_disabled(sns, application):  # §5
    device = application.device()
    sns.set_endpoint_attributes(EndpointArn=device, Attributes={"Enabled": "false", "CustomUserData": "x"})
    assert attributes(sns, device)["Enabled"] == "false"
    with refused("EndpointDisabled", 400, "Endpoint is disabled"):
        sns.publish(TargetArn=device, Message="x")
    with refused("EndpointDisabled", 400, "Endpoint is disabled"):  # before its structure is looked at
        sns.publish(TargetArn=device, Message="no JSON", MessageStructure="json")
    sns.set_endpoint_attributes(EndpointArn=device, Attributes={"Enabled": "true"})
    assert sns.publish(TargetArn=device, Message="x")["MessageId"]


def test_a_deleted_device_cannot_be_published_to(sns, application):  # §5
    device = application.device()
    sns.delete_endpoint(EndpointArn=device)
    text = "Invalid parameter: TargetArn Reason: No endpoint found for the target arn specified"
    with refused("InvalidParameter", 400, text):
        sns.publish(TargetArn=device, Message="x")


def test_a_push_is_told_in_the_outbox(sns, application, outbox):
    device = application.device()
    payload = json.dumps({"data": {"score": "7"}})
    sent = sns.publish(
        TargetArn=device, Message=json.dumps({"default": "d", "GCM": payload}), MessageStructure="json"
    )
    assert sent["MessageId"]
    outbox.one_about(device, payload)


def test_a_device_may_be_subscribed(topic, application, outbox):  # §4
    device = application.device()
    subscription = topic.subscribe("application", device)
    assert subscription.attribute("PendingConfirmation") == "false"
    topic.publish(f"pushed to {topic.name}")
    outbox.one_about(device, f"pushed to {topic.name}")


def test_pushes_have_texts_for_their_platform(topic, application, outbox):  # §7
    device = application.device()
    topic.subscribe("application", device)
    message = {"default": "for the others", "GCM": f"for {topic.name}", "APNS": "for apples"}
    topic.publish(json.dumps(message), MessageStructure="json")
    outbox.one_about(device, f"for {topic.name}")


def test_an_application_that_is_not_there_registers_nobody(sns, account):
    with refused("NotFound", 404):
        sns.create_platform_endpoint(
            PlatformApplicationArn=f"arn:aws:sns:us-east-1:{account}:app/GCM/{unique('never')}", Token="t"
        )


def test_topics_are_no_devices(sns, topic):
    assert isinstance(topic, Topic)
    with pytest.raises(sns.exceptions.ClientError) as caught:
        attributes(sns, topic.arn)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 404)
