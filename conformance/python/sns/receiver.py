"""An HTTP server that gets what SNS delivers, and answers as a test wants it to."""

import collections
import http.server
import json
import queue
import socket
import threading
import time
import urllib.error
import urllib.request

PATIENCE_SECONDS = 10
UNCHANGED = object()


class Request:
    """What came: a path, headers (names in lower case, and `raw_headers` as they came) and a body."""

    def __init__(self, handler, body):
        self.method = handler.command
        self.path = handler.path
        self.raw_headers = handler.headers.items()
        self.headers = {name.lower(): value for name, value in self.raw_headers}
        self.body = body

    @property
    def text(self):
        return self.body.decode()

    @property
    def kind(self):
        return self.headers.get("x-amz-sns-message-type")

    def json(self):
        return json.loads(self.body)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        length = int(self.headers.get("Content-Length") or 0)
        request = Request(self, self.rfile.read(length))
        status, headers = self.server.receiver.take(request)
        if status is None:  # the request is never answered
            self.server.receiver.closing.wait()
            self.close_connection = True
            return
        body = self.server.receiver.body
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_PATCH = do_DELETE = do_POST

    def setup(self):
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.server.connections.append(self.connection)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.connections = []

    def handle_error(self, *_):
        pass  # a client that goes away is no error


class Receiver:
    """`next` gives one request after the other; `answer` says what the following ones are answered."""

    def __init__(self):
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.receiver = self
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"
        self.arrived = queue.Queue()
        self.answers = collections.deque()
        self.always = 200
        self.headers = {}
        self.body = b"told\n"
        self.closing = threading.Event()

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()
        # Those that are kept open would be answered still.
        for connection in self.server.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it is closed already

    def take(self, request):
        status = self.answers.popleft() if self.answers else self.always
        self.arrived.put(request)
        return status, self.headers

    def answer(self, *statuses, always=UNCHANGED, headers=None):
        """The next requests are answered with these statuses (None: not at all), those after them with `always`."""
        self.answers.extend(statuses)
        if always is not UNCHANGED:
            self.always = always
        self.headers = headers or {}

    def next(self, kind=None, seconds=PATIENCE_SECONDS):
        """The next request, which must come."""
        try:
            request = self.arrived.get(timeout=seconds)
        except queue.Empty:
            raise AssertionError(f"no request came within {seconds} seconds") from None
        assert kind in (None, request.kind), f"expected a {kind}, got {request.kind}: {request.body!r}"
        return request

    def silent(self, seconds=0.15):
        """Whether no request comes for so long."""
        try:
            self.arrived.get(timeout=seconds)
        except queue.Empty:
            return True
        return False

    def confirm(self):
        """Awaits the request to confirm and follows its link; the request."""
        request = self.next("SubscriptionConfirmation")
        assert visit(request.json()["SubscribeURL"]).status == 200
        return request

    def seconds_until_next(self, clock, step=1, most=150):
        """Moves the clock on until the next request comes: (how many seconds that took, the request).

        A machine that is busy may let it seem a few steps longer, never shorter.
        """
        passed = 0
        while passed <= most:
            try:
                return passed, self.arrived.get(timeout=0.3 if passed == 0 else 0.03)
            except queue.Empty:
                clock.advance(step)
                passed += step
        raise AssertionError(f"no request came within {most} seconds of the endpoint's time")


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = {name.lower(): value for name, value in headers}
        self.body = body

    @property
    def text(self):
        return self.body.decode()


def visit(url, headers=None):
    """An unsigned GET, as of someone who follows a link; any status is an answer."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=30) as answer:
            return Answer(answer.status, answer.getheaders(), answer.read())
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.headers.items(), error.read())


def eventually(look, seconds=PATIENCE_SECONDS, clock=None, step=1):
    """What `look` gives once that is true; meanwhile a `clock` is moved on, `step` seconds at a time."""
    give_up = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < give_up, f"it did not come to be within {seconds} seconds: {look}"
        if clock:
            clock.advance(step)
        time.sleep(0.02)
    return found
