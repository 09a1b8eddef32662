package posthaste.sns;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import javax.net.ssl.TrustManagerFactory;
import org.junit.jupiter.api.DisplayNameGeneration;
import org.junit.jupiter.api.DisplayNameGenerator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.core.exception.SdkClientException;
import software.amazon.awssdk.http.urlconnection.ProxyConfiguration;
import software.amazon.awssdk.http.urlconnection.UrlConnectionHttpClient;
import software.amazon.awssdk.messagemanager.sns.SnsMessageManager;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.sns.SnsClient;
import software.amazon.awssdk.services.sqs.SqsClient;

/**
 * The SDK's validator of SNS messages as it is, without a word to it about where its certificates come from.
 *
 * <p>It takes them from {@code https://sns.REGION.amazonaws.com} alone. The server says that its certificate is there, and serves
 * it over TLS ({@code --certificate-listen}); what remains is that the name leads to it, and that the certificate is trusted. In
 * life that is a network alias and a trust store; here a proxy leads every name to the server.
 */
@DisplayNameGeneration(DisplayNameGenerator.ReplaceUnderscores.class)
@Timeout(60)
class StockValidatorTest {
    private static final HttpClient HTTP = HttpClient.newHttpClient();

    @Test
    void the_sdks_validator_accepts_our_messages_and_no_others() throws Exception {
        String program = System.getenv("POSTHASTE_BIN");
        assumeTrue(program != null, "needs POSTHASTE_BIN to start an endpoint with --certificate-listen");
        int port = freePort();
        int certificates = freePort();
        Process server = new ProcessBuilder(
                        program, "--in-memory", "--listen", "127.0.0.1:" + port, "--certificate-listen",
                        "127.0.0.1:" + certificates)
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .start();
        try (ServerSocket proxy = new ServerSocket(0, 16, InetAddress.getLoopbackAddress())) {
            List<String> asked = new CopyOnWriteArrayList<>();
            daemon(() -> connectAllTo(certificates, proxy, asked));
            URI endpoint = URI.create("http://127.0.0.1:" + port);
            ready(endpoint);
            String body = envelope(endpoint);
            assertTrue(body.contains("\"SigningCertURL\":\"https://sns.us-east-1.amazonaws.com/SimpleNotificationService-"), body);
            try (UrlConnectionHttpClient http = (UrlConnectionHttpClient) UrlConnectionHttpClient.builder()
                            .proxyConfiguration(ProxyConfiguration.builder()
                                    .endpoint(URI.create("http://127.0.0.1:" + proxy.getLocalPort()))
                                    .useSystemPropertyValues(false)
                                    .useEnvironmentVariablesValues(false)
                                    .build())
                            .tlsTrustManagersProvider(() -> trusting(endpoint).getTrustManagers())
                            .build();
                    SnsMessageManager manager =
                            SnsMessageManager.builder().region(Region.US_EAST_1).httpClient(http).build()) {
                manager.parseMessage(body);
                assertThrows(
                        SdkClientException.class, () -> manager.parseMessage(body.replace("Grüße", "another")));
                assertEquals(List.of("sns.us-east-1.amazonaws.com:443"), asked);
            }
        } finally {
            server.destroyForcibly().waitFor();
        }
    }

    private static String envelope(URI endpoint) {
        StaticCredentialsProvider anyone =
                StaticCredentialsProvider.create(AwsBasicCredentials.create("test", "test"));
        try (SnsClient sns = SnsClient.builder()
                        .endpointOverride(endpoint).region(Region.US_EAST_1).credentialsProvider(anyone).build();
                SqsClient sqs = SqsClient.builder()
                        .endpointOverride(endpoint).region(Region.US_EAST_1).credentialsProvider(anyone).build()) {
            String queue = sqs.createQueue(b -> b.queueName("q")).queueUrl();
            String topic = sns.createTopic(b -> b.name("t")).topicArn();
            sns.subscribe(b -> b.topicArn(topic).protocol("sqs").endpoint("arn:aws:sqs:us-east-1:000000000000:q"));
            sns.publish(b -> b.topicArn(topic).message("Grüße").subject("subject"));
            return sqs.receiveMessage(b -> b.queueUrl(queue).waitTimeSeconds(5)).messages().get(0).body();
        }
    }

    /** What trusts the server's certificate and nothing else. */
    private static TrustManagerFactory trusting(URI endpoint) {
        try {
            KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
            store.load(null, null);
            store.setCertificateEntry("posthaste", CertificateFactory.getInstance("X.509")
                    .generateCertificate(new ByteArrayInputStream(get(endpoint.resolve("/_posthaste/certificate.pem")))));
            TrustManagerFactory factory = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
            factory.init(store);
            return factory;
        } catch (Exception error) {
            throw new IllegalStateException(error);
        }
    }

    private static byte[] get(URI uri) throws Exception {
        return HTTP.send(HttpRequest.newBuilder(uri).build(), BodyHandlers.ofByteArray()).body();
    }

    private static void ready(URI endpoint) throws Exception {
        for (int tries = 0; ; tries++) {
            try {
                get(endpoint.resolve("/_posthaste/health"));
                return;
            } catch (IOException error) {
                if (tries > 300) {
                    throw error;
                }
                Thread.sleep(100);
            }
        }
    }

    private static int freePort() throws IOException {
        try (ServerSocket probe = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return probe.getLocalPort();
        }
    }

    /** An HTTP proxy that connects whoever asks for any host to one port of this machine. */
    private static void connectAllTo(int port, ServerSocket proxy, List<String> asked) {
        while (true) {
            try {
                Socket client = proxy.accept();
                StringBuilder head = new StringBuilder();
                while (head.indexOf("\r\n\r\n") < 0) {
                    head.append((char) client.getInputStream().read());
                }
                asked.add(head.toString().split(" ")[1]);
                Socket there = new Socket(InetAddress.getLoopbackAddress(), port);
                client.getOutputStream().write("HTTP/1.1 200 OK\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
                daemon(() -> copy(client, there));
                daemon(() -> copy(there, client));
            } catch (IOException closed) {
                return;
            }
        }
    }

    private static void daemon(Runnable task) {
        Thread thread = new Thread(task);
        thread.setDaemon(true);
        thread.start();
    }

    private static void copy(Socket source, Socket target) {
        try (InputStream in = source.getInputStream()) {
            in.transferTo(target.getOutputStream());
            target.shutdownOutput();
        } catch (IOException over) {
            // One of the two has hung up.
        }
    }
}
