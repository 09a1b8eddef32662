package posthaste.events;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.UUID;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.DisplayNameGeneration;
import org.junit.jupiter.api.DisplayNameGenerator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import posthaste.Endpoint;
import software.amazon.awssdk.services.eventbridge.EventBridgeClient;
import software.amazon.awssdk.services.eventbridge.model.*;
import software.amazon.awssdk.services.sqs.SqsClient;
import software.amazon.awssdk.services.sqs.model.Message;
import software.amazon.awssdk.services.sqs.model.QueueAttributeName;

/** EventBridge through the AWS SDK for Java v2. */
@DisplayNameGeneration(DisplayNameGenerator.ReplaceUnderscores.class)
@Timeout(60)
class EventsTest {
    private static final EventBridgeClient EVENTS = Endpoint.client(EventBridgeClient.builder());
    private static final SqsClient SQS = Endpoint.client(SqsClient.builder());

    @AfterAll
    static void close() {
        EVENTS.close();
        SQS.close();
    }

    private record Queue(String url, String arn) {
        List<String> bodies() {
            return SQS.receiveMessage(r -> r.queueUrl(url).maxNumberOfMessages(10).waitTimeSeconds(1)).messages().stream()
                    .map(Message::body)
                    .sorted()
                    .toList();
        }
    }

    private static String unique(String word) {
        return word + "-" + UUID.randomUUID().toString().substring(0, 13);
    }

    private static Queue queue() {
        String url = SQS.createQueue(r -> r.queueName(unique("java"))).queueUrl();
        return new Queue(
                url,
                SQS.getQueueAttributes(r -> r.queueUrl(url).attributeNames(QueueAttributeName.QUEUE_ARN))
                        .attributes()
                        .get(QueueAttributeName.QUEUE_ARN));
    }

    private static String bus() {
        String name = unique("bus");
        EVENTS.createEventBus(r -> r.name(name));
        return name;
    }

    private static void route(String bus, String pattern, Target target) {
        String rule = unique("rule");
        EVENTS.putRule(r -> r.name(rule).eventBusName(bus).eventPattern(pattern));
        PutTargetsResponse put = EVENTS.putTargets(r -> r.rule(rule).eventBusName(bus).targets(target));
        assertEquals(0, put.failedEntryCount());
    }

    private static PutEventsRequestEntry entry(String bus, String detail) {
        return PutEventsRequestEntry.builder()
                .eventBusName(bus)
                .source("shop")
                .detailType("t")
                .detail(detail)
                .build();
    }

    @Test
    void an_event_reaches_the_queues_of_the_rules_that_match_it() {
        String bus = bus();
        Queue whole = queue();
        Queue named = queue();
        route(bus, "{\"source\": [\"shop\"]}", Target.builder().id("t").arn(whole.arn()).build());
        InputTransformer transformer =
                InputTransformer.builder().inputTemplate("{\"rule\": <aws.events.rule-name>}").build();
        String pattern = "{\"detail\": {\"n\": [{\"anything-but\": 1}]}}";
        route(bus, pattern, Target.builder().id("t").arn(named.arn()).inputTransformer(transformer).build());
        PutEventsResponse put = EVENTS.putEvents(
                r -> r.entries(entry(bus, "{\"n\": 1}"), entry(bus, "{\"n\": 2}"), entry(bus, "[")));
        assertEquals(1, put.failedEntryCount());
        assertEquals("MalformedDetail", put.entries().get(2).errorCode());
        assertEquals(2, whole.bodies().size());
        List<String> bodies = named.bodies();
        assertEquals(1, bodies.size());
        assertTrue(bodies.get(0).startsWith("{\"rule\": \"rule-"), bodies.get(0));
    }

    @Test
    void errors_are_exceptions_of_their_own_classes() {
        String bus = bus();
        assertThrows(ResourceAlreadyExistsException.class, () -> EVENTS.createEventBus(r -> r.name(bus)));
        assertThrows(
                ResourceNotFoundException.class, () -> EVENTS.describeRule(r -> r.name("missing").eventBusName(bus)));
        assertThrows(
                InvalidEventPatternException.class,
                () -> EVENTS.putRule(r -> r.name("r").eventBusName(bus).eventPattern("{\"source\": \"x\"}")));
    }

    @Test
    void rules_are_listed_page_by_page() {
        String bus = bus();
        Queue queue = queue();
        IntStream.range(0, 3).forEach(number -> route(
                bus, "{\"source\": [\"shop\"]}", Target.builder().id("t").arn(queue.arn()).build()));
        ListRulesResponse first = EVENTS.listRules(r -> r.eventBusName(bus).limit(2));
        ListRulesResponse second =
                EVENTS.listRules(r -> r.eventBusName(bus).limit(2).nextToken(first.nextToken()));
        assertEquals(List.of(2, 1), List.of(first.rules().size(), second.rules().size()));
    }

    @Test
    void a_rule_runs_by_its_schedule() throws Exception {
        Queue queue = queue();
        String rule = unique("rule");
        EVENTS.putRule(r -> r.name(rule).scheduleExpression("rate(1 hour)"));
        EVENTS.putTargets(r -> r.rule(rule).targets(Target.builder().id("t").arn(queue.arn()).input("\"tick\"").build()));
        Endpoint.advance(3600);
        assertEquals(List.of("\"tick\""), queue.bodies());
        EVENTS.removeTargets(r -> r.rule(rule).ids("t"));
        EVENTS.deleteRule(r -> r.name(rule));
    }
}
