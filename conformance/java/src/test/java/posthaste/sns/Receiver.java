package posthaste.sns;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;

import com.sun.net.httpserver.Headers;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** An HTTP server that gets what SNS delivers. */
final class Receiver implements AutoCloseable {
    record Request(Headers headers, String body) {}

    private final HttpServer server;
    private final BlockingQueue<Request> arrived = new LinkedBlockingQueue<>();
    /** The statuses of the next answers; after them it is 200. */
    final BlockingQueue<Integer> answers = new LinkedBlockingQueue<>();

    Receiver() throws IOException {
        server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
        server.createContext("/", exchange -> {
            String body = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
            Integer status = answers.poll();
            exchange.sendResponseHeaders(status == null ? 200 : status, -1);
            exchange.close();
            arrived.add(new Request(exchange.getRequestHeaders(), body));
        });
        server.start();
    }

    String url() {
        return "http://127.0.0.1:" + server.getAddress().getPort() + "/hook";
    }

    /** The next request, which must come and be of this type. */
    Request next(String type) throws InterruptedException {
        Request request = arrived.poll(10, TimeUnit.SECONDS);
        assertNotNull(request, "no " + type + " came");
        assertEquals(type, request.headers().getFirst("x-amz-sns-message-type"), request.body());
        return request;
    }

    @Override
    public void close() {
        server.stop(0);
    }
}
