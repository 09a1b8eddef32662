package posthaste.sqs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.math.BigInteger;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.DisplayNameGeneration;
import org.junit.jupiter.api.DisplayNameGenerator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import posthaste.Endpoint;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.services.sqs.SqsClient;
import software.amazon.awssdk.services.sqs.model.*;

/** SQS through the AWS SDK for Java v2, which checks the MD5 digests of bodies and attributes. */
@DisplayNameGeneration(DisplayNameGenerator.ReplaceUnderscores.class)
@Timeout(60)
class SqsTest {
    private static final SqsClient SQS = Endpoint.client(SqsClient.builder());

    @AfterAll
    static void close() {
        SQS.close();
    }

    private static String unique(String word) {
        return word + "-" + UUID.randomUUID().toString().substring(0, 13);
    }

    private static String create(Map<QueueAttributeName, String> attributes) {
        String name = unique("java") + (attributes.containsKey(QueueAttributeName.FIFO_QUEUE) ? ".fifo" : "");
        return SQS.createQueue(r -> r.queueName(name).attributes(attributes)).queueUrl();
    }

    private static String standard() {
        return create(Map.of());
    }

    private static String fifo() {
        return create(Map.of(
                QueueAttributeName.FIFO_QUEUE, "true", QueueAttributeName.CONTENT_BASED_DEDUPLICATION, "true"));
    }

    private static SendMessageResponse send(String url, String body) {
        return SQS.sendMessage(r -> r.queueUrl(url).messageBody(body));
    }

    private static SendMessageResponse send(String url, String body, String group) {
        return SQS.sendMessage(r -> r.queueUrl(url).messageBody(body).messageGroupId(group));
    }

    private static List<Message> receive(String url, int most) {
        return SQS.receiveMessage(r -> r.queueUrl(url)
                        .maxNumberOfMessages(most)
                        .messageAttributeNames("All")
                        .messageSystemAttributeNames(MessageSystemAttributeName.ALL))
                .messages();
    }

    private static List<String> bodies(String url) {
        return receive(url, 10).stream().map(Message::body).toList();
    }

    private static void delete(String url, Message message) {
        SQS.deleteMessage(r -> r.queueUrl(url).receiptHandle(message.receiptHandle()));
    }

    @Test
    void a_message_is_sent_received_and_deleted() {
        String url = standard();
        SendMessageResponse sent = send(url, "hello");
        assertEquals("5d41402abc4b2a76b9719d911017c592", sent.md5OfMessageBody());
        List<Message> messages = receive(url, 10);
        assertEquals(1, messages.size());
        assertEquals("hello", messages.get(0).body());
        assertEquals(sent.messageId(), messages.get(0).messageId());
        assertEquals("1", messages.get(0).attributes().get(MessageSystemAttributeName.APPROXIMATE_RECEIVE_COUNT));
        delete(url, messages.get(0));
        assertEquals(List.of(), bodies(url));
    }

    @Test
    void an_empty_receive_has_no_messages() {
        String url = standard();
        assertFalse(SQS.receiveMessage(r -> r.queueUrl(url)).hasMessages());
    }

    static List<String> bodiesOfAllKinds() {
        return List.of(
                "Grüße 你好 😀 \uDBFF\uDFFF",
                "\"\\/\n\r\t <&>' \u2028",
                "x".repeat(1048576),
                "\"\\\n<".repeat(262144),
                "你".repeat(349525));
    }

    @ParameterizedTest(name = "a body of kind {index} comes back as it was")
    @MethodSource("bodiesOfAllKinds")
    void a_body_comes_back_as_it_was(String body) {
        String url = standard();
        send(url, body);
        assertTrue(receive(url, 1).get(0).body().equals(body));
    }

    @Test
    void a_body_over_one_mebibyte_is_refused() {
        String url = standard();
        SqsException e = assertThrows(SqsException.class, () -> send(url, "x".repeat(1048577)));
        assertEquals("InvalidParameterValue", e.awsErrorDetails().errorCode());
    }

    @Test
    void attributes_of_all_types_pass_the_check_of_their_digest() {
        String url = standard();
        byte[] bytes = new byte[256];
        for (int n = 0; n < 256; n++) {
            bytes[n] = (byte) n;
        }
        Map<String, MessageAttributeValue> attributes = Map.of(
                "text", MessageAttributeValue.builder().dataType("String").stringValue("žluťoučký\r\n<&>").build(),
                "label", MessageAttributeValue.builder().dataType("String.label").stringValue("x").build(),
                "number", MessageAttributeValue.builder().dataType("Number").stringValue("-12.5e3").build(),
                "binary",
                        MessageAttributeValue.builder()
                                .dataType("Binary")
                                .binaryValue(SdkBytes.fromByteArray(bytes))
                                .build());
        SendMessageResponse sent = SQS.sendMessage(r -> r.queueUrl(url).messageBody("x").messageAttributes(attributes));
        Message message = receive(url, 1).get(0);
        assertEquals(attributes, message.messageAttributes());
        assertEquals(sent.md5OfMessageAttributes(), message.md5OfMessageAttributes());
    }

    @Test
    void an_attribute_has_the_recorded_digest() {
        String url = standard();
        Map<String, MessageAttributeValue> attributes =
                Map.of("Hello", MessageAttributeValue.builder().dataType("String").stringValue("There").build());
        SendMessageResponse sent = SQS.sendMessage(r -> r.queueUrl(url).messageBody("x").messageAttributes(attributes));
        assertEquals("a311262e065454b75da111d535b8dacd", sent.md5OfMessageAttributes());
    }

    @Test
    void a_batch_is_sent_and_deleted() {
        String url = standard();
        List<SendMessageBatchRequestEntry> entries = IntStream.range(0, 10)
                .mapToObj(n -> SendMessageBatchRequestEntry.builder().id("e" + n).messageBody("body " + n).build())
                .toList();
        SendMessageBatchResponse sent = SQS.sendMessageBatch(r -> r.queueUrl(url).entries(entries));
        assertEquals(10, sent.successful().size());
        assertFalse(sent.hasFailed() && !sent.failed().isEmpty());
        List<Message> messages = receive(url, 10);
        assertEquals(10, messages.size());
        List<DeleteMessageBatchRequestEntry> handles = new ArrayList<>();
        for (Message message : messages) {
            handles.add(DeleteMessageBatchRequestEntry.builder()
                    .id("d" + handles.size())
                    .receiptHandle(message.receiptHandle())
                    .build());
        }
        assertEquals(10, SQS.deleteMessageBatch(r -> r.queueUrl(url).entries(handles)).successful().size());
    }

    @Test
    void an_entry_of_a_batch_fails_alone() {
        String url = create(Map.of(QueueAttributeName.MAXIMUM_MESSAGE_SIZE, "1024"));
        SendMessageBatchResponse sent = SQS.sendMessageBatch(r -> r.queueUrl(url)
                .entries(
                        SendMessageBatchRequestEntry.builder().id("small").messageBody("x").build(),
                        SendMessageBatchRequestEntry.builder().id("large").messageBody("x".repeat(1025)).build()));
        assertEquals("small", sent.successful().get(0).id());
        assertEquals("large", sent.failed().get(0).id());
        assertEquals("InvalidParameterValue", sent.failed().get(0).code());
        assertTrue(sent.failed().get(0).senderFault());
    }

    @Test
    void a_fifo_queue_keeps_order_drops_duplicates_and_locks_groups() {
        String url = fifo();
        SendMessageResponse first = send(url, "1", "g");
        assertEquals(first.messageId(), send(url, "1", "g").messageId());
        SendMessageResponse second = send(url, "2", "g");
        assertTrue(new BigInteger(second.sequenceNumber()).compareTo(new BigInteger(first.sequenceNumber())) > 0);
        send(url, "other", "h");
        Message one = receive(url, 1).get(0);
        assertEquals("1", one.body());
        assertEquals(List.of("other"), bodies(url));
        delete(url, one);
        assertEquals(List.of("2"), bodies(url));
    }

    @Test
    void errors_are_exceptions_of_their_own_classes() {
        String url = standard();
        QueueDoesNotExistException missing = assertThrows(
                QueueDoesNotExistException.class, () -> SQS.getQueueUrl(r -> r.queueName("no-such-queue")));
        assertEquals("The specified queue does not exist.", missing.awsErrorDetails().errorMessage());
        assertEquals("AWS.SimpleQueueService.NonExistentQueue", missing.awsErrorDetails().errorCode());
        ReceiptHandleIsInvalidException handle = assertThrows(
                ReceiptHandleIsInvalidException.class,
                () -> SQS.deleteMessage(r -> r.queueUrl(url).receiptHandle("garbage")));
        assertEquals(404, handle.statusCode());
        assertThrows(
                EmptyBatchRequestException.class,
                () -> SQS.sendMessageBatch(r -> r.queueUrl(url).entries(List.of())));
        assertThrows(InvalidMessageContentsException.class, () -> send(url, "a\u0001b"));
        SqsException number = assertThrows(SqsException.class, () -> receive(url, 11));
        assertEquals("InvalidParameterValue", number.awsErrorDetails().errorCode());
    }

    @Test
    void attributes_and_tags_are_read_and_written() {
        String url = create(Map.of(QueueAttributeName.VISIBILITY_TIMEOUT, "12"));
        SQS.setQueueAttributes(r -> r.queueUrl(url).attributes(Map.of(QueueAttributeName.DELAY_SECONDS, "3")));
        Map<QueueAttributeName, String> shown = SQS.getQueueAttributes(r -> r.queueUrl(url)
                        .attributeNames(QueueAttributeName.VISIBILITY_TIMEOUT, QueueAttributeName.DELAY_SECONDS))
                .attributes();
        assertEquals(
                Map.of(QueueAttributeName.VISIBILITY_TIMEOUT, "12", QueueAttributeName.DELAY_SECONDS, "3"), shown);
        assertFalse(SQS.listQueueTags(r -> r.queueUrl(url)).hasTags());
        SQS.tagQueue(r -> r.queueUrl(url).tags(Map.of("team", "küche")));
        assertEquals(Map.of("team", "küche"), SQS.listQueueTags(r -> r.queueUrl(url)).tags());
    }

    @Test
    void queues_are_listed_page_by_page() {
        String prefix = unique("page");
        List<String> made = new ArrayList<>();
        for (String letter : List.of("a", "b", "c", "d", "e")) {
            made.add(SQS.createQueue(r -> r.queueName(prefix + "-" + letter)).queueUrl());
        }
        List<String> found = new ArrayList<>();
        int pages = 0;
        for (ListQueuesResponse page : SQS.listQueuesPaginator(r -> r.queueNamePrefix(prefix).maxResults(2))) {
            found.addAll(page.queueUrls());
            pages++;
        }
        assertEquals(made, found);
        assertEquals(3, pages);
    }

    @Test
    void a_waiting_receive_gets_a_message_as_soon_as_it_is_sent() throws Exception {
        String url = standard();
        Consumer<ReceiveMessageRequest.Builder> wait = r -> r.queueUrl(url).waitTimeSeconds(20);
        CompletableFuture<ReceiveMessageResponse> waiting =
                CompletableFuture.supplyAsync(() -> SQS.receiveMessage(wait));
        Thread.sleep(200);
        assertFalse(waiting.isDone());
        send(url, "at last");
        assertEquals("at last", waiting.get(10, TimeUnit.SECONDS).messages().get(0).body());
    }

    @Test
    void a_message_comes_back_when_its_visibility_ends() throws Exception {
        String url = standard();
        Endpoint.advance(1);
        send(url, "again");
        Message first = receive(url, 1).get(0);
        assertEquals(List.of(), bodies(url));
        Endpoint.advance(31);
        Message second = receive(url, 1).get(0);
        assertEquals(first.messageId(), second.messageId());
        assertNotEquals(first.receiptHandle(), second.receiptHandle());
        assertEquals("2", second.attributes().get(MessageSystemAttributeName.APPROXIMATE_RECEIVE_COUNT));
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2})
    void a_failing_message_becomes_a_dead_letter(int receives) {
        String dead = standard();
        String arn = SQS.getQueueAttributes(r -> r.queueUrl(dead).attributeNames(QueueAttributeName.QUEUE_ARN))
                .attributes()
                .get(QueueAttributeName.QUEUE_ARN);
        String policy = "{\"deadLetterTargetArn\":\"" + arn + "\",\"maxReceiveCount\":\"" + receives + "\"}";
        String url = create(
                Map.of(QueueAttributeName.REDRIVE_POLICY, policy, QueueAttributeName.VISIBILITY_TIMEOUT, "0"));
        send(url, "poison");
        for (int n = 0; n < receives; n++) {
            assertEquals(List.of("poison"), bodies(url));
        }
        assertEquals(List.of(), bodies(url));
        assertEquals(List.of("poison"), bodies(dead));
    }

    @Test
    void many_threads_work_on_one_queue() {
        String url = standard();
        IntStream.range(0, 100).parallel().forEach(n -> send(url, "body " + n));
        Set<String> seen = new HashSet<>();
        while (seen.size() < 100) {
            List<Message> messages = receive(url, 10);
            assertFalse(messages.isEmpty(), "only " + seen.size() + " messages came");
            for (Message message : messages) {
                delete(url, message);
                seen.add(message.body());
            }
        }
    }
}
