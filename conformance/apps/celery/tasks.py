"""A Celery application with SQS as its broker: what its workers do is written to a journal that tests read."""

import json
import os
from urllib.parse import urlsplit

from celery import Celery

JOURNAL = os.environ["JOURNAL"]
PREFIX = os.environ["PREFIX"]

app = Celery("tasks", broker=f"sqs://test:test@{urlsplit(os.environ['POSTHASTE_ENDPOINT']).netloc}")
app.conf.update(
    broker_transport_options={
        "is_secure": False,
        "region": "us-east-1",
        "queue_name_prefix": PREFIX,
        "visibility_timeout": 5,
        "wait_time_seconds": 1,
        "polling_interval": 0,
    },
    broker_connection_retry_on_startup=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    worker_enable_remote_control=False,
    task_ignore_result=True,
)


def write(**line):
    """Adds one line to the journal; one write, so that lines of several workers do not mix."""
    with open(JOURNAL, "a") as journal:
        journal.write(json.dumps(line) + "\n")


@app.task
def add(a, b):
    write(task="add", a=a, b=b, sum=a + b)


@app.task
def say(text):
    write(task="say", text=text)


@app.task(bind=True, max_retries=3)
def stubborn(self, failures):
    """Fails so many times, then succeeds."""
    attempt = self.request.retries
    write(task="stubborn", attempt=attempt, id=self.request.id)
    if attempt < failures:
        raise self.retry(countdown=0)
    write(task="stubborn", done=True, id=self.request.id)


@app.task
def later(number):
    write(task="later", number=number)


@app.task
def dies(marker):
    """Takes its whole worker down at the first attempt."""
    write(task="dies", marker=marker)
    if not os.path.exists(marker):
        open(marker, "w").close()
        os.kill(os.getpid(), 9)
    write(task="dies", done=True)
