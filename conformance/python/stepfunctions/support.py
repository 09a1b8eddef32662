"""What the tests of state machines share."""

import json
import uuid

ACCOUNT = "000000000000"
REGION = "us-east-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/states"


def unique(word="m"):
    return f"{word}-{uuid.uuid4().hex[:12]}"


def flow(start, **states):
    """A definition, or a branch of one."""
    return {"StartAt": start, "States": states}


def run_to_end(sfn, clock, machine, input=None, seconds=0):
    """Starts an execution and lets time pass; the description of the execution."""
    started = sfn.start_execution(stateMachineArn=machine, input=json.dumps(input if input is not None else {}))
    clock.advance(seconds)
    return sfn.describe_execution(executionArn=started["executionArn"])


def history(sfn, execution, **more):
    """All events, page by page."""
    events, token = [], {}
    while True:
        page = sfn.get_execution_history(executionArn=execution, **token, **more)
        events += page["events"]
        if "nextToken" not in page:
            return events
        token = {"nextToken": page["nextToken"]}


def graph(sfn, execution):
    """The events as `type id<previous`."""
    return [f"{event['type']} {event['id']}<{event['previousEventId']}" for event in history(sfn, execution)]


def bodies(sqs, queue):
    """What can be received now."""
    found = []
    while True:
        messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        if not messages:
            return found
        for message in messages:
            found.append(message["Body"])
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
