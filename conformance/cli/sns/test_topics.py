"""The aws command line: what guides and scripts that use SNS expect to work."""

import http.server
import json
import queue
import threading
import urllib.request
import uuid

import pytest


@pytest.fixture
def name():
    return f"cli-{uuid.uuid4().hex[:10]}"


@pytest.fixture
def sns(shell):
    """A function that runs one `aws sns` command against the endpoint; its answer as JSON."""

    def run(words):
        done = shell.run(f"aws --endpoint-url={shell.endpoint} sns {words}")
        return json.loads(done.stdout) if done.stdout.strip() else None

    return run


@pytest.fixture
def refused(shell):
    """A function that tells what one `aws sns` command complains of."""

    def run(words):
        done = shell.run(f"aws --endpoint-url={shell.endpoint} sns {words}", check=False)
        assert done.returncode != 0, f"{words} succeeded: {done.stdout}"
        return done.stderr

    return run


@pytest.fixture
def topic(sns, name):
    return sns(f"create-topic --name {name}")["TopicArn"]


@pytest.fixture
def subscribed(shell, sns, topic, name):
    """The URL of a queue that gets the topic's messages raw."""
    url = shell.aws(f"create-queue --queue-name {name}")["QueueUrl"]
    arn = f"arn:aws:sqs:us-east-1:000000000000:{name}"
    where = f"--protocol sqs --notification-endpoint {arn}"
    sns(f"subscribe --topic-arn {topic} {where} --attributes RawMessageDelivery=true")
    return url


def bodies(shell, url):
    answer = shell.aws(f"receive-message --queue-url {url} --max-number-of-messages 10")
    return sorted(message["Body"] for message in answer["Messages"]) if answer else []


def test_the_script_of_a_shop_fans_its_orders_out(shell):
    # A setup script as people keep it in their repositories, with the endpoint's address alone replaced.
    script = r"""
    aws --endpoint-url=ENDPOINT sns create-topic --name order-events
    aws --endpoint-url=ENDPOINT sqs create-queue --queue-name order-billing
    aws --endpoint-url=ENDPOINT sqs create-queue --queue-name order-shipping

    aws --endpoint-url=ENDPOINT sns subscribe \
      --topic-arn arn:aws:sns:us-east-1:000000000000:order-events \
      --protocol sqs \
      --notification-endpoint arn:aws:sqs:us-east-1:000000000000:order-billing
    arn=$(aws --endpoint-url=ENDPOINT sns subscribe \
      --topic-arn arn:aws:sns:us-east-1:000000000000:order-events \
      --protocol sqs \
      --notification-endpoint arn:aws:sqs:us-east-1:000000000000:order-shipping \
      --query SubscriptionArn --output text)
    aws --endpoint-url=ENDPOINT sns set-subscription-attributes \
      --subscription-arn "$arn" --attribute-name FilterPolicy --attribute-value '{"kind":["paid"]}'

    aws --endpoint-url=ENDPOINT sns publish \
      --topic-arn arn:aws:sns:us-east-1:000000000000:order-events \
      --message '{"orderId":"1"}' \
      --message-attributes '{"kind":{"DataType":"String","StringValue":"placed"}}'
    aws --endpoint-url=ENDPOINT sns publish \
      --topic-arn arn:aws:sns:us-east-1:000000000000:order-events \
      --message '{"orderId":"2"}' \
      --message-attributes '{"kind":{"DataType":"String","StringValue":"paid"}}'
    """
    done = shell.run(script.replace("ENDPOINT", shell.endpoint))
    assert '"TopicArn": "arn:aws:sns:us-east-1:000000000000:order-events"' in done.stdout

    def orders(queue):
        found = bodies(shell, f"{shell.endpoint}/000000000000/{queue}")
        return sorted(json.loads(json.loads(body)["Message"])["orderId"] for body in found)

    assert orders("order-billing") == ["1", "2"]
    assert orders("order-shipping") == ["2"]


def test_a_topic_is_created_with_attributes_and_tags(sns, name):
    arn = sns(f"create-topic --name {name} --attributes DisplayName=Orders --tags Key=team,Value=a Key=cost,Value=b")[
        "TopicArn"
    ]
    assert arn == f"arn:aws:sns:us-east-1:000000000000:{name}"
    assert sns(f"get-topic-attributes --topic-arn {arn}")["Attributes"]["DisplayName"] == "Orders"
    tags = sns(f"list-tags-for-resource --resource-arn {arn}")["Tags"]
    assert sorted(tag["Key"] for tag in tags) == ["cost", "team"]
    assert {"TopicArn": arn} in sns("list-topics")["Topics"]


def test_a_message_is_published_and_received(shell, sns, topic, subscribed):
    sent = sns(f"publish --topic-arn {topic} --message 'Grüße' --subject hello")
    assert len(sent["MessageId"]) == 36
    assert bodies(shell, subscribed) == ["Grüße"]


def test_a_message_is_read_from_a_file(shell, sns, topic, subscribed, tmp_path):
    body = tmp_path / "message.txt"
    body.write_text('line one\nline "two"\n')
    sns(f"publish --topic-arn {topic} --message file://{body}")
    assert bodies(shell, subscribed) == [body.read_text()]


def test_a_structure_has_texts_for_protocols(shell, sns, topic, subscribed):
    message = json.dumps({"default": "d", "sqs": "for queues"})
    sns(f"publish --topic-arn {topic} --message-structure json --message '{message}'")
    assert bodies(shell, subscribed) == ["for queues"]


def test_a_batch_is_published_from_json(shell, sns, topic, subscribed):
    entries = json.dumps([{"Id": str(n), "Message": f"body {n}"} for n in range(3)])
    answer = sns(f"publish-batch --topic-arn {topic} --publish-batch-request-entries '{entries}'")
    assert len(answer["Successful"]) == 3 and answer["Failed"] == []
    assert bodies(shell, subscribed) == [f"body {n}" for n in range(3)]


def test_a_fifo_topic_works(shell, sns, name):
    arn = sns(f"create-topic --name {name}.fifo --attributes FifoTopic=true,ContentBasedDeduplication=true")["TopicArn"]
    url = shell.aws(f"create-queue --queue-name {name}.fifo --attributes FifoQueue=true")["QueueUrl"]
    queue = f"arn:aws:sqs:us-east-1:000000000000:{name}.fifo"
    where = f"--protocol sqs --notification-endpoint {queue}"
    sns(f"subscribe --topic-arn {arn} {where} --attributes RawMessageDelivery=true")
    first = sns(f"publish --topic-arn {arn} --message a --message-group-id g")
    sns(f"publish --topic-arn {arn} --message a --message-group-id g")
    assert len(first["SequenceNumber"]) == 20
    assert bodies(shell, url) == ["a"]


def test_a_server_is_subscribed_and_confirms(sns, topic):
    arrived = queue.Queue()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            arrived.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        where = f"http://127.0.0.1:{server.server_address[1]}/"
        answer = sns(f"subscribe --topic-arn {topic} --protocol http --notification-endpoint {where}")
        assert answer == {"SubscriptionArn": "pending confirmation"}
        asked = arrived.get(timeout=10)
        confirmed = sns(f"confirm-subscription --topic-arn {topic} --token {asked['Token']}")
        assert confirmed["SubscriptionArn"].startswith(topic + ":")
        sns(f"publish --topic-arn {topic} --message hello")
        told = arrived.get(timeout=10)
        assert told["Message"] == "hello"
        with urllib.request.urlopen(told["UnsubscribeURL"], timeout=10) as done:
            assert done.status == 200
        assert sns(f"list-subscriptions-by-topic --topic-arn {topic}") == {"Subscriptions": []}
    finally:
        server.shutdown()
        server.server_close()


def test_permissions_are_added_and_removed(sns, topic):
    sns(f"add-permission --topic-arn {topic} --label share --aws-account-id 123456789012 --action-name Publish")
    policy = json.loads(sns(f"get-topic-attributes --topic-arn {topic}")["Attributes"]["Policy"])
    assert [statement["Sid"] for statement in policy["Statement"]] == ["__default_statement_ID", "share"]
    assert sns(f"remove-permission --topic-arn {topic} --label share") is None


def test_a_topic_is_deleted_and_that_again_is_no_error(sns, refused, topic):
    for _ in range(2):
        assert sns(f"delete-topic --topic-arn {topic}") is None
    told = refused(f"publish --topic-arn {topic} --message x")
    assert "An error occurred (NotFound) when calling the Publish operation" in told
    assert "Topic does not exist" in told


def test_errors_are_told_as_with_aws(refused, topic):
    told = refused(f"publish --topic-arn {topic} --message ''")
    assert "An error occurred (InvalidParameter) when calling the Publish operation" in told
    assert "Invalid parameter: Empty message" in told


def test_a_text_is_sent_to_a_phone(sns):
    assert sns("publish --phone-number +15005550006 --message hello")["MessageId"]
    assert sns("check-if-phone-number-is-opted-out --phone-number +15005550006") == {"isOptedOut": False}
