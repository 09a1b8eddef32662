"""Verifies signatures of SNS from the published rules, with the certificate that the message names."""

import base64
import re
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from sns.receiver import visit

KEYS = {
    "Notification": ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"],
    "SubscriptionConfirmation": ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"],
    "UnsubscribeConfirmation": ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"],
}
PATH = re.compile(r"/SimpleNotificationService-[0-9a-f]{32}\.pem")


def canonical(message):
    """What is signed: names and values of some keys, each on a line; Subject only where there is one."""
    lines = [f"{key}\n{message[key]}\n" for key in KEYS[message["Type"]] if key in message]
    return "".join(lines).encode()


def certificate(message):
    """The certificate that the message names, fetched from there."""
    assert PATH.fullmatch(urlsplit(message["SigningCertURL"]).path), message["SigningCertURL"]
    answer = visit(message["SigningCertURL"])
    assert answer.status == 200
    return x509.load_pem_x509_certificate(answer.body)


def verify(message, version="1"):
    """Raises where the signature is not right, or not of this version."""
    assert message["SignatureVersion"] == version
    digest = {"1": hashes.SHA1, "2": hashes.SHA256}[version]()
    signature = base64.b64decode(message["Signature"], validate=True)
    certificate(message).public_key().verify(signature, canonical(message), padding.PKCS1v15(), digest)
