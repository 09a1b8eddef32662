// SNS through the AWS SDK for JavaScript v3, and npm's validator of its signatures.

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import * as sdk from '@aws-sdk/client-sns'
import * as queues from '@aws-sdk/client-sqs'

import { client } from '../endpoint.mjs'
import { receiver } from './receiver.mjs'
import { validate } from './validator.mjs'

let sns
let sqs
before(() => {
  sns = client(sdk.SNSClient)
  sqs = client(queues.SQSClient)
})
after(() => {
  sns.destroy()
  sqs.destroy()
})

const unique = (word = 'js') => `${word}-${randomUUID().slice(0, 13)}`

async function createTopic(Attributes) {
  const Name = unique() + (Attributes?.FifoTopic ? '.fifo' : '')
  return (await sns.send(new sdk.CreateTopicCommand({ Name, Attributes }))).TopicArn
}

async function createQueue(Attributes) {
  const QueueName = unique() + (Attributes?.FifoQueue ? '.fifo' : '')
  const { QueueUrl } = await sqs.send(new queues.CreateQueueCommand({ QueueName, Attributes }))
  const asked = { QueueUrl, AttributeNames: ['QueueArn'] }
  const { QueueArn } = (await sqs.send(new queues.GetQueueAttributesCommand(asked))).Attributes
  return { url: QueueUrl, arn: QueueArn }
}

async function subscribe(TopicArn, Protocol, Endpoint, Attributes) {
  const asked = { TopicArn, Protocol, Endpoint, Attributes, ReturnSubscriptionArn: true }
  return (await sns.send(new sdk.SubscribeCommand(asked))).SubscriptionArn
}

const publish = (TopicArn, Message, more) => sns.send(new sdk.PublishCommand({ TopicArn, Message, ...more }))

async function receive({ url }) {
  const asked = {
    QueueUrl: url,
    MaxNumberOfMessages: 10,
    MessageAttributeNames: ['All'],
    MessageSystemAttributeNames: ['All'],
  }
  return (await sqs.send(new queues.ReceiveMessageCommand(asked))).Messages ?? []
}

const bodies = async (queue) => (await receive(queue)).map(({ Body }) => Body)

test('a message goes to every queue of its topic', async () => {
  const topic = await createTopic()
  const [wrapped, raw] = [await createQueue(), await createQueue()]
  await subscribe(topic, 'sqs', wrapped.arn)
  await subscribe(topic, 'sqs', raw.arn, { RawMessageDelivery: 'true' })
  const { MessageId } = await publish(topic, 'Grüße 😀', { Subject: 'subject' })
  assert.deepEqual(await bodies(raw), ['Grüße 😀'])
  const envelope = JSON.parse((await bodies(wrapped))[0])
  assert.equal(envelope.MessageId, MessageId)
  assert.equal(envelope.Message, 'Grüße 😀')
  assert.equal(envelope.Subject, 'subject')
  assert.equal(envelope.TopicArn, topic)
})

for (const SignatureVersion of ['1', '2']) {
  test(`an envelope in a queue has a valid signature of version ${SignatureVersion}`, async () => {
    const topic = await createTopic({ SignatureVersion })
    const queue = await createQueue()
    await subscribe(topic, 'sqs', queue.arn)
    await publish(topic, 'a\n"b" Grüße 😀', { Subject: 'subject' })
    const envelope = JSON.parse((await bodies(queue))[0])
    assert.equal(envelope.SignatureVersion, SignatureVersion)
    await validate(envelope)
    await assert.rejects(validate({ ...envelope, Message: 'another' }), /signature is invalid/)
  })

  test(`a server confirms, and gets valid notifications of version ${SignatureVersion}`, async () => {
    const server = await receiver()
    try {
      const topic = await createTopic({ SignatureVersion })
      const arn = await subscribe(topic, 'http', server.url)
      const asked = await server.next()
      assert.equal(asked.headers['x-amz-sns-message-type'], 'SubscriptionConfirmation')
      assert.equal(asked.headers['content-type'], 'text/plain; charset=UTF-8')
      await validate(asked.json())
      const confirmed = await fetch(asked.json().SubscribeURL)
      assert.equal(confirmed.status, 200)
      assert.ok((await confirmed.text()).includes(arn))
      await publish(topic, 'hello')
      const told = await server.next()
      assert.equal(told.headers['x-amz-sns-message-type'], 'Notification')
      assert.equal(told.headers['x-amz-sns-subscription-arn'], arn)
      await validate(told.json())
      assert.equal(told.json().Message, 'hello')
      assert.equal((await fetch(told.json().UnsubscribeURL)).status, 200)
      const ended = await server.next()
      assert.equal(ended.headers['x-amz-sns-message-type'], 'UnsubscribeConfirmation')
    } finally {
      server.close()
    }
  })
}

test('a server that fails is tried again at once where its policy says so', async () => {
  const server = await receiver()
  try {
    const topic = await createTopic()
    const retries = { minDelayTarget: 1, maxDelayTarget: 1, numRetries: 2, numNoDelayRetries: 2 }
    const DeliveryPolicy = JSON.stringify({ healthyRetryPolicy: retries })
    await subscribe(topic, 'http', server.url, { DeliveryPolicy, RawMessageDelivery: 'true' })
    assert.equal((await fetch((await server.next()).json().SubscribeURL)).status, 200)
    server.answers.push(500, 503)
    await publish(topic, 'at last')
    for (let attempt = 0; attempt < 3; attempt++) assert.equal((await server.next()).body, 'at last')
  } finally {
    server.close()
  }
})

test('attributes of all types reach a raw queue', async () => {
  const topic = await createTopic()
  const queue = await createQueue()
  await subscribe(topic, 'sqs', queue.arn, { RawMessageDelivery: 'true' })
  const MessageAttributes = {
    text: { DataType: 'String', StringValue: 'ä' },
    number: { DataType: 'Number', StringValue: '1.5' },
    bytes: { DataType: 'Binary', BinaryValue: Uint8Array.from([0, 255]) },
  }
  await publish(topic, 'x', { MessageAttributes })
  const [{ MessageAttributes: found }] = await receive(queue) // the SDK checks their digest
  assert.equal(found.text.StringValue, 'ä')
  assert.deepEqual([found.number.DataType, found.number.StringValue], ['Number', '1.5'])
  assert.deepEqual([...found.bytes.BinaryValue], [0, 255])
})

test('a filter delivers what matches', async () => {
  const topic = await createTopic()
  const queue = await createQueue()
  const FilterPolicy = JSON.stringify({ store: ['shop'], price: [{ numeric: ['>', 100] }] })
  await subscribe(topic, 'sqs', queue.arn, { FilterPolicy, RawMessageDelivery: 'true' })
  for (const [store, price] of [['shop', 101], ['shop', 100], ['market', 500], ['shop', 1e6]]) {
    const MessageAttributes = {
      store: { DataType: 'String', StringValue: store },
      price: { DataType: 'Number', StringValue: String(price) },
    }
    await publish(topic, `${store} ${price}`, { MessageAttributes })
  }
  assert.deepEqual((await bodies(queue)).sort(), ['shop 1000000', 'shop 101'])
})

test('a batch is published, and its errors fail it whole', async () => {
  const TopicArn = await createTopic()
  const queue = await createQueue()
  await subscribe(TopicArn, 'sqs', queue.arn, { RawMessageDelivery: 'true' })
  const entries = (n) => Array.from({ length: n }, (_, i) => ({ Id: `e${i}`, Message: `body ${i}` }))
  const send = (PublishBatchRequestEntries) =>
    sns.send(new sdk.PublishBatchCommand({ TopicArn, PublishBatchRequestEntries }))
  const answer = await send(entries(10))
  assert.equal(answer.Successful.length, 10)
  assert.deepEqual(answer.Failed, [])
  assert.deepEqual((await bodies(queue)).sort(), entries(10).map(({ Message }) => Message))
  await assert.rejects(send(entries(11)), (error) => error instanceof sdk.TooManyEntriesInBatchRequestException)
  await assert.rejects(send([]), (error) => error instanceof sdk.EmptyBatchRequestException)
  await assert.rejects(
    send([...entries(1), ...entries(1)]),
    (error) => error instanceof sdk.BatchEntryIdsNotDistinctException,
  )
  await assert.rejects(send([{ Id: 'a b', Message: 'x' }]), (error) => error instanceof sdk.InvalidBatchEntryIdException)
  assert.deepEqual(await bodies(queue), [])
})

test('a FIFO topic keeps order and drops duplicates', async () => {
  const topic = await createTopic({ FifoTopic: 'true', ContentBasedDeduplication: 'true' })
  const queue = await createQueue({ FifoQueue: 'true' })
  await subscribe(topic, 'sqs', queue.arn, { RawMessageDelivery: 'true' })
  const numbers = []
  for (const message of ['1', '2', '2', '3']) {
    numbers.push(BigInt((await publish(topic, message, { MessageGroupId: 'g' })).SequenceNumber))
  }
  assert.ok(numbers[1] > numbers[0] && numbers[3] > numbers[1])
  assert.deepEqual(await bodies(queue), ['1', '2', '3'])
})

test('errors are exceptions of their own classes', async () => {
  const topic = await createTopic()
  const unknown = topic.replace(/[^:]*$/, 'never')
  await assert.rejects(publish(unknown, 'x'), (error) => {
    assert.ok(error instanceof sdk.NotFoundException)
    assert.equal(error.$metadata.httpStatusCode, 404)
    assert.equal(error.message, 'Topic does not exist')
    return true
  })
  await assert.rejects(publish(topic, ''), (error) => {
    assert.ok(error instanceof sdk.InvalidParameterException)
    assert.equal(error.message, 'Invalid parameter: Empty message')
    return true
  })
  const MessageAttributes = { a: { DataType: 'Bool', StringValue: 'x' } }
  await assert.rejects(
    publish(topic, 'x', { MessageAttributes }),
    (error) => error instanceof sdk.InvalidParameterValueException,
  )
  const ResourceArn = unknown
  await assert.rejects(
    sns.send(new sdk.ListTagsForResourceCommand({ ResourceArn })),
    (error) => error instanceof sdk.ResourceNotFoundException,
  )
})

test('attributes and tags of a topic are read and written', async () => {
  const TopicArn = await createTopic({ DisplayName: 'first' })
  await sns.send(new sdk.SetTopicAttributesCommand({ TopicArn, AttributeName: 'DisplayName', AttributeValue: 'küche' }))
  const { Attributes } = await sns.send(new sdk.GetTopicAttributesCommand({ TopicArn }))
  assert.equal(Attributes.DisplayName, 'küche')
  assert.equal(Attributes.SubscriptionsConfirmed, '0')
  await sns.send(new sdk.TagResourceCommand({ ResourceArn: TopicArn, Tags: [{ Key: 'team', Value: 'a' }] }))
  const { Tags } = await sns.send(new sdk.ListTagsForResourceCommand({ ResourceArn: TopicArn }))
  assert.deepEqual(Tags, [{ Key: 'team', Value: 'a' }])
})

test('subscriptions are listed page by page', async () => {
  const TopicArn = await createTopic()
  const arns = []
  for (let n = 0; n < 101; n++) arns.push(await subscribe(TopicArn, 'sms', `+1500555${String(n).padStart(4, '0')}`))
  const pages = []
  for await (const page of sdk.paginateListSubscriptionsByTopic({ client: sns }, { TopicArn })) {
    pages.push(page.Subscriptions.map(({ SubscriptionArn }) => SubscriptionArn))
  }
  assert.deepEqual(pages.map(({ length }) => length), [100, 1])
  assert.deepEqual(pages.flat().sort(), arns.sort())
})

test('many publishes at once all arrive', async () => {
  const topic = await createTopic()
  const queue = await createQueue()
  await subscribe(topic, 'sqs', queue.arn, { RawMessageDelivery: 'true' })
  await Promise.all(Array.from({ length: 100 }, (_, n) => publish(topic, String(n))))
  const seen = new Set()
  for (let found; (found = await bodies(queue)).length; ) found.forEach((body) => seen.add(body))
  assert.equal(seen.size, 100)
})
