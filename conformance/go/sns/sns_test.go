// Package sns tests SNS through the AWS SDK for Go v2, with a real HTTP server to deliver to.
package sns

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"posthaste/conformance/endpoint"
)

// topic is a topic with the client that made it; its methods fail the test where the call fails.
type topic struct {
	*sns.Client
	t   *testing.T
	arn *string
}

// queue is a queue to subscribe.
type queue struct {
	*sqs.Client
	t   *testing.T
	url *string
	arn string
}

func unique(word string) string {
	return word + "-" + strings.ToLower(rand.Text()[:12])
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

func client(t *testing.T) *sns.Client {
	return sns.NewFromConfig(endpoint.Config(t, "test"))
}

func createTopic(t *testing.T, attributes map[string]string) topic {
	t.Helper()
	name := unique("go")
	if attributes["FifoTopic"] == "true" {
		name += ".fifo"
	}
	c := client(t)
	made, err := c.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: &name, Attributes: attributes})
	must(t, err)
	return topic{c, t, made.TopicArn}
}

func createQueue(t *testing.T, attributes map[string]string) queue {
	t.Helper()
	c := sqs.NewFromConfig(endpoint.Config(t, "test"))
	name := unique("go")
	if attributes["FifoQueue"] == "true" {
		name += ".fifo"
	}
	made, err := c.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	must(t, err)
	shown, err := c.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: made.QueueUrl, AttributeNames: []sqstypes.QueueAttributeName{"QueueArn"},
	})
	must(t, err)
	return queue{c, t, made.QueueUrl, shown.Attributes["QueueArn"]}
}

func (p topic) subscribe(protocol, where string, attributes map[string]string) *string {
	p.t.Helper()
	made, err := p.Subscribe(p.t.Context(), &sns.SubscribeInput{
		TopicArn: p.arn, Protocol: &protocol, Endpoint: &where, Attributes: attributes, ReturnSubscriptionArn: true,
	})
	must(p.t, err)
	return made.SubscriptionArn
}

func (p topic) publish(message string, change ...func(*sns.PublishInput)) *sns.PublishOutput {
	p.t.Helper()
	input := &sns.PublishInput{TopicArn: p.arn, Message: &message}
	for _, c := range change {
		c(input)
	}
	sent, err := p.Publish(p.t.Context(), input)
	must(p.t, err)
	return sent
}

func (q queue) receive() []sqstypes.Message {
	q.t.Helper()
	got, err := q.ReceiveMessage(q.t.Context(), &sqs.ReceiveMessageInput{
		QueueUrl: q.url, MaxNumberOfMessages: 10, MessageAttributeNames: []string{"All"},
	})
	must(q.t, err)
	return got.Messages
}

func (q queue) bodies() []string {
	q.t.Helper()
	found := []string{}
	for _, m := range q.receive() {
		found = append(found, *m.Body)
	}
	return found
}

var raw = map[string]string{"RawMessageDelivery": "true"}

// notification is what an envelope holds.
type notification struct {
	Type, MessageId, Token, TopicArn, Subject, Message, SubscribeURL, UnsubscribeURL string
	Timestamp, SignatureVersion, Signature, SigningCertURL                           string
}

func read(t *testing.T, text string) (n notification) {
	t.Helper()
	must(t, json.Unmarshal([]byte(text), &n))
	return n
}

// verify checks the signature with the certificate that the message names.
func (n notification) verify(t *testing.T) error {
	t.Helper()
	answer, err := http.Get(n.SigningCertURL)
	must(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	must(t, err)
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatalf("no certificate at %s: %s", n.SigningCertURL, text)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	must(t, err)
	signed := "Message\n" + n.Message + "\nMessageId\n" + n.MessageId + "\n"
	if n.Type == "Notification" {
		if n.Subject != "" {
			signed += "Subject\n" + n.Subject + "\n"
		}
		signed += "Timestamp\n" + n.Timestamp + "\n"
	} else {
		signed += "SubscribeURL\n" + n.SubscribeURL + "\nTimestamp\n" + n.Timestamp + "\nToken\n" + n.Token + "\n"
	}
	signed += "TopicArn\n" + n.TopicArn + "\nType\n" + n.Type + "\n"
	signature, err := base64.StdEncoding.DecodeString(n.Signature)
	must(t, err)
	algorithm := x509.SHA1WithRSA
	if n.SignatureVersion == "2" {
		algorithm = x509.SHA256WithRSA
	}
	return certificate.CheckSignature(algorithm, []byte(signed), signature)
}

func TestAMessageGoesToEveryQueueOfItsTopic(t *testing.T) {
	p := createTopic(t, nil)
	wrapped, plain := createQueue(t, nil), createQueue(t, nil)
	p.subscribe("sqs", wrapped.arn, nil)
	p.subscribe("sqs", plain.arn, raw)
	sent := p.publish("Grüße 😀", func(in *sns.PublishInput) { in.Subject = aws.String("subject") })
	equal(t, plain.bodies(), []string{"Grüße 😀"})
	n := read(t, wrapped.bodies()[0])
	equal(t, n.MessageId, *sent.MessageId)
	equal(t, n.Message, "Grüße 😀")
	equal(t, n.Subject, "subject")
	must(t, n.verify(t))
	n.Message += "!"
	if n.verify(t) == nil {
		t.Fatal("a changed message has a valid signature")
	}
}

func TestAttributesOfAllTypesReachARawQueue(t *testing.T) {
	p, q := createTopic(t, nil), createQueue(t, nil)
	p.subscribe("sqs", q.arn, raw)
	p.publish("x", func(in *sns.PublishInput) {
		in.MessageAttributes = map[string]types.MessageAttributeValue{
			"text":   {DataType: aws.String("String"), StringValue: aws.String("ä")},
			"number": {DataType: aws.String("Number"), StringValue: aws.String("-1.50")},
			"bytes":  {DataType: aws.String("Binary"), BinaryValue: []byte{0, 255}},
		}
	})
	equal(t, q.receive()[0].MessageAttributes, map[string]sqstypes.MessageAttributeValue{
		"text":   {DataType: aws.String("String"), StringValue: aws.String("ä")},
		"number": {DataType: aws.String("Number"), StringValue: aws.String("-1.50")},
		"bytes":  {DataType: aws.String("Binary"), BinaryValue: []byte{0, 255}},
	})
}

func TestAFilterDeliversWhatMatches(t *testing.T) {
	p, q := createTopic(t, nil), createQueue(t, nil)
	p.subscribe("sqs", q.arn, map[string]string{
		"RawMessageDelivery": "true",
		"FilterPolicyScope":  "MessageBody",
		"FilterPolicy":       `{"order":{"status":["paid",{"prefix":"re"}],"total":[{"numeric":[">",10]}]}}`,
	})
	matching := []string{`{"order":{"status":"paid","total":11}}`, `{"order":{"status":"refunded","total":10.5}}`}
	for _, body := range append(matching, `{"order":{"status":"open","total":11}}`, `{"order":{"status":"paid","total":10}}`) {
		p.publish(body)
	}
	got := q.bodies()
	sort.Strings(got)
	equal(t, got, matching)
}

func TestABatchIsPublished(t *testing.T) {
	p, q := createTopic(t, nil), createQueue(t, nil)
	p.subscribe("sqs", q.arn, raw)
	var entries []types.PublishBatchRequestEntry
	var want []string
	for n := range 10 {
		body := fmt.Sprintf("body %d", n)
		want = append(want, body)
		entries = append(entries, types.PublishBatchRequestEntry{Id: aws.String(fmt.Sprintf("e%d", n)), Message: &body})
	}
	sent, err := p.PublishBatch(t.Context(), &sns.PublishBatchInput{TopicArn: p.arn, PublishBatchRequestEntries: entries})
	must(t, err)
	equal(t, len(sent.Successful), 10)
	equal(t, len(sent.Failed), 0)
	got := q.bodies()
	sort.Strings(got)
	equal(t, got, want)
}

func TestAFifoTopicKeepsOrderAndDropsDuplicates(t *testing.T) {
	p := createTopic(t, map[string]string{"FifoTopic": "true", "ContentBasedDeduplication": "true"})
	q := createQueue(t, map[string]string{"FifoQueue": "true"})
	p.subscribe("sqs", q.arn, raw)
	for _, body := range []string{"1", "2", "2", "3"} {
		sent := p.publish(body, func(in *sns.PublishInput) { in.MessageGroupId = aws.String("g") })
		equal(t, len(*sent.SequenceNumber), 20)
	}
	equal(t, q.bodies(), []string{"1", "2", "3"})
}

func TestErrorsHaveTheirOwnTypes(t *testing.T) {
	p := createTopic(t, nil)
	unknown := (*p.arn)[:strings.LastIndex(*p.arn, ":")] + ":never"
	_, err := p.Publish(t.Context(), &sns.PublishInput{TopicArn: &unknown, Message: aws.String("x")})
	var missing *types.NotFoundException
	if !errors.As(err, &missing) {
		t.Fatalf("not NotFoundException: %v", err)
	}
	equal(t, missing.ErrorMessage(), "Topic does not exist")

	_, err = p.Publish(t.Context(), &sns.PublishInput{TopicArn: p.arn, Message: aws.String("")})
	var parameter *types.InvalidParameterException
	if !errors.As(err, &parameter) {
		t.Fatalf("not InvalidParameterException: %v", err)
	}
	equal(t, parameter.ErrorMessage(), "Invalid parameter: Empty message")

	_, err = p.Publish(t.Context(), &sns.PublishInput{
		TopicArn: p.arn, Message: aws.String("x"),
		MessageAttributes: map[string]types.MessageAttributeValue{
			"a": {DataType: aws.String("Bool"), StringValue: aws.String("x")},
		},
	})
	var value *types.InvalidParameterValueException
	if !errors.As(err, &value) {
		t.Fatalf("not InvalidParameterValueException: %v", err)
	}

	entry := types.PublishBatchRequestEntry{Id: aws.String("a"), Message: aws.String("x")}
	_, err = p.PublishBatch(t.Context(), &sns.PublishBatchInput{
		TopicArn: p.arn, PublishBatchRequestEntries: []types.PublishBatchRequestEntry{entry, entry},
	})
	var distinct *types.BatchEntryIdsNotDistinctException
	if !errors.As(err, &distinct) {
		t.Fatalf("not BatchEntryIdsNotDistinctException: %v", err)
	}

	_, err = p.ListTagsForResource(t.Context(), &sns.ListTagsForResourceInput{ResourceArn: &unknown})
	var resource *types.ResourceNotFoundException
	if !errors.As(err, &resource) {
		t.Fatalf("not ResourceNotFoundException: %v", err)
	}
}

// hook is an HTTP server that tells what it got.
type hook struct {
	*httptest.Server
	t        *testing.T
	requests chan *http.Request
	bodies   chan string
	answers  chan int
}

func listen(t *testing.T) hook {
	h := hook{nil, t, make(chan *http.Request, 100), make(chan string, 100), make(chan int, 100)}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		select {
		case status := <-h.answers:
			w.WriteHeader(status)
		default:
		}
		h.requests <- r
		h.bodies <- string(body)
	}))
	t.Cleanup(h.Server.Close)
	return h
}

func (h hook) next(kind string) (*http.Request, string) {
	h.t.Helper()
	select {
	case r := <-h.requests:
		body := <-h.bodies
		if got := r.Header.Get("x-amz-sns-message-type"); got != kind {
			h.t.Fatalf("a %s came, not a %s: %s", got, kind, body)
		}
		return r, body
	case <-time.After(10 * time.Second):
		h.t.Fatalf("no %s came", kind)
		return nil, ""
	}
}

func visit(t *testing.T, url string) {
	t.Helper()
	answer, err := http.Get(url)
	must(t, err)
	defer answer.Body.Close()
	equal(t, answer.StatusCode, http.StatusOK)
}

func TestAServerConfirmsIsNotifiedAndUnsubscribes(t *testing.T) {
	for _, version := range []string{"1", "2"} {
		t.Run("version "+version, func(t *testing.T) {
			h := listen(t)
			p := createTopic(t, map[string]string{"SignatureVersion": version})
			arn := p.subscribe("http", h.URL, nil)
			r, body := h.next("SubscriptionConfirmation")
			equal(t, r.Header.Get("User-Agent"), "Amazon Simple Notification Service Agent")
			asked := read(t, body)
			must(t, asked.verify(t))
			visit(t, asked.SubscribeURL)
			p.publish("hello")
			r, body = h.next("Notification")
			equal(t, r.Header.Get("x-amz-sns-subscription-arn"), *arn)
			told := read(t, body)
			equal(t, told.Message, "hello")
			equal(t, told.SignatureVersion, version)
			must(t, told.verify(t))
			visit(t, told.UnsubscribeURL)
			_, body = h.next("UnsubscribeConfirmation")
			must(t, read(t, body).verify(t))
		})
	}
}

func TestAServerThatFailsIsTriedAgain(t *testing.T) {
	h := listen(t)
	p := createTopic(t, nil)
	retries := `{"healthyRetryPolicy":{"minDelayTarget":1,"maxDelayTarget":1,"numRetries":2,"numNoDelayRetries":2}}`
	p.subscribe("http", h.URL, map[string]string{"RawMessageDelivery": "true", "DeliveryPolicy": retries})
	_, body := h.next("SubscriptionConfirmation")
	visit(t, read(t, body).SubscribeURL)
	h.answers <- 500
	h.answers <- 503
	p.publish("at last")
	for range 3 {
		r, body := h.next("Notification")
		equal(t, r.Header.Get("x-amz-sns-rawdelivery"), "true")
		equal(t, body, "at last")
	}
}

func TestTopicsAreListedPageByPage(t *testing.T) {
	c := sns.NewFromConfig(endpoint.Config(t, "202020202020"))
	want := map[string]bool{}
	for range 101 {
		made, err := c.CreateTopic(t.Context(), &sns.CreateTopicInput{Name: aws.String(unique("page"))})
		must(t, err)
		want[*made.TopicArn] = true
	}
	pages, got, count := sns.NewListTopicsPaginator(c, &sns.ListTopicsInput{}), map[string]bool{}, 0
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		must(t, err)
		for _, one := range page.Topics {
			got[*one.TopicArn] = true
		}
		count++
	}
	equal(t, got, want)
	equal(t, count, 2)
}

func TestManyGoroutinesPublishToManyQueues(t *testing.T) {
	p := createTopic(t, nil)
	queues := []queue{createQueue(t, nil), createQueue(t, nil), createQueue(t, nil)}
	for _, q := range queues {
		p.subscribe("sqs", q.arn, raw)
	}
	var group sync.WaitGroup
	for worker := range 10 {
		group.Go(func() {
			for n := range 10 {
				message := fmt.Sprintf("%d/%d", worker, n)
				if _, err := p.Publish(context.Background(), &sns.PublishInput{TopicArn: p.arn, Message: &message}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	for _, q := range queues {
		seen := map[string]bool{}
		for bodies := q.bodies(); len(bodies) > 0; bodies = q.bodies() {
			for _, body := range bodies {
				seen[body] = true
			}
		}
		equal(t, len(seen), 100)
	}
}
