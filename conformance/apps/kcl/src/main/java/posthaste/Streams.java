package posthaste;

import java.net.URI;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.cloudwatch.CloudWatchAsyncClient;
import software.amazon.awssdk.services.dynamodb.DynamoDbAsyncClient;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.awssdk.services.kinesis.model.PutRecordsRequestEntry;
import software.amazon.awssdk.services.kinesis.model.Shard;
import software.amazon.kinesis.common.ConfigsBuilder;
import software.amazon.kinesis.common.InitialPositionInStream;
import software.amazon.kinesis.common.InitialPositionInStreamExtended;
import software.amazon.kinesis.common.KinesisClientUtil;
import software.amazon.kinesis.coordinator.Scheduler;
import software.amazon.kinesis.lifecycle.events.InitializationInput;
import software.amazon.kinesis.lifecycle.events.LeaseLostInput;
import software.amazon.kinesis.lifecycle.events.ProcessRecordsInput;
import software.amazon.kinesis.lifecycle.events.ShardEndedInput;
import software.amazon.kinesis.lifecycle.events.ShutdownRequestedInput;
import software.amazon.kinesis.metrics.NullMetricsFactory;
import software.amazon.kinesis.processor.ShardRecordProcessor;
import software.amazon.kinesis.retrieval.KinesisClientRecord;
import software.amazon.kinesis.retrieval.polling.PollingConfig;

/**
 * An application of AWS's consumer library, with leases in DynamoDB's API: every record comes once, those of a key in their order, also
 * behind a shard that is split meanwhile.
 */
public final class Streams {
    private static final int RECORDS = 600;
    private static final int KEYS = 37;
    private static final long PATIENCE_SECONDS = 150;

    private final KinesisAsyncClient kinesis;
    private final DynamoDbAsyncClient dynamodb;
    private final CloudWatchAsyncClient cloudwatch;
    /** The numbers that came with each key, in their order. */
    private final Map<String, List<Integer>> seen = new ConcurrentHashMap<>();
    private final AtomicInteger count = new AtomicInteger();
    private final AtomicInteger ended = new AtomicInteger();

    private Streams(URI endpoint) {
        var credentials = StaticCredentialsProvider.create(AwsBasicCredentials.create("test", "test"));
        kinesis = KinesisClientUtil.createKinesisAsyncClient(KinesisAsyncClient.builder()
                .endpointOverride(endpoint).region(Region.US_EAST_1).credentialsProvider(credentials));
        dynamodb = DynamoDbAsyncClient.builder()
                .endpointOverride(endpoint).region(Region.US_EAST_1).credentialsProvider(credentials).build();
        // Metrics are not sent.
        cloudwatch = CloudWatchAsyncClient.builder()
                .endpointOverride(endpoint).region(Region.US_EAST_1).credentialsProvider(credentials).build();
    }

    public static void main(String[] arguments) throws Exception {
        URI endpoint = URI.create(System.getenv("POSTHASTE_ENDPOINT"));
        int failed = 0;
        for (boolean fansOut : new boolean[] {false, true}) {
            String name = fansOut ? "fan-out" : "polling";
            try {
                new Streams(endpoint).check(name, fansOut);
                System.out.println(name + ": passed");
            } catch (Throwable error) {
                failed++;
                System.out.println("kcl: trial " + name + " failed: " + error);
            }
        }
        System.out.println((2 - failed) + " passed, " + failed + " failed");
        System.exit(failed == 0 ? 0 : 1);
    }

    private void check(String stream, boolean fansOut) throws Exception {
        kinesis.createStream(request -> request.streamName(stream).shardCount(2)).get();
        kinesis.waiter().waitUntilStreamExists(request -> request.streamName(stream)).get();
        put(stream, 0, RECORDS / 2);
        Scheduler scheduler = scheduler(stream, fansOut);
        var thread = new Thread(scheduler);
        thread.setDaemon(true);
        thread.start();
        await(RECORDS / 2);
        split(stream);
        put(stream, RECORDS / 2, RECORDS);
        await(RECORDS);
        scheduler.startGracefulShutdown().get(30, TimeUnit.SECONDS);
        if (ended.get() != 1) {
            throw new AssertionError(ended.get() + " shards have ended");
        }
        if (count.get() != RECORDS) {
            throw new AssertionError(count.get() + " records came");
        }
        for (var entry : seen.entrySet()) {
            List<Integer> sorted = entry.getValue().stream().sorted().distinct().toList();
            if (!sorted.equals(entry.getValue())) {
                throw new AssertionError("the order of " + entry.getKey() + " is " + entry.getValue());
            }
        }
    }

    private void put(String stream, int from, int to) throws Exception {
        for (int first = from; first < to; first += 100) {
            List<PutRecordsRequestEntry> entries = new ArrayList<>();
            for (int number = first; number < Math.min(first + 100, to); number++) {
                entries.add(PutRecordsRequestEntry.builder()
                        .partitionKey("key-" + number % KEYS)
                        .data(SdkBytes.fromUtf8String(Integer.toString(number)))
                        .build());
            }
            var answer = kinesis.putRecords(request -> request.streamName(stream).records(entries)).get();
            if (answer.failedRecordCount() != 0) {
                throw new AssertionError(answer.toString());
            }
        }
    }

    private void split(String stream) throws Exception {
        Shard shard = kinesis.listShards(request -> request.streamName(stream)).get().shards().get(0);
        var range = shard.hashKeyRange();
        var low = new java.math.BigInteger(range.startingHashKey());
        var middle = low.add(new java.math.BigInteger(range.endingHashKey())).shiftRight(1);
        kinesis.splitShard(request -> request.streamName(stream)
                .shardToSplit(shard.shardId()).newStartingHashKey(middle.toString())).get();
    }

    private void await(int records) throws InterruptedException {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS);
        while (count.get() < records) {
            if (System.nanoTime() > end) {
                throw new AssertionError("only " + count.get() + " of " + records + " records came");
            }
            Thread.sleep(100);
        }
    }

    private Scheduler scheduler(String stream, boolean fansOut) {
        var configs = new ConfigsBuilder(stream, "application-" + stream, kinesis, dynamodb, cloudwatch,
                UUID.randomUUID().toString(), Processor::new);
        var retrieval = configs.retrievalConfig();
        retrieval.initialPositionInStreamExtended(
                InitialPositionInStreamExtended.newInitialPosition(InitialPositionInStream.TRIM_HORIZON));
        if (!fansOut) {
            retrieval.retrievalSpecificConfig(new PollingConfig(stream, kinesis).idleTimeBetweenReadsInMillis(200));
        }
        return new Scheduler(
                configs.checkpointConfig(),
                configs.coordinatorConfig().parentShardPollIntervalMillis(500),
                configs.leaseManagementConfig().shardSyncIntervalMillis(2000),
                configs.lifecycleConfig(),
                configs.metricsConfig().metricsFactory(new NullMetricsFactory()),
                configs.processorConfig(),
                retrieval);
    }

    private final class Processor implements ShardRecordProcessor {
        @Override
        public void initialize(InitializationInput input) {
            System.out.println(input.shardId() + " begins at " + input.extendedSequenceNumber());
        }

        @Override
        public void processRecords(ProcessRecordsInput input) {
            for (KinesisClientRecord record : input.records()) {
                byte[] data = new byte[record.data().remaining()];
                record.data().get(data);
                seen.computeIfAbsent(record.partitionKey(), key -> new ArrayList<>())
                        .add(Integer.valueOf(new String(data)));
                count.incrementAndGet();
            }
            try {
                if (!input.records().isEmpty()) {
                    input.checkpointer().checkpoint();
                }
            } catch (Exception error) {
                System.out.println("checkpoint: " + error);
            }
        }

        @Override
        public void leaseLost(LeaseLostInput input) {
            // The application ends.
        }

        @Override
        public void shardEnded(ShardEndedInput input) {
            ended.incrementAndGet();
            try {
                input.checkpointer().checkpoint();
            } catch (Exception error) {
                System.out.println("end of a shard: " + error);
            }
        }

        @Override
        public void shutdownRequested(ShutdownRequestedInput input) {
            // Everything that was processed has been noted.
        }
    }
}
