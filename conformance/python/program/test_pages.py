"""What the program offers besides AWS's services, for tests and for whoever wonders: below /_posthaste/ and /_localstack/.

These tests start the program; where only an endpoint is given they are skipped.
"""

import os
from urllib.parse import quote

import pytest
from endpoint import free_port

from program.support import ask, client
from sns.receiver import eventually

pytestmark = pytest.mark.skipif("POSTHASTE_BIN" not in os.environ, reason="needs POSTHASTE_BIN to start")

PHONE = "+15005550006"


@pytest.fixture
def server(start):
    return start("--in-memory", "--virtual-clock")


# Answers of telephones -------------------------------------------------------------------------------------------


def opted_out(sns):
    return sns.check_if_phone_number_is_opted_out(phoneNumber=PHONE)["isOptedOut"]


@pytest.mark.parametrize("word", ["STOP", "stop", "Unsubscribe", "QUIT"])
def test_who_answers_stop_has_opted_out_until_opted_in_again(server, word):
    sns = client(server, "sns")
    assert ask(server, "/_posthaste/sms", {"from": PHONE, "text": word}) == (200, {"opted_out": True})
    assert opted_out(sns) and sns.list_phone_numbers_opted_out()["phoneNumbers"] == [PHONE]
    sns.opt_in_phone_number(phoneNumber=PHONE)
    assert not opted_out(sns)


def test_another_answer_opts_nobody_out(server):
    assert ask(server, "/_posthaste/sms", {"from": PHONE, "text": "thank you"}) == (200, {"opted_out": False})
    assert not opted_out(client(server, "sns"))


def test_a_telephone_that_has_opted_out_gets_no_text_message(server):
    sns = client(server, "sns")
    sns.publish(PhoneNumber=PHONE, Message="before")
    ask(server, "/_posthaste/sms", {"from": PHONE, "text": "STOP"})
    sns.publish(PhoneNumber=PHONE, Message="after")
    sns.publish(PhoneNumber="+15005550007", Message="to another")
    sent = eventually(lambda: len(found := outbox(server, "?protocol=sms")) == 2 and found, seconds=5)
    assert "before" in str(sent[0]) and "to another" in str(sent[1])


def test_an_answer_is_to_one_account_in_one_region(server):
    order = {"from": PHONE, "text": "STOP", "account": "111122223333", "region": "eu-west-1"}
    assert ask(server, "/_posthaste/sms", order)[0] == 200
    assert opted_out(client(server, "sns", "111122223333", "eu-west-1"))
    assert not opted_out(client(server, "sns", "111122223333", "us-east-1"))
    assert not opted_out(client(server, "sns", "444455556666", "eu-west-1"))


@pytest.mark.parametrize("order", [{}, {"from": PHONE}, {"text": "STOP"}, {"from": "nobody", "text": "STOP"}, [], "x"])
def test_an_answer_of_nobody_or_without_words_is_refused(server, order):
    status, answer = ask(server, "/_posthaste/sms", order)
    assert status == 400 and answer["message"]


# What could not be delivered -------------------------------------------------------------------------------------


def failures(server, query=""):
    status, answer = ask(server, "/_posthaste/failures" + query)
    assert status == 200
    return answer["failures"]


def test_attempts_that_failed_are_listed_with_the_reason(server):
    sns = client(server, "sns")
    assert failures(server) == []
    topic, other = (sns.create_topic(Name=name)["TopicArn"] for name in ("news", "other"))
    url = f"http://127.0.0.1:{free_port()}/nobody"
    arn = sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=url, ReturnSubscriptionArn=True)["SubscriptionArn"]
    # Nobody answers there, not even to the question whether it wants to be subscribed.
    (failure, *_) = eventually(lambda: failures(server), seconds=5)
    assert failure["status"] == "FAILURE"
    assert failure["notification"]["topicArn"] == topic and failure["notification"]["subscriptionArn"] == arn
    assert failure["delivery"]["destination"] == url and failure["delivery"]["protocol"] == "http"
    assert failure["delivery"]["attempts"] == 1
    assert failure["delivery"]["statusCode"] is None and failure["delivery"]["providerResponse"]
    assert failures(server, f"?topic_arn={topic}") and failures(server, f"?subscription_arn={arn}")
    assert failures(server, f"?topic_arn={other}") == []
    assert ask(server, "/_posthaste/failures?colour=red")[0] == 400
    assert ask(server, "/_posthaste/reset", {})[0] == 200
    assert failures(server) == []


@pytest.mark.parametrize("flags, refusal", [([], "exist"), (["--strict"], "policy")])
@pytest.mark.parametrize("with_dead_letters", [False, True])
def test_what_a_queue_does_not_take_is_listed_with_the_reason(start, flags, refusal, with_dead_letters):
    server = start("--in-memory", "--virtual-clock", *flags)
    sns, sqs = client(server, "sns"), client(server, "sqs")
    topic = sns.create_topic(Name="news")["TopicArn"]
    url, letters = (sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("feed", "letters"))
    letters_arn = "arn:aws:sqs:us-east-1:000000000000:letters"
    everybody = '{"Statement":[{"Effect":"Allow","Principal":"*","Action":"sqs:*","Resource":"*"}]}'
    sqs.set_queue_attributes(QueueUrl=letters, Attributes={"Policy": everybody})
    attributes = {"RedrivePolicy": '{"deadLetterTargetArn":"%s"}' % letters_arn} if with_dead_letters else {}
    arn = "arn:aws:sqs:us-east-1:000000000000:feed"
    subscription = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=attributes)["SubscriptionArn"]
    if not flags:
        sqs.delete_queue(QueueUrl=url)
    message_id = sns.publish(TopicArn=topic, Message="hello")["MessageId"]
    (failure,) = failures(server, f"?subscription_arn={subscription}")
    assert failure["notification"]["messageId"] == message_id
    assert failure["delivery"]["protocol"] == "sqs" and failure["delivery"]["destination"] == arn
    assert refusal in failure["delivery"]["providerResponse"]
    assert ("dead-letter" in failure["delivery"]["providerResponse"]) == with_dead_letters
    assert len(sqs.receive_message(QueueUrl=letters).get("Messages", [])) == with_dead_letters


# What would have left --------------------------------------------------------------------------------------------


def outbox(server, query=""):
    status, answer = ask(server, "/_posthaste/outbox" + query)
    assert status == 200
    (entries,) = [value for value in answer.values() if isinstance(value, list)]
    return entries


def test_the_outbox_is_listed_filtered_and_emptied(server):
    sns = client(server, "sns")
    for number, text in enumerate(["one", "two", "three"]):
        sns.publish(PhoneNumber=f"+1500555000{number}", Message=text)
        eventually(lambda wanted=number + 1: len(outbox(server)) == wanted, seconds=5)
    assert [text for text in ("one", "two", "three") if text in str(outbox(server))] == ["one", "two", "three"]
    (only,) = outbox(server, "?endpoint=" + quote("+15005550001"))
    assert "two" in str(only)
    assert len(outbox(server, f"?after={only['id']}")) == 1
    assert outbox(server, "?protocol=email") == []
    assert ask(server, "/_posthaste/outbox?colour=red")[0] == 400
    assert ask(server, "/_posthaste/outbox", method="DELETE")[0] == 200
    assert outbox(server) == []


# LocalStack's pages, and no pages --------------------------------------------------------------------------------


def test_scripts_that_wait_for_localstack_wait_for_this_program(server):
    for path in ("/_localstack/health", "/_posthaste/health"):
        status, health = ask(server, path)
        names = ["dynamodb", "events", "kinesis", "pipes", "scheduler", "schemas", "sns", "sqs", "stepfunctions"]
        running = dict.fromkeys(names, "running")
        assert status == 200 and health["services"] == running and health["version"]
        assert ask(server, path, method="HEAD") == (200, None)


def test_localstacks_reset_forgets_all_where_time_is_virtual(server, start):
    sqs, sns = client(server), client(server, "sns")
    sqs.create_queue(QueueName="q")
    sns.create_topic(Name="t")
    assert ask(server, "/_localstack/state/reset", {})[0] == 200
    assert "QueueUrls" not in sqs.list_queues() and sns.list_topics()["Topics"] == []
    assert ask(start("--in-memory"), "/_localstack/state/reset", {})[0] == 409


@pytest.mark.parametrize("path", ["/_posthaste/", "/_posthaste/poetry", "/_localstack/init", "/_localstack/"])
def test_what_is_not_there_is_said_with_what_is(server, path):
    status, answer = ask(server, path)
    assert status == 404 and "/_posthaste/health" in answer["message"]
