"""Server-side encryption: the settings are kept and shown, and exclude each other."""

from sqs.support import refused

BOTH = "You can use one type of server-side encryption (SSE) at one time. You can either enable KMS SSE or SQS SSE."


def test_a_queue_is_encrypted_by_sqs_unless_told_otherwise(queue):  # §3
    assert queue.attribute("SqsManagedSseEnabled") == "true"


def test_encryption_by_sqs_can_be_switched_off_and_on(queue):  # §3
    queue.set(SqsManagedSseEnabled="false")
    assert queue.attribute("SqsManagedSseEnabled") == "false"
    queue.set(SqsManagedSseEnabled="true")
    assert queue.attribute("SqsManagedSseEnabled") == "true"


def test_a_key_switches_encryption_by_sqs_off(queue):  # §3
    queue.set(KmsMasterKeyId="testKeyId")
    shown = queue.attributes("KmsMasterKeyId", "SqsManagedSseEnabled", "KmsDataKeyReusePeriodSeconds")
    assert shown == {
        "KmsMasterKeyId": "testKeyId",
        "SqsManagedSseEnabled": "false",
        "KmsDataKeyReusePeriodSeconds": "300",
    }


def test_clearing_the_key_leaves_encryption_by_sqs_off(queue):  # §3
    queue.set(KmsMasterKeyId="testKeyId")
    queue.set(KmsMasterKeyId="")
    assert queue.attributes("KmsMasterKeyId", "SqsManagedSseEnabled") == {"SqsManagedSseEnabled": "false"}


def test_the_reuse_period_is_not_shown_by_default(queue):  # §3
    assert queue.attribute("KmsDataKeyReusePeriodSeconds") is None


def test_the_reuse_period_is_shown_once_it_differs(queue):  # §3
    queue.set(KmsDataKeyReusePeriodSeconds=600)
    assert queue.attributes()["KmsDataKeyReusePeriodSeconds"] == "600"


def test_both_kinds_of_encryption_at_once_are_refused(queue):  # §11
    with refused("InvalidAttributeName", 400, BOTH):
        queue.set(KmsMasterKeyId="testKeyId", SqsManagedSseEnabled="true")


def test_encryption_by_sqs_replaces_a_key_only_once_that_is_cleared(queue):  # §3, §11
    queue.set(KmsMasterKeyId="testKeyId")
    with refused("InvalidAttributeName", 400, BOTH):
        queue.set(SqsManagedSseEnabled="true")


def test_any_form_of_key_is_kept_as_given(queue):  # §3
    for key in (
        "alias/aws/sqs",
        "alias/mine",
        "arn:aws:kms:us-east-1:111122223333:alias/mine",
        "1234abcd-12ab-34cd-56ef-1234567890ab",
        "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    ):
        queue.set(KmsMasterKeyId=key)
        assert queue.attribute("KmsMasterKeyId") == key


def test_messages_pass_through_a_queue_with_a_key_in_the_clear(queue):  # §13
    queue.set(KmsMasterKeyId="alias/aws/sqs")
    queue.send("secret")
    assert queue.one()["Body"] == "secret"
