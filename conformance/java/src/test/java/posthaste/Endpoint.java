package posthaste;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.awscore.client.builder.AwsClientBuilder;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.retries.DefaultRetryStrategy;

/** The endpoint under test, and its clock. */
public final class Endpoint {
    private static final HttpClient HTTP = HttpClient.newHttpClient();

    private Endpoint() {}

    public static URI uri() {
        String url = System.getenv("POSTHASTE_ENDPOINT");
        if (url == null) {
            throw new IllegalStateException("set POSTHASTE_ENDPOINT, or run under conformance/with-server");
        }
        return URI.create(url);
    }

    /** Points a client's builder at the endpoint. Nothing is retried, so that every answer is seen. */
    public static <B extends AwsClientBuilder<B, C>, C> C client(B builder) {
        return builder.endpointOverride(uri())
                .region(Region.US_EAST_1)
                .credentialsProvider(StaticCredentialsProvider.create(AwsBasicCredentials.create("test", "test")))
                .overrideConfiguration(o -> o.retryStrategy(DefaultRetryStrategy.doNotRetry()))
                .build();
    }

    /** Lets so many seconds pass; where the endpoint's clock cannot be moved, the test is skipped. */
    public static void advance(int seconds) throws Exception {
        HttpRequest health = HttpRequest.newBuilder(uri().resolve("/_posthaste/health")).build();
        assumeTrue(HTTP.send(health, BodyHandlers.discarding()).statusCode() == 200, "the clock cannot be moved");
        HttpRequest order = HttpRequest.newBuilder(uri().resolve("/_posthaste/clock"))
                .header("Content-Type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString("{\"advance\": \"" + seconds + "s\"}"))
                .build();
        assumeTrue(HTTP.send(order, BodyHandlers.discarding()).statusCode() / 100 == 2, "the clock cannot be moved");
    }
}
