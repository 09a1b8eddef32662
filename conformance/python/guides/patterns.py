"""An article on queue patterns, made to run: its classes over SQS and SNS in place of its imaginary clients."""

import json
import time
import uuid

import boto3
from botocore.exceptions import BotoCoreError, ClientError


class QueueClient:
    """The article's queue client: send, receive, acknowledge, refuse."""

    def __init__(self, prefix=""):
        self.sqs = boto3.client("sqs")
        self.prefix = prefix

    def create_queue(self, name, **attributes):
        return self.sqs.create_queue(QueueName=self.prefix + name, Attributes=attributes)["QueueUrl"]

    def delete_queue(self, url):
        self.sqs.delete_queue(QueueUrl=url)

    def send(self, url, message, delay=0):
        return self.sqs.send_message(QueueUrl=url, MessageBody=json.dumps(message), DelaySeconds=delay)["MessageId"]

    def receive(self, url, timeout=0, most=1):
        found = self.sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=most, WaitTimeSeconds=timeout, AttributeNames=["All"]
        ).get("Messages", [])
        return found if most > 1 else next(iter(found), None)

    def acknowledge(self, url, message):
        self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    def nack(self, url, message):
        """Visible again at once."""
        self.sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)

    def get_queue_depth(self, url):
        names = ["ApproximateNumberOfMessages"]
        return int(self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"][names[0]])


class MessageBroker:
    """The article's broker: each subscriber has a queue of its own."""

    def __init__(self, queue_client):
        self.queue = queue_client
        self.sns = boto3.client("sns")

    def _topic(self, name):
        return self.sns.create_topic(Name=self.queue.prefix + name)["TopicArn"]

    def publish(self, topic, event):
        kind = {"type": {"DataType": "String", "StringValue": event["type"]}}
        self.sns.publish(TopicArn=self._topic(topic), Message=json.dumps(event), MessageAttributes=kind)

    def subscribe(self, topic, name):
        url = self.queue.create_queue(name)
        arn = self.queue.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        raw = {"RawMessageDelivery": "true"}
        self.sns.subscribe(TopicArn=self._topic(topic), Protocol="sqs", Endpoint=arn, Attributes=raw)
        return url


class OrderProcessor:
    """Point to point: a message is processed by one of many."""

    def __init__(self, queue_client, url, process_order):
        self.queue = queue_client
        self.url = url
        self.process_order = process_order

    def process_one(self):
        message = self.queue.receive(self.url)
        if not message:
            return False
        try:
            self.process_order(json.loads(message["Body"]))
            self.queue.acknowledge(self.url, message)
        except ValueError:
            self.queue.nack(self.url, message)
        return True


class RPCOverMessageQueue:
    """Request and reply, with a reply queue for each call."""

    def __init__(self, queue_client):
        self.queue = queue_client

    def call_remote_service(self, service_url, method, params):
        correlation_id = str(uuid.uuid4())
        reply_queue = self.queue.create_queue(f"reply-{correlation_id}")
        request = {"method": method, "params": params, "reply_to": reply_queue, "correlation_id": correlation_id}
        self.queue.send(service_url, request)
        reply = self.queue.receive(reply_queue, timeout=20)
        self.queue.delete_queue(reply_queue)
        if not reply:
            raise TimeoutError("No reply received")
        answer = json.loads(reply["Body"])
        assert answer["correlation_id"] == correlation_id
        return answer["data"]

    def serve_one(self, service_url, methods):
        message = self.queue.receive(service_url, timeout=20)
        request = json.loads(message["Body"])
        data = methods[request["method"]](*request["params"])
        self.queue.send(request["reply_to"], {"correlation_id": request["correlation_id"], "data": data})
        self.queue.acknowledge(service_url, message)


class AtMostOnceProducer:
    """Sends, and does not want to know."""

    def __init__(self, queue_client):
        self.queue = queue_client

    def send_message(self, url, message):
        try:
            self.queue.send(url, message)
        except (ClientError, BotoCoreError):
            pass


class AtLeastOnceProducer:
    """Sends until it is told that the message was taken."""

    def __init__(self, send, pause=time.sleep):
        self.send = send
        self.pause = pause

    def send_message(self, url, message, max_retries=3):
        for attempt in range(max_retries):
            try:
                return self.send(url, message)
            except (ClientError, BotoCoreError):
                if attempt == max_retries - 1:
                    raise
                self.pause(2**attempt)


class ExactlyOnceProcessor:
    """Remembers what it has done, by the id that the message brings."""

    def __init__(self, queue_client, url, do_business_logic):
        self.queue = queue_client
        self.url = url
        self.do_business_logic = do_business_logic
        self.processed = set()

    def process_message(self):
        message = self.queue.receive(self.url)
        data = json.loads(message["Body"])
        if data["id"] not in self.processed:
            self.do_business_logic(data)
            self.processed.add(data["id"])
        self.queue.acknowledge(self.url, message)


class RetryingProcessor:
    """Retries by sending a copy later, and counts in the message; gives up into a queue of its own."""

    max_retries = 3

    def __init__(self, queue_client, main_url, dead_url, process_message):
        self.queue = queue_client
        self.main_url = main_url
        self.dead_url = dead_url
        self.process_message = process_message
        self.delays = []

    def process_one(self):
        message = self.queue.receive(self.main_url)
        if not message:
            return False
        body = json.loads(message["Body"])
        retry_count = body["metadata"].get("retryCount", 0)
        try:
            self.process_message(body)
        except ValueError as error:
            if retry_count >= self.max_retries:
                letter = {"original_message": body["data"], "error": str(error), "retry_count": retry_count}
                self.queue.send(self.dead_url, {**letter, "failed_at": time.time()})
            else:
                body["metadata"]["retryCount"] = retry_count + 1
                self.delays.append(min(300, 2**retry_count))
                self.queue.send(self.main_url, body, delay=self.delays[-1])
        self.queue.acknowledge(self.main_url, message)
        return True


class BatchProcessor:
    """Gathers messages until there are enough, works on them together, and acknowledges them together."""

    def __init__(self, queue_client, url, process_batch, batch_size=25):
        self.queue = queue_client
        self.url = url
        self.process_batch = process_batch
        self.batch_size = batch_size
        self.message_batch = []

    def add_message(self, message):
        self.message_batch.append(message)
        if len(self.message_batch) >= self.batch_size:
            self.flush_batch()

    def flush_batch(self):
        self.process_batch([json.loads(message["Body"]) for message in self.message_batch])
        for start in range(0, len(self.message_batch), 10):
            ten = self.message_batch[start : start + 10]
            entries = [{"Id": m["MessageId"], "ReceiptHandle": m["ReceiptHandle"]} for m in ten]
            assert not self.queue.sqs.delete_message_batch(QueueUrl=self.url, Entries=entries).get("Failed")
        self.message_batch.clear()


class CircuitBreakingProcessor:
    """After failures in a row it stores messages for later instead of trying."""

    def __init__(self, queue_client, url, backup_url, process_primary, failure_threshold=5):
        self.queue = queue_client
        self.url = url
        self.backup_url = backup_url
        self.process_primary = process_primary
        self.failure_threshold = failure_threshold
        self.failures = 0

    def process_one(self):
        message = self.queue.receive(self.url)
        body = json.loads(message["Body"])
        if self.failures < self.failure_threshold:
            try:
                self.process_primary(body)
                self.failures = 0
                return self.queue.acknowledge(self.url, message)
            except ValueError:
                self.failures += 1
        self.queue.send(self.backup_url, body)
        return self.queue.acknowledge(self.url, message)


class QueueHealthChecker:
    """Healthy, degraded or unhealthy."""

    def __init__(self, queue_client, critical_queues, threshold=1000):
        self.queue = queue_client
        self.critical_queues = critical_queues
        self.threshold = threshold

    def check_health(self):
        health = {"status": "healthy", "checks": {}}
        self.queue.sqs.list_queues(MaxResults=1)
        health["checks"]["connection"] = "healthy"
        for url in self.critical_queues:
            name = url.rsplit("/", 1)[1]
            try:
                depth = self.queue.get_queue_depth(url)
            except ClientError as error:
                health["checks"][name] = f"unhealthy: {error.response['Error']['Code']}"
                health["status"] = "unhealthy"
                continue
            deep = depth > self.threshold
            health["checks"][name] = f"{'warning' if deep else 'healthy'}: {depth} messages"
            if deep and health["status"] == "healthy":
                health["status"] = "degraded"
        return health
