"""An exercise in order processing, solved: its classes and methods, with what its requirements ask of them."""

import json
import time

import boto3

MINUTE, DAY = 60, 86_400
FIFO_BY_GROUP = {"FifoQueue": "true", "DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"}


class OrderProcessingQueues:
    """Five queues, each with a dead-letter queue that keeps for 14 days."""

    def __init__(self, prefix="", region="us-east-1"):
        self.sqs = boto3.client("sqs", region_name=region)
        self.prefix = prefix
        self.queues = {}

    def create_all_queues(self):
        self.queues["orders"] = self.create_order_queue()
        self.queues["priority_orders"] = self.create_priority_order_queue()
        self.queues["payments"] = self.create_payment_queue()
        self.queues["inventory"] = self.create_inventory_queue()
        self.queues["notifications"] = self.create_notification_queue()
        return self.queues

    def create_order_queue(self):
        """Five minutes' visibility, kept 14 days, long polls, dead after 3 failures."""
        return self._create(
            "order-processing", 3, 5 * MINUTE, MessageRetentionPeriod=14 * DAY, ReceiveMessageWaitTimeSeconds=20
        )

    def create_priority_order_queue(self):
        """FIFO, deduplicated by content, throughput limited by group, two minutes' visibility."""
        return self._create("priority-orders.fifo", 3, 2 * MINUTE, ContentBasedDeduplication="true", **FIFO_BY_GROUP)

    def create_payment_queue(self):
        """Ten minutes' visibility, five attempts, long polls that bring whole batches."""
        return self._create("payment-processing", 5, 10 * MINUTE, ReceiveMessageWaitTimeSeconds=20)

    def create_inventory_queue(self):
        """FIFO, a group a product, deduplicated by the ids that the updates bring."""
        return self._create("inventory-updates.fifo", 3, 2 * MINUTE, **FIFO_BY_GROUP)

    def create_notification_queue(self):
        """A minute's visibility and one more attempt: notifications are not critical."""
        return self._create("notifications", 2, MINUTE)

    def create_dead_letter_queue(self, name):
        fifo = {"FifoQueue": "true"} if name.endswith(".fifo") else {}
        attributes = {"MessageRetentionPeriod": str(14 * DAY), **fifo}
        url = self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        return self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

    def _create(self, name, receives, visibility, **attributes):
        stem, fifo, _ = name.partition(".fifo")
        dead_letters = self.create_dead_letter_queue(f"{self.prefix}{stem}-dlq{fifo}")
        redrive = json.dumps({"deadLetterTargetArn": dead_letters, "maxReceiveCount": receives})
        attributes.update(VisibilityTimeout=visibility, RedrivePolicy=redrive)
        attributes = {key: str(value) for key, value in attributes.items()}
        return self.sqs.create_queue(QueueName=self.prefix + name, Attributes=attributes)["QueueUrl"]


class OrderNotificationTopics:
    """Four topics and whoever is to hear them."""

    def __init__(self, prefix="", region="us-east-1"):
        self.sns = boto3.client("sns", region_name=region)
        self.prefix = prefix
        self.topics = {}

    def create_notification_topics(self):
        for name in ("order_status", "payment_notifications", "inventory_alerts", "system_health"):
            topic = self.sns.create_topic(Name=self.prefix + name.replace("_", "-"))
            self.topics[name] = topic["TopicArn"]
        return self.topics

    def setup_topic_subscriptions(self, topic_arn, subscriptions):
        """`subscriptions`: (protocol, endpoint, filter policy or None). Gives their ARNs."""
        arns = []
        for protocol, endpoint, wanted in subscriptions:
            attributes = {"FilterPolicy": json.dumps(wanted)} if wanted else {}
            answer = self.sns.subscribe(
                TopicArn=topic_arn,
                Protocol=protocol,
                Endpoint=endpoint,
                Attributes=attributes,
                ReturnSubscriptionArn=True,
            )
            arns.append(answer["SubscriptionArn"])
        return arns

    def publish_order_event(self, topic_arn, order_event):
        attributes = {
            name: {"DataType": "String", "StringValue": str(order_event[name])}
            for name in ("eventType", "priority")
            if name in order_event
        }
        return self.sns.publish(
            TopicArn=topic_arn, Message=json.dumps(order_event), MessageAttributes=attributes, Subject="Order status"
        )["MessageId"]


class OrderMessageProducer:
    """Takes orders in, and tells those who should know."""

    def __init__(self, queue_urls, topics):
        self.sqs = boto3.client("sqs")
        self.queue_urls = queue_urls
        self.topics = topics

    def process_new_order(self, order_data):
        try:
            if not self.validate_order(order_data):
                raise ValueError("Invalid order data")
            message_id = self.send_order_message(self.select_processing_queue(order_data), order_data)
            self.publish_order_created_event(order_data)
            self.send_order_confirmation(order_data)
            return {"success": True, "messageId": message_id, "orderId": order_data["orderId"]}
        except ValueError as error:
            return {"success": False, "error": str(error)}

    def validate_order(self, order_data):
        if any(not order_data.get(field) for field in ("orderId", "customerId", "items", "totalAmount")):
            return False
        lines = order_data["items"]
        total = sum(round(line["price"] * 100) * line["quantity"] for line in lines)
        return all(line["quantity"] > 0 for line in lines) and total == round(order_data["totalAmount"] * 100)

    def select_processing_queue(self, order_data):
        return self.queue_urls["priority_orders" if order_data.get("priority") == "high" else "orders"]

    def send_order_message(self, queue_url, order_data):
        entry = self._entry(queue_url, order_data)
        return self.sqs.send_message(QueueUrl=queue_url, **entry)["MessageId"]

    def send_order_messages(self, queue_url, orders):
        """Ten a request."""
        sent = []
        for start in range(0, len(orders), 10):
            batch = orders[start : start + 10]
            entries = [{"Id": str(n), **self._entry(queue_url, order)} for n, order in enumerate(batch)]
            answer = self.sqs.send_message_batch(QueueUrl=queue_url, Entries=entries)
            assert not answer.get("Failed")
            sent += [entry["MessageId"] for entry in answer["Successful"]]
        return sent

    def publish_order_created_event(self, order_data):
        event = {
            "eventType": "ORDER_CREATED",
            "orderId": order_data["orderId"],
            "priority": order_data.get("priority", "normal"),
        }
        return self.topics.publish_order_event(self.topics.topics["order_status"], event)

    def send_order_confirmation(self, order_data):
        note = {"to": order_data["customerId"], "template": "order-confirmation", "orderId": order_data["orderId"]}
        return self.sqs.send_message(QueueUrl=self.queue_urls["notifications"], MessageBody=json.dumps(note))

    def _entry(self, queue_url, order_data):
        priority = {"DataType": "String", "StringValue": order_data.get("priority", "normal")}
        amount = {"DataType": "Number", "StringValue": str(order_data["totalAmount"])}
        entry = {"MessageBody": json.dumps(order_data), "MessageAttributes": {"Priority": priority, "Amount": amount}}
        if queue_url.endswith(".fifo"):
            entry["MessageGroupId"] = order_data["customerId"]
        return entry


class PaymentMessageConsumer:
    """Charges orders; a declined card is no reason to try again."""

    def __init__(self, queue_url, dlq_url, topics, gateway):
        self.sqs = boto3.client("sqs")
        self.queue_url = queue_url
        self.dlq_url = dlq_url
        self.topics = topics
        self.gateway = gateway
        self.running = False

    def start_processing(self):
        self.running = True
        while self.running:
            response = self.sqs.receive_message(
                QueueUrl=self.queue_url,
                MaxNumberOfMessages=10,
                WaitTimeSeconds=20,
                MessageAttributeNames=["All"],
                AttributeNames=["All"],
            )
            messages = response.get("Messages", [])
            if messages:
                self.process_message_batch(messages)
            else:
                self.running = False

    def process_message_batch(self, messages):
        finished = []
        for message in messages:
            order_data = json.loads(message["Body"])
            outcome = self.gateway(order_data)
            if outcome == "busy":
                # At once, since this gateway's queue of callers is short; when attempts run out, the queue moves it.
                handle = message["ReceiptHandle"]
                self.sqs.change_message_visibility(QueueUrl=self.queue_url, ReceiptHandle=handle, VisibilityTimeout=0)
                continue
            if outcome == "declined":
                self.handle_payment_failure(message, outcome)
            self.publish(order_data, "PAYMENT_COMPLETED" if outcome == "paid" else "PAYMENT_FAILED")
            finished.append({"Id": message["MessageId"], "ReceiptHandle": message["ReceiptHandle"]})
        if finished:
            answer = self.sqs.delete_message_batch(QueueUrl=self.queue_url, Entries=finished)
            assert len(answer["Successful"]) == len(finished)

    def handle_payment_failure(self, message, reason):
        """To the dead letters at once, with the reason."""
        attributes = {"FailureReason": {"DataType": "String", "StringValue": reason}}
        self.sqs.send_message(QueueUrl=self.dlq_url, MessageBody=message["Body"], MessageAttributes=attributes)

    def publish(self, order_data, event_type):
        event = {"eventType": event_type, "orderId": order_data["orderId"], "amount": order_data["totalAmount"]}
        self.topics.publish_order_event(self.topics.topics["payment_notifications"], event)


class InventoryMessageConsumer:
    """Keeps stock: all items of an order or none, updates of a product in their order, each once."""

    def __init__(self, fifo_queue_url, stock):
        self.sqs = boto3.client("sqs")
        self.queue_url = fifo_queue_url
        self.stock = dict(stock)
        self.reservations = {}
        self.seen = []

    def process_available(self):
        while messages := self.sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                self.process_inventory_update(json.loads(message["Body"]))
                self.sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])

    def process_inventory_update(self, update):
        self.seen.append((update["productId"], update["number"]))
        self.stock[update["productId"]] = self.stock.get(update["productId"], 0) + update["change"]

    def reserve_inventory(self, order_id, items, lasts=15 * MINUTE):
        if any(self.stock.get(item["productId"], 0) < item["quantity"] for item in items):
            return False
        for item in items:
            self.stock[item["productId"]] -= item["quantity"]
        self.reservations[order_id] = (items, time.time() + lasts)
        return True

    def release_expired(self, now):
        for order_id in [order for order, (_, until) in self.reservations.items() if until <= now]:
            for item in self.reservations.pop(order_id)[0]:
                self.stock[item["productId"]] += item["quantity"]


class DeadLetterQueueProcessor:
    """Looks through dead letters, sorts them by reason, and keeps what it saw."""

    def __init__(self, dlq_urls):
        self.sqs = boto3.client("sqs")
        self.dlq_urls = dlq_urls
        self.archive = []

    def monitor_dead_letter_queues(self):
        for queue_name, dlq_url in self.dlq_urls.items():
            response = self.sqs.receive_message(
                QueueUrl=dlq_url,
                MaxNumberOfMessages=10,
                WaitTimeSeconds=5,
                MessageAttributeNames=["All"],
                AttributeNames=["All"],
            )
            for message in response.get("Messages", []):
                self.analyze_failed_message(queue_name, message)

    def analyze_failed_message(self, queue_name, message):
        reason = message.get("MessageAttributes", {}).get("FailureReason", {}).get("StringValue", "attempts exhausted")
        receives = int(message["Attributes"]["ApproximateReceiveCount"])
        retry = reason == "attempts exhausted"
        self.archive.append(
            {"queue": queue_name, "reason": reason, "receives": receives, "retry": retry, "body": message["Body"]}
        )

    def failure_counts(self):
        counts = {}
        for entry in self.archive:
            key = entry["queue"], entry["reason"]
            counts[key] = counts.get(key, 0) + 1
        return counts
