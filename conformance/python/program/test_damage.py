"""What the program makes of bytes on disk that are not those that it wrote."""

import os
import subprocess

import pytest

from program.support import ask, client
from program.test_program import refusal

pytestmark = pytest.mark.skipif("POSTHASTE_BIN" not in os.environ, reason="needs POSTHASTE_BIN to start")


def run(*words):
    done = subprocess.run(
        [os.environ["POSTHASTE_BIN"], *map(str, words)], capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stdout + done.stderr


def flip(file, at):
    with open(file, "r+b") as log:
        log.seek(at)
        byte = log.read(1)[0]
        log.seek(at)
        log.write(bytes([byte ^ 4]))


def filled(start, data, durability, ending):
    """A data directory with a hundred messages in it, and how much of its first segment is used."""
    server = start("--data", data, "--durability", durability)
    sqs = client(server)
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    for n in range(100):
        sqs.send_message(QueueUrl=url, MessageBody=f"{n:03} " + "x" * 1000)
    assert server.stop() == 0 if ending == "stop" else server.close() is None
    with open(data / "00000001.log", "rb") as log:
        return len(log.read().rstrip(b"\0"))


def received(server):
    sqs = client(server)
    bodies = set()
    while messages := sqs.receive_message(
        QueueUrl=f"{server.url}/000000000000/q", MaxNumberOfMessages=10, VisibilityTimeout=600
    ).get("Messages"):
        bodies |= {message["Body"][:3] for message in messages}
    return bodies


@pytest.mark.parametrize("durability", ["fsync", "os"])
@pytest.mark.parametrize("spoil", ["bit", "end", "cut"])
def test_after_an_orderly_stop_damage_is_refused_whatever_the_durability(start, tmp_path, durability, spoil):
    data = tmp_path / "data"
    used = filled(start, data, durability, "stop")
    log = data / "00000001.log"
    if spoil == "cut":
        os.truncate(log, used // 2)
    else:
        flip(log, used // 2 if spoil == "bit" else used - 20)
    said = refusal("--data", data, "--durability", durability, "--listen", "127.0.0.1:0")
    assert "00000001.log, offset" in said and "posthaste repair" in said
    status, said = run("check", data)
    assert status == 1 and "DAMAGED" in said and "does not start" in said and "00000001.log" in said
    status, said = run("repair", data)
    assert status == 0, said
    bodies = received(start("--data", data, "--durability", durability))
    assert len(bodies) >= (99 if spoil != "cut" else 45)


def test_valid_records_behind_damage_are_kept_after_a_crash(start, tmp_path):
    data = tmp_path / "data"
    used = filled(start, data, "os", "close")
    flip(data / "00000001.log", used // 2)
    said = refusal("--data", data, "--durability", "os", "--listen", "127.0.0.1:0")
    assert "00000001.log, offset" in said and "valid frames" in said and "posthaste repair" in said
    status, said = run("check", data)
    assert status == 1 and "may have been acknowledged" in said
    status, said = run("repair", data)
    assert status == 0 and "SET ASIDE" in said
    assert [file.name for file in data.glob("*.damaged")]
    server = start("--data", data, "--durability", "os")
    assert len(received(server)) >= 99
    assert server.stop() == 0
    status, said = run("check", data)
    assert "UNREADABLE" in said and "The server starts" in said
    assert run("repair", data) == (0, "Nothing had to be repaired.\n")


def test_a_cut_end_is_reported(start, tmp_path):
    data = tmp_path / "data"
    used = filled(start, data, "os", "close")
    flip(data / "00000001.log", used - 20)
    status, said = run("check", data)
    assert "An unfinished write at" in said
    server = start("--data", data, "--durability", "os")
    cut = ask(server, "/_posthaste/health")[1]["journal"]["cut"]
    assert "00000001.log, offset" in cut and "cut off" in cut
    assert len(received(server)) == 99


def test_a_damaged_message_is_set_aside_and_the_others_are_given(start, tmp_path):
    data = tmp_path / "data"
    server = start("--data", data, "--durability", "os")
    sqs = client(server)
    url = sqs.create_queue(
        QueueName="q.fifo", Attributes={"FifoQueue": "true", "VisibilityTimeout": "600"}
    )["QueueUrl"]
    # So many that the first segment is full and has an index.
    for n in range(70):
        body = f"{n:03} " + chr(65 + n % 26) * 1_000_000
        sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId="g", MessageDeduplicationId=str(n))
    assert server.stop() == 0
    flip(data / "00000001.log", 5_500_000)
    server = start("--data", data, "--durability", "os", "--scrub", "1000M")
    sqs = client(server)
    url = f"{server.url}/000000000000/q.fifo"
    bodies = set()
    for _ in range(7):
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
        bodies |= {message["Body"][:3] for message in messages}
        entries = [{"Id": str(n), "ReceiptHandle": message["ReceiptHandle"]} for n, message in enumerate(messages)]
        assert "Failed" not in sqs.delete_message_batch(QueueUrl=url, Entries=entries)
    assert len(bodies) == 69
    counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert counts["ApproximateNumberOfMessages"] == counts["ApproximateNumberOfMessagesNotVisible"] == "0"
    damage = ask(server, "/_posthaste/health")[1]["journal"]["damage"]
    assert damage["messages_set_aside"] == 1 and damage["found"] >= 1
    assert "00000001.log" in damage["places"][0]
    assert server.stop() == 0
    status, said = run("check", data)
    assert status == 1 and "UNREADABLE" in said and "q.fifo" in said and "The server starts" in said
