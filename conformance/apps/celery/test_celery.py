"""Celery over SQS: tasks are sent, handled, retried, delayed, and survive their worker."""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import time
import uuid

import boto3
import pytest

HERE = pathlib.Path(__file__).parent
ENDPOINT = os.environ.get("POSTHASTE_ENDPOINT") or pytest.exit(
    "set POSTHASTE_ENDPOINT, or run under conformance/with-server", 2
)


class Application:
    """The application in tasks.py, with a queue and a journal of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.journal = folder / "journal"
        self.journal.touch()
        self.prefix = f"celery-{uuid.uuid4().hex[:8]}-"
        self.environment = {
            **os.environ,
            "JOURNAL": str(self.journal),
            "PREFIX": self.prefix,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def send(self, script):
        """Runs Python lines that send tasks, in a process of their own as a web application would be."""
        subprocess.run(
            [sys.executable, "-c", "from tasks import *\n" + script],
            cwd=HERE,
            env=self.environment,
            check=True,
            timeout=60,
        )

    @contextlib.contextmanager
    def worker(self, pool="threads"):
        """A worker that runs while the block does."""
        log = open(self.folder / "worker.log", "ab")
        command = ["-m", "celery", "-A", "tasks", "worker", "-P", pool, "-c", "2", "--without-gossip"]
        command += ["--without-mingle", "--without-heartbeat", "-l", "INFO"]
        process = subprocess.Popen([sys.executable, *command], cwd=HERE, env=self.environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def lines(self):
        return [json.loads(line) for line in self.journal.read_text().splitlines()]

    def wait(self, done, seconds=40):
        """The journal's lines once `done(lines)` holds."""
        give_up = time.monotonic() + seconds
        while not done(lines := self.lines()):
            log = (self.folder / "worker.log").read_text(errors="replace")[-3000:]
            assert time.monotonic() < give_up, f"{lines}\n{log}"
            time.sleep(0.05)
        return lines

    def counts(self):
        """(visible, in flight) in the application's queue."""
        sqs = boto3.client(
            "sqs",
            endpoint_url=ENDPOINT,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        url = sqs.get_queue_url(QueueName=self.prefix + "celery")["QueueUrl"]
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        shown = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return tuple(int(shown[name]) for name in names)

    def settled(self):
        """Whether every task is acknowledged, waiting a little for the last ones."""
        give_up = time.monotonic() + 10
        while self.counts() != (0, 0):
            assert time.monotonic() < give_up, self.counts()
            time.sleep(0.05)
        return True


@pytest.fixture
def application(tmp_path):
    return Application(tmp_path)


def test_tasks_are_handled_and_acknowledged(application):
    application.send("for n in range(40): add.delay(n, 2)")
    with application.worker():
        lines = application.wait(lambda lines: len(lines) >= 40)
        assert sorted(line["sum"] for line in lines) == [n + 2 for n in range(40)]
        assert application.settled()


@pytest.mark.slow
def test_tasks_sent_while_the_worker_waits_are_handled(application):
    with application.worker():
        application.send("add.delay(1, 1)")
        application.wait(lambda lines: len(lines) == 1)
        application.send("add.delay(2, 2)")
        application.wait(lambda lines: len(lines) == 2)
        assert application.settled()


@pytest.mark.slow
def test_text_of_all_kinds_reaches_the_task(application):
    text = 'Grüße 你好 😀 "\\\n\r\t<&>'
    application.send(f"say.delay({text!r})")
    with application.worker():
        assert application.wait(lambda lines: lines)[0]["text"] == text


@pytest.mark.slow
def test_a_large_task_reaches_the_worker(application):
    application.send("say.delay('x' * 150000)")
    with application.worker():
        assert application.wait(lambda lines: lines)[0]["text"] == "x" * 150000


def test_a_failing_task_is_tried_again(application):
    application.send("stubborn.delay(2)")
    with application.worker():
        lines = application.wait(lambda lines: any(line.get("done") for line in lines))
        assert [line["attempt"] for line in lines if "attempt" in line] == [0, 1, 2]
        assert application.settled()


@pytest.mark.slow
def test_a_task_with_a_countdown_is_handled_when_it_is_due(application):
    application.send("later.apply_async((1,), countdown=2)")
    begun = time.time()
    with application.worker():
        application.wait(lambda lines: lines)
        assert time.time() - begun > 1
        assert application.settled()


def test_a_task_whose_worker_dies_is_handled_by_the_next(application, tmp_path):
    marker = tmp_path / "died"
    application.send(f"dies.delay({str(marker)!r})")
    with application.worker("solo") as worker:
        worker.wait(40)
    assert application.lines() == [{"task": "dies", "marker": str(marker)}]
    with application.worker("solo"):
        # It is hidden until its visibility of five seconds ends.
        lines = application.wait(lambda lines: any(line.get("done") for line in lines))
        assert len(lines) == 3
        assert application.settled()
