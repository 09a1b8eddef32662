// Package events tests EventBridge and Scheduler through the AWS SDK for Go v2.
package events

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"reflect"
	"sort"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	schedulertypes "github.com/aws/aws-sdk-go-v2/service/scheduler/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"posthaste/conformance/endpoint"
)

// bus is an event bus with the client that made it.
type bus struct {
	*eventbridge.Client
	t    *testing.T
	name *string
}

// queue is a queue that targets send to.
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

func createBus(t *testing.T) bus {
	t.Helper()
	client := eventbridge.NewFromConfig(endpoint.Config(t, "test"))
	name := aws.String(unique("bus"))
	_, err := client.CreateEventBus(t.Context(), &eventbridge.CreateEventBusInput{Name: name})
	must(t, err)
	return bus{client, t, name}
}

func createQueue(t *testing.T) queue {
	t.Helper()
	client := sqs.NewFromConfig(endpoint.Config(t, "test"))
	made, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String(unique("go"))})
	must(t, err)
	found, err := client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: made.QueueUrl, AttributeNames: []sqstypes.QueueAttributeName{"QueueArn"},
	})
	must(t, err)
	return queue{client, t, made.QueueUrl, found.Attributes["QueueArn"]}
}

// bodies are those of up to ten messages, sorted.
func (q queue) bodies() []string {
	q.t.Helper()
	answer, err := q.ReceiveMessage(q.t.Context(), &sqs.ReceiveMessageInput{
		QueueUrl: q.url, MaxNumberOfMessages: 10, WaitTimeSeconds: 1,
	})
	must(q.t, err)
	var bodies []string
	for _, message := range answer.Messages {
		bodies = append(bodies, *message.Body)
	}
	sort.Strings(bodies)
	return bodies
}

// route makes a rule for a target.
func (b bus) route(pattern string, target types.Target) {
	b.t.Helper()
	name := aws.String(unique("rule"))
	_, err := b.PutRule(b.t.Context(), &eventbridge.PutRuleInput{Name: name, EventBusName: b.name, EventPattern: &pattern})
	must(b.t, err)
	target.Id = aws.String("t")
	put, err := b.PutTargets(b.t.Context(), &eventbridge.PutTargetsInput{
		Rule: name, EventBusName: b.name, Targets: []types.Target{target},
	})
	must(b.t, err)
	equal(b.t, put.FailedEntryCount, 0)
}

func TestAnEventReachesTheQueuesOfTheRulesThatMatchIt(t *testing.T) {
	b, whole, detail := createBus(t), createQueue(t), createQueue(t)
	b.route(`{"source": ["shop"]}`, types.Target{Arn: &whole.arn})
	b.route(`{"detail": {"n": [{"numeric": [">", 1]}]}}`, types.Target{Arn: &detail.arn, InputPath: aws.String("$.detail")})
	entry := func(text string) types.PutEventsRequestEntry {
		return types.PutEventsRequestEntry{
			EventBusName: b.name, Source: aws.String("shop"), DetailType: aws.String("t"), Detail: &text,
		}
	}
	put, err := b.PutEvents(t.Context(), &eventbridge.PutEventsInput{
		Entries: []types.PutEventsRequestEntry{entry(`{"n": 1}`), entry(`{"n": 2}`), entry(`{`)},
	})
	must(t, err)
	equal(t, put.FailedEntryCount, 1)
	equal(t, *put.Entries[2].ErrorCode, "MalformedDetail")
	equal(t, detail.bodies(), []string{`{"n":2}`})
	bodies := whole.bodies()
	equal(t, len(bodies), 2)
	var event struct {
		ID         string `json:"id"`
		DetailType string `json:"detail-type"`
	}
	must(t, json.Unmarshal([]byte(bodies[0]), &event))
	equal(t, event.DetailType, "t")
	if event.ID != *put.Entries[0].EventId && event.ID != *put.Entries[1].EventId {
		t.Fatalf("an event of another id: %s", bodies[0])
	}
}

func TestErrorsAreOfTheirTypes(t *testing.T) {
	b := createBus(t)
	_, err := b.DescribeRule(t.Context(), &eventbridge.DescribeRuleInput{Name: aws.String("missing"), EventBusName: b.name})
	if missing, found := errors.AsType[*types.ResourceNotFoundException](err); !found {
		t.Fatalf("%v, %v", err, missing)
	}
	_, err = b.CreateEventBus(t.Context(), &eventbridge.CreateEventBusInput{Name: b.name})
	if exists, found := errors.AsType[*types.ResourceAlreadyExistsException](err); !found {
		t.Fatalf("%v, %v", err, exists)
	}
	client := scheduler.NewFromConfig(endpoint.Config(t, "test"))
	_, err = client.GetSchedule(t.Context(), &scheduler.GetScheduleInput{Name: aws.String("missing")})
	if missing, found := errors.AsType[*schedulertypes.ResourceNotFoundException](err); !found {
		t.Fatalf("%v, %v", err, missing)
	}
}

func TestAScheduleRunsWhenItsTimeComes(t *testing.T) {
	q, client := createQueue(t), scheduler.NewFromConfig(endpoint.Config(t, "test"))
	name := aws.String(unique("schedule"))
	_, err := client.CreateSchedule(t.Context(), &scheduler.CreateScheduleInput{
		Name: name, ScheduleExpression: aws.String("rate(1 hour)"),
		FlexibleTimeWindow: &schedulertypes.FlexibleTimeWindow{Mode: schedulertypes.FlexibleTimeWindowModeOff},
		Target: &schedulertypes.Target{
			Arn: &q.arn, RoleArn: aws.String("arn:aws:iam::000000000000:role/any"), Input: aws.String("tick"),
		},
	})
	must(t, err)
	endpoint.Advance(t, 3601)
	equal(t, q.bodies(), []string{"tick", "tick"})
	pages := scheduler.NewListSchedulesPaginator(client, &scheduler.ListSchedulesInput{NamePrefix: name})
	page, err := pages.NextPage(t.Context())
	must(t, err)
	equal(t, len(page.Schedules), 1)
	_, err = client.DeleteSchedule(t.Context(), &scheduler.DeleteScheduleInput{Name: name})
	must(t, err)
}
