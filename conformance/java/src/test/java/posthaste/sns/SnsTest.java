package posthaste.sns;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.math.BigInteger;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.DisplayNameGeneration;
import org.junit.jupiter.api.DisplayNameGenerator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import posthaste.Endpoint;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.core.exception.SdkClientException;
import software.amazon.awssdk.messagemanager.sns.model.SnsNotification;
import software.amazon.awssdk.messagemanager.sns.model.SnsSubscriptionConfirmation;
import software.amazon.awssdk.messagemanager.sns.model.SnsUnsubscribeConfirmation;
import software.amazon.awssdk.services.sns.SnsClient;
import software.amazon.awssdk.services.sns.model.*;
import software.amazon.awssdk.services.sqs.SqsClient;
import software.amazon.awssdk.services.sqs.model.Message;
import software.amazon.awssdk.services.sqs.model.QueueAttributeName;

/** SNS through the AWS SDK for Java v2, its messages checked by the SDK's own validator. */
@DisplayNameGeneration(DisplayNameGenerator.ReplaceUnderscores.class)
@Timeout(60)
class SnsTest {
    private static final SnsClient SNS = Endpoint.client(SnsClient.builder());
    private static final SqsClient SQS = Endpoint.client(SqsClient.builder());
    private static final Verifier VERIFIER = new Verifier();
    private static final HttpClient HTTP = HttpClient.newHttpClient();
    private static final Map<String, String> RAW = Map.of("RawMessageDelivery", "true");

    @AfterAll
    static void close() {
        VERIFIER.close();
        SNS.close();
        SQS.close();
    }

    private record Queue(String url, String arn) {}

    private static String unique(String word) {
        return word + "-" + UUID.randomUUID().toString().substring(0, 13);
    }

    private static String topic(Map<String, String> attributes) {
        String name = unique("java") + (attributes.containsKey("FifoTopic") ? ".fifo" : "");
        return SNS.createTopic(r -> r.name(name).attributes(attributes)).topicArn();
    }

    private static Queue queue(Map<QueueAttributeName, String> attributes) {
        String name = unique("java") + (attributes.isEmpty() ? "" : ".fifo");
        String url = SQS.createQueue(r -> r.queueName(name).attributes(attributes)).queueUrl();
        return new Queue(
                url,
                SQS.getQueueAttributes(r -> r.queueUrl(url).attributeNames(QueueAttributeName.QUEUE_ARN))
                        .attributes()
                        .get(QueueAttributeName.QUEUE_ARN));
    }

    private static Queue queue() {
        return queue(Map.of());
    }

    private static String subscribe(String topic, String protocol, String where, Map<String, String> attributes) {
        return SNS.subscribe(r -> r.topicArn(topic)
                        .protocol(protocol)
                        .endpoint(where)
                        .attributes(attributes)
                        .returnSubscriptionArn(true))
                .subscriptionArn();
    }

    private static PublishResponse publish(String topic, String message, Consumer<PublishRequest.Builder> more) {
        return SNS.publish(r -> more.accept(r.topicArn(topic).message(message)));
    }

    private static PublishResponse publish(String topic, String message) {
        return publish(topic, message, r -> {});
    }

    private static List<Message> receive(Queue queue) {
        return SQS.receiveMessage(r -> r.queueUrl(queue.url).maxNumberOfMessages(10).messageAttributeNames("All"))
                .messages();
    }

    private static List<String> bodies(Queue queue) {
        return receive(queue).stream().map(Message::body).toList();
    }

    private static int visit(URI url) throws Exception {
        return HTTP.send(HttpRequest.newBuilder(url).build(), BodyHandlers.discarding()).statusCode();
    }

    @Test
    void a_message_goes_to_every_queue_of_its_topic() {
        String topic = topic(Map.of());
        Queue wrapped = queue();
        Queue raw = queue();
        subscribe(topic, "sqs", wrapped.arn, Map.of());
        subscribe(topic, "sqs", raw.arn, RAW);
        PublishResponse sent = publish(topic, "Grüße 😀", r -> r.subject("subject"));
        assertEquals(List.of("Grüße 😀"), bodies(raw));
        SnsNotification found = (SnsNotification) VERIFIER.verify(bodies(wrapped).get(0));
        assertEquals(sent.messageId(), found.messageId());
        assertEquals("Grüße 😀", found.message());
        assertEquals("subject", found.subject());
        assertEquals(topic, found.topicArn());
    }

    @ParameterizedTest(name = "a server gets messages with signatures of version {0}")
    @ValueSource(strings = {"1", "2"})
    void a_server_confirms_is_notified_and_unsubscribes(String version) throws Exception {
        try (Receiver server = new Receiver()) {
            String topic = topic(Map.of("SignatureVersion", version));
            String arn = subscribe(topic, "http", server.url(), Map.of());
            var asked = (SnsSubscriptionConfirmation)
                    VERIFIER.verify(server.next("SubscriptionConfirmation").body());
            assertEquals(topic, asked.topicArn());
            assertEquals(200, visit(asked.subscribeUrl()));
            publish(topic, "hello");
            Receiver.Request request = server.next("Notification");
            assertEquals(arn, request.headers().getFirst("x-amz-sns-subscription-arn"));
            var told = (SnsNotification) VERIFIER.verify(request.body());
            assertEquals("hello", told.message());
            assertEquals(200, visit(told.unsubscribeUrl()));
            var ended = (SnsUnsubscribeConfirmation)
                    VERIFIER.verify(server.next("UnsubscribeConfirmation").body());
            assertTrue(ended.message().contains(arn));
        }
    }

    @Test
    void a_changed_message_is_noticed() {
        String topic = topic(Map.of());
        Queue queue = queue();
        subscribe(topic, "sqs", queue.arn, Map.of());
        publish(topic, "true words");
        String body = bodies(queue).get(0);
        VERIFIER.verify(body);
        assertThrows(SdkClientException.class, () -> VERIFIER.verify(body.replace("true words", "false words")));
    }

    @Test
    void a_server_that_fails_is_tried_again_at_once_where_its_policy_says_so() throws Exception {
        try (Receiver server = new Receiver()) {
            String topic = topic(Map.of());
            String retries = "{\"healthyRetryPolicy\":{\"minDelayTarget\":1,\"maxDelayTarget\":1,\"numRetries\":2,"
                    + "\"numNoDelayRetries\":2}}";
            subscribe(topic, "http", server.url(), Map.of("DeliveryPolicy", retries, "RawMessageDelivery", "true"));
            var asked = (SnsSubscriptionConfirmation)
                    VERIFIER.verify(server.next("SubscriptionConfirmation").body());
            assertEquals(200, visit(asked.subscribeUrl()));
            server.answers.addAll(List.of(500, 503));
            publish(topic, "at last");
            for (int attempt = 0; attempt < 3; attempt++) {
                assertEquals("at last", server.next("Notification").body());
            }
        }
    }

    @Test
    void attributes_of_all_types_reach_a_raw_queue() {
        String topic = topic(Map.of());
        Queue queue = queue();
        subscribe(topic, "sqs", queue.arn, RAW);
        byte[] bytes = {0, -1};
        publish(topic, "x", r -> r.messageAttributes(Map.of(
                "text", MessageAttributeValue.builder().dataType("String").stringValue("ä").build(),
                "number", MessageAttributeValue.builder().dataType("Number").stringValue("-1.50").build(),
                "bytes",
                        MessageAttributeValue.builder()
                                .dataType("Binary")
                                .binaryValue(SdkBytes.fromByteArray(bytes))
                                .build())));
        var found = receive(queue).get(0).messageAttributes(); // the SDK checks their digest
        assertEquals("ä", found.get("text").stringValue());
        assertEquals("-1.50", found.get("number").stringValue());
        assertEquals("Number", found.get("number").dataType());
        assertEquals(SdkBytes.fromByteArray(bytes), found.get("bytes").binaryValue());
    }

    @Test
    void a_filter_delivers_what_matches() {
        String topic = topic(Map.of());
        Queue queue = queue();
        subscribe(topic, "sqs", queue.arn, Map.of(
                "RawMessageDelivery", "true", "FilterPolicy", "{\"kind\":[\"a\",{\"prefix\":\"b\"}]}"));
        for (String kind : List.of("a", "c", "bee", "ab")) {
            publish(topic, kind, r -> r.messageAttributes(
                    Map.of("kind", MessageAttributeValue.builder().dataType("String").stringValue(kind).build())));
        }
        assertEquals(List.of("a", "bee"), bodies(queue).stream().sorted().toList());
    }

    @Test
    void a_batch_is_published() {
        String topic = topic(Map.of());
        Queue queue = queue();
        subscribe(topic, "sqs", queue.arn, RAW);
        List<PublishBatchRequestEntry> entries = IntStream.range(0, 10)
                .mapToObj(n -> PublishBatchRequestEntry.builder().id("e" + n).message("body " + n).build())
                .toList();
        PublishBatchResponse sent = SNS.publishBatch(r -> r.topicArn(topic).publishBatchRequestEntries(entries));
        assertEquals(10, sent.successful().size());
        assertTrue(sent.failed().isEmpty());
        assertEquals(
                entries.stream().map(PublishBatchRequestEntry::message).toList(),
                bodies(queue).stream().sorted().toList());
    }

    @Test
    void a_fifo_topic_keeps_order_and_drops_duplicates() {
        String topic = topic(Map.of("FifoTopic", "true", "ContentBasedDeduplication", "true"));
        Queue queue = queue(Map.of(QueueAttributeName.FIFO_QUEUE, "true"));
        subscribe(topic, "sqs", queue.arn, RAW);
        List<BigInteger> numbers = new ArrayList<>();
        for (String message : List.of("1", "2", "2", "3")) {
            numbers.add(new BigInteger(publish(topic, message, r -> r.messageGroupId("g")).sequenceNumber()));
        }
        assertTrue(numbers.get(0).compareTo(numbers.get(1)) < 0 && numbers.get(1).compareTo(numbers.get(3)) < 0);
        assertEquals(List.of("1", "2", "3"), bodies(queue));
    }

    @Test
    void errors_are_exceptions_of_their_own_classes() {
        String topic = topic(Map.of());
        String unknown = topic.replaceAll("[^:]*$", "never");
        NotFoundException missing = assertThrows(NotFoundException.class, () -> publish(unknown, "x"));
        assertEquals("Topic does not exist", missing.awsErrorDetails().errorMessage());
        assertEquals("NotFound", missing.awsErrorDetails().errorCode());
        assertEquals(404, missing.statusCode());
        var empty = assertThrows(InvalidParameterException.class, () -> publish(topic, ""));
        assertEquals("Invalid parameter: Empty message", empty.awsErrorDetails().errorMessage());
        var odd = MessageAttributeValue.builder().dataType("Bool").stringValue("x").build();
        assertThrows(
                InvalidParameterValueException.class,
                () -> publish(topic, "x", r -> r.messageAttributes(Map.of("a", odd))));
        var entry = PublishBatchRequestEntry.builder().id("a").message("x").build();
        assertThrows(
                BatchEntryIdsNotDistinctException.class,
                () -> SNS.publishBatch(r -> r.topicArn(topic).publishBatchRequestEntries(entry, entry)));
        assertThrows(
                ResourceNotFoundException.class, () -> SNS.listTagsForResource(r -> r.resourceArn(unknown)));
    }

    @Test
    void attributes_and_tags_of_a_topic_are_read_and_written() {
        String topic = topic(Map.of("DisplayName", "first"));
        SNS.setTopicAttributes(r -> r.topicArn(topic).attributeName("DisplayName").attributeValue("küche"));
        assertEquals("küche", SNS.getTopicAttributes(r -> r.topicArn(topic)).attributes().get("DisplayName"));
        assertFalse(SNS.listTagsForResource(r -> r.resourceArn(topic)).tags().iterator().hasNext());
        SNS.tagResource(r -> r.resourceArn(topic).tags(Tag.builder().key("team").value("a").build()));
        assertEquals(
                List.of(Tag.builder().key("team").value("a").build()),
                SNS.listTagsForResource(r -> r.resourceArn(topic)).tags());
    }

    @Test
    void subscriptions_are_listed_page_by_page() {
        String topic = topic(Map.of());
        List<String> made = IntStream.range(0, 101)
                .mapToObj(n -> subscribe(topic, "sms", String.format("+1500555%04d", n), Map.of()))
                .sorted()
                .toList();
        List<String> found = SNS.listSubscriptionsByTopicPaginator(r -> r.topicArn(topic)).subscriptions().stream()
                .map(Subscription::subscriptionArn)
                .sorted()
                .toList();
        assertEquals(made, found);
    }
}
