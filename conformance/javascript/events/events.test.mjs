// EventBridge, Scheduler and Schemas through the AWS SDK for JavaScript v3.

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import * as sdk from '@aws-sdk/client-eventbridge'
import * as scheduling from '@aws-sdk/client-scheduler'
import * as registries from '@aws-sdk/client-schemas'
import * as queues from '@aws-sdk/client-sqs'

import { advance, client, hasClock } from '../endpoint.mjs'

let events
let scheduler
let schemas
let sqs
before(() => {
  events = client(sdk.EventBridgeClient)
  scheduler = client(scheduling.SchedulerClient)
  schemas = client(registries.SchemasClient)
  sqs = client(queues.SQSClient)
})
after(() => [events, scheduler, schemas, sqs].forEach((each) => each.destroy()))

const unique = (word = 'js') => `${word}-${randomUUID().slice(0, 13)}`

async function createQueue() {
  const { QueueUrl } = await sqs.send(new queues.CreateQueueCommand({ QueueName: unique() }))
  const asked = new queues.GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['QueueArn'] })
  return { QueueUrl, arn: (await sqs.send(asked)).Attributes.QueueArn }
}

async function receive({ QueueUrl }) {
  const asked = new queues.ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10, WaitTimeSeconds: 1 })
  return ((await sqs.send(asked)).Messages ?? []).map((message) => message.Body)
}

async function createBus() {
  const Name = unique('bus')
  const { EventBusArn } = await events.send(new sdk.CreateEventBusCommand({ Name }))
  return { name: Name, arn: EventBusArn }
}

async function route(bus, pattern, target) {
  const Name = unique('rule')
  const of = { EventBusName: bus.name }
  await events.send(new sdk.PutRuleCommand({ Name, EventPattern: JSON.stringify(pattern), ...of }))
  const put = await events.send(new sdk.PutTargetsCommand({ Rule: Name, Targets: [{ Id: 't', ...target }], ...of }))
  assert.equal(put.FailedEntryCount, 0)
  return Name
}

const entry = (bus, detail, more) => ({
  EventBusName: bus.name,
  Source: 'shop',
  DetailType: 'order placed',
  Detail: JSON.stringify(detail),
  ...more,
})

test('an event reaches the queues of the rules that match it', async () => {
  const [bus, all, large, named] = [await createBus(), await createQueue(), await createQueue(), await createQueue()]
  await route(bus, { source: ['shop'] }, { Arn: all.arn })
  await route(bus, { detail: { total: [{ numeric: ['>=', 100] }] } }, { Arn: large.arn, InputPath: '$.detail' })
  const InputTransformer = { InputPathsMap: { id: '$.detail.id' }, InputTemplate: '"order <id>"' }
  await route(bus, { 'detail-type': ['order placed'] }, { Arn: named.arn, InputTransformer })
  const put = new sdk.PutEventsCommand({
    Entries: [entry(bus, { id: 'a', total: 149.99 }), entry(bus, { id: 'b', total: 5 }), entry(bus, {}, { Source: '' })],
  })
  const answer = await events.send(put)
  assert.equal(answer.FailedEntryCount, 1)
  assert.equal(answer.Entries[2].ErrorCode, 'InvalidArgument')
  const received = (await receive(all)).map((body) => JSON.parse(body))
  assert.deepEqual(received.map((event) => event.id).sort(), answer.Entries.slice(0, 2).map((each) => each.EventId).sort())
  assert.deepEqual((await receive(large)).map((body) => JSON.parse(body)), [{ id: 'a', total: 149.99 }])
  assert.deepEqual((await receive(named)).sort(), ['"order a"', '"order b"'])
})

test('errors are of their classes', async () => {
  const missing = new sdk.DescribeRuleCommand({ Name: 'missing' })
  await assert.rejects(events.send(missing), sdk.ResourceNotFoundException)
  const pattern = new sdk.PutRuleCommand({ Name: unique(), EventPattern: '{"source":"x"}' })
  await assert.rejects(events.send(pattern), sdk.InvalidEventPatternException)
  const bus = await createBus()
  await assert.rejects(events.send(new sdk.CreateEventBusCommand({ Name: bus.name })), sdk.ResourceAlreadyExistsException)
  const schedule = new scheduling.GetScheduleCommand({ Name: 'missing' })
  await assert.rejects(scheduler.send(schedule), scheduling.ResourceNotFoundException)
  const registry = new registries.DescribeRegistryCommand({ RegistryName: 'missing' })
  await assert.rejects(schemas.send(registry), registries.NotFoundException)
})

test('rules are listed page by page', async () => {
  const [bus, queue] = [await createBus(), await createQueue()]
  for (let number = 0; number < 3; number++) await route(bus, { source: ['shop'] }, { Arn: queue.arn })
  const pages = []
  for (let token; pages.length === 0 || token; ) {
    const page = await events.send(new sdk.ListRulesCommand({ EventBusName: bus.name, Limit: 2, NextToken: token }))
    pages.push(page.Rules.length)
    token = page.NextToken
  }
  assert.deepEqual(pages, [2, 1])
})

test('a schedule runs when its time comes', async (t) => {
  if (!(await hasClock())) return t.skip('this endpoint has no clock that can be moved')
  const queue = await createQueue()
  const Name = unique('schedule')
  const made = await scheduler.send(
    new scheduling.CreateScheduleCommand({
      Name,
      ScheduleExpression: 'rate(5 minutes)',
      FlexibleTimeWindow: { Mode: 'OFF' },
      Target: { Arn: queue.arn, RoleArn: 'arn:aws:iam::000000000000:role/any', Input: 'tick' },
    }),
  )
  assert.match(made.ScheduleArn, new RegExp(`:schedule/default/${Name}$`))
  await advance(601)
  assert.deepEqual(await receive(queue), ['tick', 'tick', 'tick'])
  await scheduler.send(new scheduling.DeleteScheduleCommand({ Name }))
})

test('a discoverer makes a schema of events', async () => {
  const bus = await createBus()
  await schemas.send(new registries.CreateDiscovererCommand({ SourceArn: bus.arn }))
  const Source = unique('shop')
  await events.send(new sdk.PutEventsCommand({ Entries: [entry(bus, { id: 1 }, { Source })] }))
  const of = { RegistryName: 'discovered-schemas', SchemaName: `${Source}@OrderPlaced` }
  const schema = await schemas.send(new registries.DescribeSchemaCommand(of))
  assert.ok(schema.LastModified instanceof Date)
  const content = JSON.parse(schema.Content)
  assert.deepEqual(content.components.schemas.OrderPlaced.required, ['id'])
})
