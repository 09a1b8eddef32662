package posthaste.sns;

import java.net.URI;
import posthaste.Endpoint;
import software.amazon.awssdk.http.ExecutableHttpRequest;
import software.amazon.awssdk.http.HttpExecuteRequest;
import software.amazon.awssdk.http.SdkHttpClient;
import software.amazon.awssdk.http.SdkHttpRequest;
import software.amazon.awssdk.http.urlconnection.UrlConnectionHttpClient;
import software.amazon.awssdk.messagemanager.sns.SnsMessageManager;
import software.amazon.awssdk.messagemanager.sns.model.SnsMessage;
import software.amazon.awssdk.regions.Region;

/**
 * The SDK's own validator of SNS messages, made to accept an endpoint on this machine.
 *
 * <p>It takes certificates from SNS's host in the region alone, by HTTPS, and lets its user give the HTTP client. What a
 * message says of its certificate's address is not signed: the host in it is replaced by the one expected, and the
 * client then asks the endpoint under test after all. The certificate itself must pass: its form, its dates, and that it
 * was made out to {@code sns.amazonaws.com}.
 */
final class Verifier implements AutoCloseable {
    private static final String EXPECTED = "https://sns.us-east-1.amazonaws.com";

    private final SdkHttpClient http = UrlConnectionHttpClient.create();
    private final SnsMessageManager manager = SnsMessageManager.builder()
            .region(Region.US_EAST_1)
            .httpClient(new Redirected())
            .build();

    /** The message; an SdkClientException where its signature or its certificate is wrong. */
    SnsMessage verify(String body) {
        return manager.parseMessage(body.replaceAll(
                "(\"SigningCertURL\"\\s*:\\s*\")https?://[^/\"]+", "$1" + EXPECTED));
    }

    @Override
    public void close() {
        manager.close();
        http.close();
    }

    private final class Redirected implements SdkHttpClient {
        @Override
        public ExecutableHttpRequest prepareRequest(HttpExecuteRequest request) {
            URI there = Endpoint.uri().resolve(request.httpRequest().encodedPath());
            SdkHttpRequest.Builder asked = SdkHttpRequest.builder().method(request.httpRequest().method()).uri(there);
            return http.prepareRequest(HttpExecuteRequest.builder().request(asked.build()).build());
        }

        @Override
        public void close() {}
    }
}
