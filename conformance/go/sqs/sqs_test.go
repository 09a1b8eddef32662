// Package sqs tests SQS through the AWS SDK for Go v2, which checks the MD5 digests of bodies.
package sqs

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"posthaste/conformance/endpoint"
)

// queue is a queue with the client that made it; its methods fail the test where the call fails.
type queue struct {
	*sqs.Client
	t   *testing.T
	url *string
}

func client(t *testing.T) *sqs.Client {
	return sqs.NewFromConfig(endpoint.Config(t, "test"))
}

func unique(word string) string {
	return word + "-" + strings.ToLower(rand.Text()[:12])
}

func create(t *testing.T, attributes map[string]string) queue {
	t.Helper()
	name := unique("go")
	if attributes["FifoQueue"] == "true" {
		name += ".fifo"
	}
	c := client(t)
	made, err := c.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	must(t, err)
	return queue{c, t, made.QueueUrl}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal[T any](t *testing.T, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func (q queue) send(body string, change ...func(*sqs.SendMessageInput)) *sqs.SendMessageOutput {
	q.t.Helper()
	input := &sqs.SendMessageInput{QueueUrl: q.url, MessageBody: &body}
	for _, c := range change {
		c(input)
	}
	sent, err := q.SendMessage(q.t.Context(), input)
	must(q.t, err)
	return sent
}

func group(name string) func(*sqs.SendMessageInput) {
	return func(input *sqs.SendMessageInput) { input.MessageGroupId = &name }
}

func (q queue) receive(change ...func(*sqs.ReceiveMessageInput)) []types.Message {
	q.t.Helper()
	input := &sqs.ReceiveMessageInput{
		QueueUrl:                    q.url,
		MaxNumberOfMessages:         10,
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"},
		MessageAttributeNames:       []string{"All"},
	}
	for _, c := range change {
		c(input)
	}
	got, err := q.ReceiveMessage(q.t.Context(), input)
	must(q.t, err)
	return got.Messages
}

func (q queue) delete(m types.Message) {
	q.t.Helper()
	_, err := q.DeleteMessage(q.t.Context(), &sqs.DeleteMessageInput{QueueUrl: q.url, ReceiptHandle: m.ReceiptHandle})
	must(q.t, err)
}

func bodies(messages []types.Message) []string {
	found := []string{}
	for _, m := range messages {
		found = append(found, *m.Body)
	}
	return found
}

func TestAMessageIsSentReceivedAndDeleted(t *testing.T) {
	q := create(t, nil)
	sent := q.send("hello")
	equal(t, *sent.MD5OfMessageBody, "5d41402abc4b2a76b9719d911017c592")
	got := q.receive()
	equal(t, bodies(got), []string{"hello"})
	equal(t, *got[0].MessageId, *sent.MessageId)
	equal(t, got[0].Attributes["ApproximateReceiveCount"], "1")
	q.delete(got[0])
	equal(t, len(q.receive()), 0)
}

func TestBodiesOfAllKindsComeBackAsTheyWere(t *testing.T) {
	for name, body := range map[string]string{
		"unicode":             "Grüße 你好 😀 \U0010ffff",
		"escapes":             "\"\\/\n\r\t <&>' \u2028",
		"a whole mebibyte":    strings.Repeat("x", 1048576),
		"a mebibyte escaped":  strings.Repeat("\"\\\n<", 262144),
		"a mebibyte of kanji": strings.Repeat("你", 349525),
	} {
		t.Run(name, func(t *testing.T) {
			q := create(t, nil)
			q.send(body)
			if got := q.receive(); len(got) != 1 || *got[0].Body != body {
				t.Fatal("the body came back changed")
			}
		})
	}
}

func TestAttributesHaveTheRecordedDigests(t *testing.T) {
	var file struct {
		Digests []struct {
			Digest     string
			Attributes map[string]struct{ DataType, StringValue, BinaryText string }
		}
	}
	text, err := os.ReadFile("../../cases/sqs/digests.json")
	must(t, err)
	must(t, json.Unmarshal(text, &file))
	for _, vector := range file.Digests {
		t.Run(vector.Digest, func(t *testing.T) {
			attributes := map[string]types.MessageAttributeValue{}
			for name, value := range vector.Attributes {
				attribute := types.MessageAttributeValue{DataType: aws.String(value.DataType)}
				if value.BinaryText != "" {
					attribute.BinaryValue = []byte(value.BinaryText)
				} else {
					attribute.StringValue = aws.String(value.StringValue)
				}
				attributes[name] = attribute
			}
			q := create(t, nil)
			sent := q.send("x", func(input *sqs.SendMessageInput) { input.MessageAttributes = attributes })
			equal(t, *sent.MD5OfMessageAttributes, vector.Digest)
			got := q.receive()[0]
			equal(t, *got.MD5OfMessageAttributes, vector.Digest)
			equal(t, got.MessageAttributes, attributes)
		})
	}
}

func TestABatchIsSentAndDeleted(t *testing.T) {
	q := create(t, nil)
	var entries []types.SendMessageBatchRequestEntry
	for n := range 10 {
		entries = append(entries, types.SendMessageBatchRequestEntry{
			Id: aws.String(fmt.Sprintf("e%d", n)), MessageBody: aws.String(fmt.Sprintf("body %d", n)),
		})
	}
	sent, err := q.SendMessageBatch(t.Context(), &sqs.SendMessageBatchInput{QueueUrl: q.url, Entries: entries})
	must(t, err)
	equal(t, len(sent.Successful), 10)
	messages := q.receive()
	equal(t, len(messages), 10)
	var handles []types.DeleteMessageBatchRequestEntry
	for n, m := range messages {
		handles = append(handles, types.DeleteMessageBatchRequestEntry{
			Id: aws.String(fmt.Sprint(n)), ReceiptHandle: m.ReceiptHandle,
		})
	}
	deleted, err := q.DeleteMessageBatch(t.Context(), &sqs.DeleteMessageBatchInput{QueueUrl: q.url, Entries: handles})
	must(t, err)
	equal(t, len(deleted.Successful), 10)
}

func TestAnEntryOfABatchFailsAlone(t *testing.T) {
	q := create(t, map[string]string{"MaximumMessageSize": "1024"})
	sent, err := q.SendMessageBatch(t.Context(), &sqs.SendMessageBatchInput{
		QueueUrl: q.url,
		Entries: []types.SendMessageBatchRequestEntry{
			{Id: aws.String("small"), MessageBody: aws.String("x")},
			{Id: aws.String("large"), MessageBody: aws.String(strings.Repeat("x", 1025))},
		},
	})
	must(t, err)
	equal(t, len(sent.Successful), 1)
	equal(t, *sent.Failed[0].Id, "large")
	equal(t, *sent.Failed[0].Code, "InvalidParameterValue")
	equal(t, sent.Failed[0].SenderFault, true)
}

func TestAFifoQueueKeepsOrderDropsDuplicatesAndLocksGroups(t *testing.T) {
	q := create(t, map[string]string{"FifoQueue": "true", "ContentBasedDeduplication": "true"})
	first := q.send("1", group("g"))
	again := q.send("1", group("g"))
	equal(t, *again.MessageId, *first.MessageId)
	equal(t, *again.SequenceNumber, *first.SequenceNumber)
	q.send("2", group("g"))
	q.send("other", group("h"))
	one := q.receive(func(input *sqs.ReceiveMessageInput) { input.MaxNumberOfMessages = 1 })
	equal(t, bodies(one), []string{"1"})
	equal(t, bodies(q.receive()), []string{"other"})
	q.delete(one[0])
	equal(t, bodies(q.receive()), []string{"2"})
}

func TestErrorsHaveTheirOwnTypes(t *testing.T) {
	q := create(t, nil)
	_, err := q.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("no-such-queue")})
	var missing *types.QueueDoesNotExist
	if !errors.As(err, &missing) {
		t.Fatalf("not QueueDoesNotExist: %v", err)
	}
	equal(t, missing.ErrorMessage(), "The specified queue does not exist.")
	equal(t, missing.ErrorCode(), "AWS.SimpleQueueService.NonExistentQueue")

	_, err = q.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: q.url, ReceiptHandle: aws.String("garbage")})
	var handle *types.ReceiptHandleIsInvalid
	if !errors.As(err, &handle) {
		t.Fatalf("not ReceiptHandleIsInvalid: %v", err)
	}

	_, err = q.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: q.url, MessageBody: aws.String("a\x01b")})
	var contents *types.InvalidMessageContents
	if !errors.As(err, &contents) {
		t.Fatalf("not InvalidMessageContents: %v", err)
	}

	_, err = q.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: q.url, MaxNumberOfMessages: 11})
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != "InvalidParameterValue" {
		t.Fatalf("not InvalidParameterValue: %v", err)
	}
}

func TestAttributesAndTagsAreReadAndWritten(t *testing.T) {
	q := create(t, map[string]string{"VisibilityTimeout": "12"})
	_, err := q.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{
		QueueUrl: q.url, Attributes: map[string]string{"DelaySeconds": "3"},
	})
	must(t, err)
	shown, err := q.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: q.url, AttributeNames: []types.QueueAttributeName{"VisibilityTimeout", "DelaySeconds"},
	})
	must(t, err)
	equal(t, shown.Attributes, map[string]string{"VisibilityTimeout": "12", "DelaySeconds": "3"})
	_, err = q.TagQueue(t.Context(), &sqs.TagQueueInput{QueueUrl: q.url, Tags: map[string]string{"team": "küche"}})
	must(t, err)
	tags, err := q.ListQueueTags(t.Context(), &sqs.ListQueueTagsInput{QueueUrl: q.url})
	must(t, err)
	equal(t, tags.Tags, map[string]string{"team": "küche"})
}

func TestQueuesAreListedPageByPage(t *testing.T) {
	c, prefix := client(t), unique("page")
	var want, got []string
	for _, letter := range "abcde" {
		made, err := c.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String(prefix + "-" + string(letter))})
		must(t, err)
		want = append(want, *made.QueueUrl)
	}
	pages := sqs.NewListQueuesPaginator(c, &sqs.ListQueuesInput{QueueNamePrefix: &prefix, MaxResults: aws.Int32(2)})
	count := 0
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		must(t, err)
		got = append(got, page.QueueUrls...)
		count++
	}
	equal(t, got, want)
	equal(t, count, 3)
}

func TestAWaitingReceiveGetsAMessageAsSoonAsItIsSent(t *testing.T) {
	q := create(t, nil)
	answer := make(chan []types.Message)
	go func() {
		got, err := q.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: q.url, WaitTimeSeconds: 20})
		if err != nil {
			t.Error(err)
			close(answer)
			return
		}
		answer <- got.Messages
	}()
	select {
	case got := <-answer:
		t.Fatalf("it did not wait: %v", got)
	case <-time.After(100 * time.Millisecond):
	}
	q.send("at last")
	equal(t, bodies(<-answer), []string{"at last"})
}

func TestAWaitingReceiveCanBeCancelled(t *testing.T) {
	q := create(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := q.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: q.url, WaitTimeSeconds: 20})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("not cancelled: %v", err)
	}
	equal(t, len(q.receive()), 0)
}

func TestAMessageComesBackWhenItsVisibilityEnds(t *testing.T) {
	q := create(t, nil)
	q.send("again")
	first := q.receive()[0]
	equal(t, len(q.receive()), 0)
	endpoint.Advance(t, 31)
	second := q.receive()[0]
	equal(t, *second.MessageId, *first.MessageId)
	equal(t, second.Attributes["ApproximateReceiveCount"], "2")
}

func TestManyGoroutinesWorkOnOneQueue(t *testing.T) {
	q := create(t, nil)
	var group sync.WaitGroup
	for worker := range 10 {
		group.Go(func() {
			for n := range 10 {
				q.send(fmt.Sprintf("%d/%d", worker, n))
			}
		})
	}
	group.Wait()
	seen := map[string]bool{}
	for len(seen) < 100 {
		messages := q.receive()
		if len(messages) == 0 {
			t.Fatalf("only %d messages came", len(seen))
		}
		for _, m := range messages {
			seen[*m.Body] = true
			q.delete(m)
		}
	}
}

func TestADeadLetterComesBackThroughAMoveTask(t *testing.T) {
	dead := create(t, nil)
	arn, err := dead.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: dead.url, AttributeNames: []types.QueueAttributeName{"QueueArn"},
	})
	must(t, err)
	policy := fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":1}`, arn.Attributes["QueueArn"])
	q := create(t, map[string]string{"RedrivePolicy": policy})
	for _, body := range []string{"a", "b"} {
		q.send(body)
	}
	for _, m := range q.receive() {
		_, err := q.ChangeMessageVisibility(t.Context(), &sqs.ChangeMessageVisibilityInput{
			QueueUrl: q.url, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 0,
		})
		must(t, err)
	}
	equal(t, len(q.receive()), 0)
	start := &sqs.StartMessageMoveTaskInput{SourceArn: aws.String(arn.Attributes["QueueArn"])}
	_, err = q.StartMessageMoveTask(t.Context(), start)
	must(t, err)
	var found []string
	for deadline := time.Now().Add(20 * time.Second); len(found) < 2 && time.Now().Before(deadline); {
		found = append(found, bodies(q.receive())...)
		time.Sleep(10 * time.Millisecond)
	}
	sort.Strings(found)
	equal(t, found, []string{"a", "b"})
}
