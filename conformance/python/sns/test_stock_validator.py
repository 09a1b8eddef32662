"""A validator of signatures as it is installed, without a word to it about where its certificates come from.

It takes them from `https://sns.REGION.amazonaws.com` alone. The server says that its certificate is there, and serves it over
TLS (`--certificate-listen`); what remains is that the name leads to it, and that the certificate is trusted. In life that is a
network alias and a file of certificates; here a proxy leads every name to the server.
"""

import json
import os
import socket
import threading
import urllib.request

import endpoint as endpoints
import pytest
from sns_message_validator import SNSMessageValidator
from sns_message_validator.exceptions import SignatureVerificationFailureException

from sns.support import make_topic
from sqs.support import Queue


class Proxy:
    """An HTTP proxy that connects whoever asks for any host to one port of this machine."""

    def __init__(self, port):
        self.port = port
        self.asked = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:  # closed
                return
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(4096)
            self.asked.append(head.split()[1].decode())
            there = socket.create_connection(("127.0.0.1", self.port))
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            for source, target in ((client, there), (there, client)):
                threading.Thread(target=self._copy, args=(source, target), daemon=True).start()

    @staticmethod
    def _copy(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.socket.close()


@pytest.fixture
def port():
    return endpoints.free_port()


@pytest.fixture
def server(port):
    if "POSTHASTE_BIN" not in os.environ:
        pytest.skip("needs POSTHASTE_BIN to start an endpoint with --certificate-listen")
    started = endpoints.start("--in-memory", "--certificate-listen", f"127.0.0.1:{port}")
    yield started
    started.close()


@pytest.fixture
def proxy(server, port, tmp_path, monkeypatch):
    with urllib.request.urlopen(server.url + "/_posthaste/certificate.pem") as answer:
        (tmp_path / "posthaste.pem").write_bytes(answer.read())
    proxy = Proxy(port)
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, proxy.url)
    for name in ("NO_PROXY", "no_proxy", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "posthaste.pem"))
    yield proxy
    proxy.close()


def envelope(server, clients_of):
    sns, sqs = clients_of(server)[:2]
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    topic = make_topic(sns)
    topic.subscribe_queue(Queue(sqs, url))
    topic.publish("Grüße 😀", Subject="subject")
    (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
    return json.loads(message["Body"])


def test_a_validator_from_pypi_accepts_our_messages_and_no_others(server, proxy, clients_of):
    message = envelope(server, clients_of)
    assert message["SigningCertURL"].startswith("https://sns.us-east-1.amazonaws.com/SimpleNotificationService-")
    validator = SNSMessageValidator()
    validator.validate_message(message)
    assert proxy.asked == ["sns.us-east-1.amazonaws.com:443"]
    with pytest.raises(SignatureVerificationFailureException):
        validator.validate_message({**message, "Message": "another"})
