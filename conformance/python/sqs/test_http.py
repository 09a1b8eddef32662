"""What lies below the protocols: HTTP/1.1, HTTP/2 without TLS, CORS, limits, and clients that misbehave."""

import http.client
import json
import socket
from urllib.parse import urlsplit

import h2.config
import h2.connection
import h2.events
import pytest

from sqs.raw import AUTHORIZATION, XMLNS, call, json_call, query_call


@pytest.fixture
def protocol():
    return "json"  # these tests write their own requests


def address(endpoint):
    parts = urlsplit(endpoint.url)
    return parts.hostname, parts.port


def test_a_connection_is_kept_for_many_requests(endpoint):  # protocols §13
    connection = http.client.HTTPConnection(*address(endpoint))
    connection.connect()
    first = connection.sock
    for _ in range(5):
        connection.request(
            "POST",
            "/",
            b"{}",
            {
                "X-Amz-Target": "AmazonSQS.ListQueues",
                "Content-Type": "application/x-amz-json-1.0",
                "Authorization": AUTHORIZATION,
            },
        )
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200 and connection.sock is first
    connection.close()


def test_header_names_have_no_case(endpoint):  # protocols §14
    answer = call(
        endpoint,
        body=b"{}",
        headers={"x-AMZ-target": "AmazonSQS.ListQueues", "CONTENT-type": "application/x-amz-json-1.0"},
    )
    assert answer.status == 200


def test_queue_urls_are_built_from_the_host_that_the_client_used(endpoint):  # SQS of the README
    answer = json_call(endpoint, "CreateQueue", {"QueueName": "host-test"}, {"Host": "queues.localhost:4566"})
    assert answer.json()["QueueUrl"].startswith("http://queues.localhost:4566/")


def test_an_empty_host_makes_a_url_that_can_be_used(endpoint):
    answer = json_call(endpoint, "CreateQueue", {"QueueName": "host-test"}, {"Host": ""})
    assert answer.json()["QueueUrl"] == "http://localhost/000000000000/host-test"


def test_who_does_not_sign_says_the_region_by_the_host(endpoint):  # SQS of the README; sqs §1
    def asked_of(host, action, path="/", **parameters):
        headers = {"Authorization": None, "Host": host}
        return query_call(endpoint, action, headers, path, "GET", **parameters)

    for host, region in [
        ("sqs.eu-west-1.localhost:4566", "eu-west-1"),
        ("eu-north-1.queue.amazonaws.com", "eu-north-1"),
        ("localhost:4566", "us-east-1"),
    ]:
        assert asked_of(host, "CreateQueue", QueueName="region-of-host").status == 200
        path = "/000000000000/region-of-host"
        shown = asked_of(host, "GetQueueAttributes", path, AttributeName__1="QueueArn").xml()
        assert shown.findtext(f".//{XMLNS}Value") == f"arn:aws:sqs:{region}:000000000000:region-of-host"


def refuses_pages(endpoint):
    """Whether the endpoint keeps web pages out, which AWS's does not: it checks credentials."""
    return call(endpoint, "GET", "/_posthaste/health").status == 200


def test_a_page_from_elsewhere_is_refused(endpoint):  # design §5
    if not refuses_pages(endpoint):
        pytest.skip("this endpoint is not Posthaste")
    page = {"Origin": "http://app.example"}
    preflight = call(endpoint, "OPTIONS", headers=page | {"Access-Control-Request-Method": "POST"})
    asked = json_call(endpoint, "ListQueues", headers=page)
    followed = query_call(endpoint, "ListQueues", {"Sec-Fetch-Site": "cross-site"}, "/", "GET")
    rebound = json_call(endpoint, "ListQueues", headers={"Host": "app.example"})
    for answer in (preflight, asked, followed, rebound):
        assert answer.status == 403 and "access-control-allow-origin" not in answer.headers
    assert "--allow-origin http://app.example" in asked.json()["message"]
    assert "--allow-host app.example" in rebound.json()["message"]


def test_a_page_of_the_endpoint_s_own_may_ask(endpoint):  # protocols §13
    page = {"Origin": endpoint.url.rstrip("/")}
    preflight = call(
        endpoint,
        "OPTIONS",
        headers=page
        | {
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type,x-amz-target,x-amz-date,authorization,amz-sdk-request",
        },
    )
    assert preflight.status in (200, 204)
    assert preflight.headers["access-control-allow-origin"] in ("*", page["Origin"])
    assert "POST" in preflight.headers["access-control-allow-methods"]
    allowed = preflight.headers["access-control-allow-headers"].lower()
    assert allowed == "*" or all(name in allowed for name in ("x-amz-target", "authorization", "amz-sdk-request"))
    answer = json_call(endpoint, "ListQueues", headers=page)
    assert answer.headers["access-control-allow-origin"] in ("*", page["Origin"])


def test_health_is_told_with_version_and_journal(endpoint):
    answer = call(endpoint, "GET", "/_posthaste/health")
    if answer.status == 404:
        pytest.skip("this endpoint is not Posthaste")
    assert answer.status == 200 and "version" in answer.json()


def test_health_is_told_in_the_shape_that_localstack_has(endpoint):
    answer = call(endpoint, "GET", "/_localstack/health")
    if answer.status == 404:
        pytest.skip("this endpoint has no such page")
    assert answer.json()["services"]["sqs"] in ("available", "running")


class Http2:
    """A few requests over one HTTP/2 connection without TLS, begun by the preface alone."""

    def __init__(self, endpoint):
        self.socket = socket.create_connection(address(endpoint), timeout=10)
        self.http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.http.initiate_connection()
        self.socket.sendall(self.http.data_to_send())
        self.authority = urlsplit(endpoint.url).netloc

    def send(self, operation, arguments):
        """Begins a request and returns its stream."""
        body = json.dumps(arguments).encode()
        stream = self.http.get_next_available_stream_id()
        headers = [
            (":method", "POST"),
            (":scheme", "http"),
            (":authority", self.authority),
            (":path", "/"),
            ("x-amz-target", f"AmazonSQS.{operation}"),
            ("content-type", "application/x-amz-json-1.0"),
            ("x-amzn-query-mode", "true"),
            ("authorization", AUTHORIZATION),
            ("content-length", str(len(body))),
        ]
        self.http.send_headers(stream, headers)
        while body:
            room = min(self.http.local_flow_control_window(stream), self.http.max_outbound_frame_size, len(body))
            if room:
                self.http.send_data(stream, body[:room])
                body = body[room:]
            self.socket.sendall(self.http.data_to_send())
            if not room:
                self.feed({})
        self.http.end_stream(stream)
        self.socket.sendall(self.http.data_to_send())
        return stream

    def feed(self, answers):
        data = self.socket.recv(65536)
        assert data, "the endpoint closed the connection"
        for event in self.http.receive_data(data):
            stream = getattr(event, "stream_id", None)
            if isinstance(event, h2.events.ResponseReceived):
                answers[stream] = {"status": int(dict(event.headers)[b":status"]), "body": b"", "done": False}
            elif isinstance(event, h2.events.DataReceived):
                answers[stream]["body"] += event.data
                self.http.acknowledge_received_data(event.flow_controlled_length, stream)
            elif isinstance(event, h2.events.StreamEnded):
                answers[stream]["done"] = True
            elif isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated)):
                raise AssertionError(event)
        self.socket.sendall(self.http.data_to_send())

    def wait(self, *streams):
        """The (status, body as JSON) of each stream."""
        answers = {}
        while not all(answers.get(stream, {}).get("done") for stream in streams):
            self.feed(answers)
        return [(answers[s]["status"], json.loads(answers[s]["body"] or b"{}")) for s in streams]


def test_http2_is_spoken_without_tls(endpoint, queue):  # protocols §13
    client = Http2(endpoint)
    ((status, sent),) = client.wait(client.send("SendMessage", {"QueueUrl": queue.url, "MessageBody": "over h2"}))
    assert status == 200 and sent["MessageId"]
    ((status, got),) = client.wait(client.send("ReceiveMessage", {"QueueUrl": queue.url}))
    assert status == 200 and got["Messages"][0]["Body"] == "over h2"


def test_http2_answers_requests_while_another_waits(endpoint, queue, create):  # protocols §13
    client = Http2(endpoint)
    waiting = client.send("ReceiveMessage", {"QueueUrl": queue.url, "WaitTimeSeconds": 20})
    other = create()
    ((status, _),) = client.wait(client.send("SendMessage", {"QueueUrl": other.url, "MessageBody": "x"}))
    assert status == 200
    sending = client.send("SendMessage", {"QueueUrl": queue.url, "MessageBody": "awaited"})
    (_, _), (status, got) = client.wait(sending, waiting)
    assert status == 200 and got["Messages"][0]["Body"] == "awaited"


def test_http2_carries_large_messages_both_ways(endpoint, queue):  # protocols §13
    client = Http2(endpoint)
    body = "x" * 1048576
    ((status, _),) = client.wait(client.send("SendMessage", {"QueueUrl": queue.url, "MessageBody": body}))
    assert status == 200
    ((status, got),) = client.wait(client.send("ReceiveMessage", {"QueueUrl": queue.url}))
    assert got["Messages"][0]["Body"] == body


def test_http2_errors_have_their_status(endpoint):  # protocols §4
    client = Http2(endpoint)
    ((status, error),) = client.wait(client.send("GetQueueUrl", {"QueueName": "no-such-queue"}))
    assert status == 400 and error["__type"] == "com.amazonaws.sqs#QueueDoesNotExist"


def exchange(endpoint, data, seconds=10):
    """What the endpoint sends back to raw bytes until it closes or falls silent."""
    with socket.create_connection(address(endpoint), timeout=seconds) as connection:
        connection.sendall(data)
        answer = b""
        try:
            while chunk := connection.recv(65536):
                answer += chunk
                if b"\r\n\r\n" in answer:
                    break
        except OSError:
            pass
    return answer


def test_a_request_that_is_no_http_is_refused_and_not_fatal(endpoint):
    answer = exchange(endpoint, b"HELLO WORLD\r\n\r\n")
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400")
    assert json_call(endpoint, "ListQueues").status == 200


def test_a_wrong_request_is_told_so(endpoint):
    for wrong, status in (
        (b"HELLO WORLD\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nNo Name: x\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", b"400"),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", b"414"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: x\r\n" * 300 + b"\r\n", b"431"),
    ):
        assert exchange(endpoint, wrong).split(b" ")[1:2] == [status], wrong[:60]


def test_an_answer_does_not_wait_for_the_rest_of_the_next_request(endpoint):
    whole = b"GET /?Action=ListQueues&Version=2012-11-05 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.create_connection(address(endpoint), timeout=5) as connection:
        connection.sendall(whole + whole[:40])
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        connection.sendall(whole[40:])
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")


def test_endless_headers_are_refused(endpoint):
    answer = exchange(endpoint, b"POST / HTTP/1.1\r\nHost: localhost\r\n" + b"X-Pad: " + b"x" * 2_000_000)
    assert answer == b"" or answer.split(b" ")[1].startswith(b"4")
    assert json_call(endpoint, "ListQueues").status == 200


def test_a_huge_declared_body_is_refused_without_being_read(endpoint):  # protocols §13
    head = (
        "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: AmazonSQS.SendMessage\r\n"
        "Content-Type: application/x-amz-json-1.0\r\nContent-Length: 1000000000000\r\n\r\n{"
    )
    with socket.create_connection(address(endpoint), timeout=5) as connection:
        connection.sendall(head.encode())
        answer = connection.recv(65536)  # it may close instead, but not wait for the rest
    assert answer == b"" or answer.split(b" ")[1] in (b"400", b"413")


def test_a_body_in_chunks_is_accepted(endpoint, queue):  # protocols §13
    body = json.dumps({"QueueUrl": queue.url, "MessageBody": "in pieces"}).encode()
    answer = call(
        endpoint,
        body=iter([body[:10], body[10:]]),
        headers={
            "X-Amz-Target": "AmazonSQS.SendMessage",
            "Content-Type": "application/x-amz-json-1.0",
        },
    )
    assert answer.status == 200
    assert queue.bodies() == ["in pieces"]


def test_a_client_that_expects_continue_is_told_to(endpoint, queue):  # protocols §13
    body = json.dumps({"QueueUrl": queue.url, "MessageBody": "x"}).encode()
    head = (
        "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: AmazonSQS.SendMessage\r\nExpect: 100-continue\r\n"
        f"Content-Type: application/x-amz-json-1.0\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection(address(endpoint), timeout=10) as connection:
        connection.sendall(head.encode())
        assert b"100 Continue" in connection.recv(1000)
        connection.sendall(body)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    assert b"200 OK" in answer and b"MessageId" in answer


def test_requests_sent_before_the_answers_are_answered_in_order(endpoint):
    one = (
        b"POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: AmazonSQS.%s\r\n"
        b"Content-Type: application/x-amz-json-1.0\r\nContent-Length: 2\r\n\r\n{}"
    )
    with socket.create_connection(address(endpoint), timeout=10) as connection:
        connection.sendall(one % b"ListQueues" + one % b"FlyToTheMoon")
        answer = b""
        while answer.count(b"HTTP/1.1 ") < 2:
            chunk = connection.recv(65536)
            assert chunk, answer
            answer += chunk
    assert answer.startswith(b"HTTP/1.1 200") and b"HTTP/1.1 400" in answer


def test_requests_need_no_signature_in_the_local_posture(endpoint):  # design §5
    connection = http.client.HTTPConnection(*address(endpoint))
    headers = {"X-Amz-Target": "AmazonSQS.ListQueues", "Content-Type": "application/x-amz-json-1.0"}
    connection.request("POST", "/", b"{}", headers)
    assert connection.getresponse().status == 200
    connection.close()


def test_a_path_that_nothing_answers_is_a_client_error(endpoint):
    assert 400 <= call(endpoint, "GET", "/no/such/page/at/all").status < 500


def test_head_and_put_do_no_harm(endpoint):
    for method in ("HEAD", "PUT", "DELETE"):
        assert 400 <= call(endpoint, method, "/").status < 500 or method == "HEAD"
    assert query_call(endpoint, "ListQueues").status == 200
