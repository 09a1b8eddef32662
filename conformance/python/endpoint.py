"""Which endpoint the tests talk to, how they start one of their own, and how they move its clock."""

import json
import os
import random
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request

START_SECONDS = 30


class Endpoint:
    """A running endpoint. `close` ends it only if it was started here."""

    def __init__(self, url, process=None):
        self.url = url.rstrip("/")
        self.process = process

    def close(self):
        """SIGKILL."""
        if self.process:
            self.process.kill()
            self.process.wait()

    def stop(self):
        """SIGTERM; the exit code."""
        self.process.terminate()
        return self.process.wait(START_SECONDS)


def free_port():
    """A port below those that outgoing connections get: a client that knocks too early may else meet itself."""
    for _ in range(100):
        port = random.randrange(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise RuntimeError("no port is free")


def start(*flags):
    """Starts the program named by POSTHASTE_BIN on a free port and waits until it says that it is ready."""
    program = os.environ["POSTHASTE_BIN"]
    port = free_port()
    log = tempfile.TemporaryFile()
    process = subprocess.Popen(
        [program, "--listen", f"127.0.0.1:{port}", *flags], stdin=subprocess.DEVNULL, stdout=log, stderr=log
    )
    url = f"http://127.0.0.1:{port}"
    give_up = time.monotonic() + START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(url + "/_posthaste/health", timeout=1):
                return Endpoint(url, process)
        except OSError:  # URLError is one
            if process.poll() is not None or time.monotonic() > give_up:
                process.kill()
                log.seek(0)
                raise RuntimeError(f"{program} did not become ready:\n{log.read().decode(errors='replace')}") from None
            time.sleep(0.01)


class Clock:
    """The endpoint's clock, where it offers one that moves only when told (POST /_posthaste/clock)."""

    def __init__(self, endpoint):
        self.url = endpoint.url + "/_posthaste/clock"

    def _post(self, order):
        request = urllib.request.Request(
            self.url, json.dumps(order).encode(), {"Content-Type": "application/json"}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read()

    def offered(self):
        """Whether this endpoint's clock can be moved."""
        try:
            with urllib.request.urlopen(self.url, timeout=5) as answer:
                return json.load(answer)["virtual"] is True
        except (OSError, ValueError, KeyError, TypeError):  # URLError is an OSError
            return False

    def advance(self, seconds):
        """Lets `seconds` (a whole number) pass."""
        self._post({"advance": f"{seconds}s"})


class Background:
    """A call that runs beside the test, for requests that wait."""

    def __init__(self, call, *args, **kwargs):
        self.answer = None
        self.error = None

        def run():
            try:
                self.answer = call(*args, **kwargs)
            except Exception as error:  # handed to the test by `result`
                self.error = error

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()

    def waiting(self, seconds=0.3):
        """Whether the call is still unanswered after `seconds` of real time."""
        self.thread.join(seconds)
        return self.thread.is_alive()

    def result(self, clock=None, step=5, seconds=30):
        """The answer; with a `clock`, time is moved on by `step` seconds at a time until it comes."""
        give_up = time.monotonic() + seconds
        while self.waiting(0.2):
            assert time.monotonic() < give_up, f"no answer within {seconds} seconds"
            if clock:
                clock.advance(step)
        if self.error:
            raise self.error
        return self.answer
