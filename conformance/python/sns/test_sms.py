"""Text messages: settings, opt-outs, the sandbox, publishing to a phone."""

import pytest

from sns.support import string
from sqs.support import refused, unique


@pytest.fixture
def client(endpoint, clients_of):
    """A client of an account whose settings no other test uses."""
    return clients_of(endpoint, access_key=str(int(unique("")[-8:], 16)).rjust(12, "7"))[0]


def test_settings_are_shown_once_set(client):  # §2
    assert client.get_sms_attributes()["attributes"].get("DefaultSMSType") in (None, "Promotional")
    client.set_sms_attributes(attributes={"DefaultSMSType": "Transactional", "DefaultSenderID": "me"})
    found = client.get_sms_attributes()["attributes"]
    assert found["DefaultSMSType"] == "Transactional" and found["DefaultSenderID"] == "me"


def test_some_settings_can_be_asked_for(client):  # §2
    client.set_sms_attributes(attributes={"DefaultSMSType": "Transactional", "DefaultSenderID": "me"})
    assert client.get_sms_attributes(attributes=["DefaultSenderID"])["attributes"] == {"DefaultSenderID": "me"}


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"DefaultSMSType": "Poetry"}, "DefaultSMSType is invalid"),
        ({"FlyToTheMoon": "true"}, "FlyToTheMoon is not a valid attribute"),
    ],
)
def test_wrong_settings_are_refused(client, settings, text):  # without "Invalid parameter: "
    with refused("InvalidParameter", 400, text):
        client.set_sms_attributes(attributes=settings)


def test_a_number_has_not_opted_out_and_may_opt_in(client):  # §2
    assert client.check_if_phone_number_is_opted_out(phoneNumber="+15005550006")["isOptedOut"] is False
    assert client.list_phone_numbers_opted_out()["phoneNumbers"] == []
    client.opt_in_phone_number(phoneNumber="+15005550006")


def test_a_number_that_is_none_cannot_be_asked_about(client):
    with refused("InvalidParameter", 400):
        client.check_if_phone_number_is_opted_out(phoneNumber="nobody")


def test_numbers_of_the_sandbox_are_added_listed_and_removed(client):  # §2
    number = "+15005550007"
    client.create_sms_sandbox_phone_number(PhoneNumber=number, LanguageCode="en-US")
    (listed,) = client.list_sms_sandbox_phone_numbers()["PhoneNumbers"]
    assert listed == {"PhoneNumber": number, "Status": "Pending"}
    client.delete_sms_sandbox_phone_number(PhoneNumber=number)
    assert client.list_sms_sandbox_phone_numbers()["PhoneNumbers"] == []


def test_a_wrong_password_verifies_nothing(client):  # §6
    number = "+15005550008"
    client.create_sms_sandbox_phone_number(PhoneNumber=number)
    with pytest.raises(client.exceptions.ClientError) as caught:
        client.verify_sms_sandbox_phone_number(PhoneNumber=number, OneTimePassword="00000")
    assert caught.value.response["Error"]["Code"] in ("VerificationException", "Verification", "InvalidParameter")


def test_the_account_says_whether_it_is_in_the_sandbox(client):  # §2
    assert client.get_sms_sandbox_account_status()["IsInSandbox"] in (True, False)


def test_origination_numbers_can_be_listed(client):  # §2
    assert client.list_origination_numbers()["PhoneNumbers"] == []


def test_a_text_to_a_phone_is_told_in_the_outbox(sns, outbox):  # §2
    words = unique("text")
    sent = sns.publish(
        PhoneNumber="+15005550009",
        Message=words,
        MessageAttributes={"AWS.SNS.SMS.SMSType": string("Transactional")},
    )
    assert sent["MessageId"] and "SequenceNumber" not in sent
    outbox.one_about("+15005550009", words)


def test_a_phone_may_be_subscribed(topic, outbox):  # §4
    topic.subscribe("sms", "+15005550010")
    topic.publish(f"text of {topic.name}")
    outbox.one_about("+15005550010", f"text of {topic.name}")
