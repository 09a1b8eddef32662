// sqs-consumer, a library that services use to work through a queue: it polls, hands over, acknowledges, retries,
// and keeps long work hidden by heartbeats.

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import * as sdk from '@aws-sdk/client-sqs'
import { Consumer } from 'sqs-consumer'

const endpoint = process.env.POSTHASTE_ENDPOINT
if (!endpoint) {
  console.error('set POSTHASTE_ENDPOINT, or run under conformance/with-server')
  process.exit(2)
}

let sqs
before(() => {
  sqs = new sdk.SQSClient({
    endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  })
})
after(() => sqs.destroy())

async function createQueue(Attributes = {}) {
  const QueueName = `consumer-${randomUUID()}` + (Attributes.FifoQueue ? '.fifo' : '')
  return (await sqs.send(new sdk.CreateQueueCommand({ QueueName, Attributes }))).QueueUrl
}

async function sendAll(QueueUrl, bodies, more = () => ({})) {
  for (let start = 0; start < bodies.length; start += 10) {
    const part = bodies.slice(start, start + 10)
    const Entries = part.map((MessageBody, n) => ({ Id: `e${n}`, MessageBody, ...more(MessageBody) }))
    const { Failed } = await sqs.send(new sdk.SendMessageBatchCommand({ QueueUrl, Entries }))
    assert.equal(Failed?.length ?? 0, 0)
  }
}

async function counts(QueueUrl) {
  const AttributeNames = ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible']
  const { Attributes } = await sqs.send(new sdk.GetQueueAttributesCommand({ QueueUrl, AttributeNames }))
  return AttributeNames.map((name) => Number(Attributes[name]))
}

/** Runs a consumer until `done()` holds, then stops it and returns the errors that it told of. */
async function consume(queueUrl, options, done) {
  const errors = []
  let stopping = false // from then on it complains of its own aborted poll
  const consumer = Consumer.create({ queueUrl, sqs, waitTimeSeconds: 1, suppressFifoWarning: true, ...options })
  for (const event of ['error', 'processing_error', 'timeout_error']) {
    consumer.on(event, (error) => stopping || errors.push(error))
  }
  consumer.start()
  try {
    for (const end = Date.now() + 30000; !done(); ) {
      assert.ok(Date.now() < end, `not done in time; errors: ${errors.map(String)}`)
      await new Promise((wake) => setTimeout(wake, 10))
    }
    await new Promise((wake) => setTimeout(wake, 100)) // the last acknowledgement
  } finally {
    const stopped = new Promise((wake) => consumer.once('stopped', wake))
    stopping = true
    consumer.stop({ abort: true })
    await stopped
  }
  return errors
}

test('every message is handled once and acknowledged', async () => {
  const url = await createQueue()
  const bodies = Array.from({ length: 50 }, (_, n) => JSON.stringify({ order: n }))
  await sendAll(url, bodies)
  const seen = []
  const handleMessage = async (message) => { seen.push(message.Body); return message }
  const errors = await consume(url, { handleMessage, batchSize: 10 }, () => seen.length >= 50)
  assert.deepEqual(errors, [])
  assert.deepEqual(seen.toSorted(), bodies.toSorted())
  assert.deepEqual(await counts(url), [0, 0])
})

test('batches are handled and acknowledged together', async () => {
  const url = await createQueue()
  await sendAll(url, Array.from({ length: 30 }, (_, n) => `${n}`))
  let handled = 0
  const handleMessageBatch = async (messages) => { handled += messages.length; return messages }
  const errors = await consume(url, { handleMessageBatch, batchSize: 10 }, () => handled >= 30)
  assert.deepEqual(errors, [])
  assert.deepEqual(await counts(url), [0, 0])
})

test('a message whose handling fails is shown again at once and handled then', async () => {
  const url = await createQueue()
  await sendAll(url, ['fails twice'])
  const attempts = []
  const handleMessage = async (message) => {
    attempts.push(message.Attributes.ApproximateReceiveCount)
    if (attempts.length < 3) throw new Error('not yet')
    return message
  }
  const options = { handleMessage, terminateVisibilityTimeout: true, messageSystemAttributeNames: ['All'] }
  const errors = await consume(url, options, () => attempts.length >= 3)
  assert.deepEqual(attempts, ['1', '2', '3'])
  assert.equal(errors.length, 2)
  assert.deepEqual(await counts(url), [0, 0])
})

test('a message that always fails ends in the dead-letter queue', async () => {
  const dead = await createQueue()
  const asked = { QueueUrl: dead, AttributeNames: ['QueueArn'] }
  const { Attributes } = await sqs.send(new sdk.GetQueueAttributesCommand(asked))
  const url = await createQueue({
    RedrivePolicy: JSON.stringify({ deadLetterTargetArn: Attributes.QueueArn, maxReceiveCount: 3 }),
  })
  await sendAll(url, ['poison', 'good'])
  const handled = []
  const handleMessage = async (message) => {
    handled.push(message.Body)
    if (message.Body === 'poison') throw new Error('never')
    return message
  }
  let moved = false
  const watch = setInterval(async () => { moved ||= (await counts(dead))[0] === 1 }, 50)
  const options = { handleMessage, terminateVisibilityTimeout: true }
  await consume(url, options, () => moved).finally(() => clearInterval(watch))
  assert.equal(handled.filter((body) => body === 'poison').length, 3)
  assert.equal(handled.filter((body) => body === 'good').length, 1)
  assert.deepEqual(await counts(url), [0, 0])
})

test('heartbeats keep long work hidden from others', async () => {
  const url = await createQueue()
  await sendAll(url, ['slow'])
  let handled = 0
  let done = false
  const handleMessage = async (message) => {
    handled += 1
    await new Promise((wake) => setTimeout(wake, 3500))
    done = true
    return message
  }
  // Two consumers, and work that lasts longer than the visibility timeout.
  const options = { handleMessage, visibilityTimeout: 2, heartbeatInterval: 1 }
  const errors = await Promise.all([consume(url, options, () => done), consume(url, options, () => done)])
  assert.deepEqual(errors.flat(), [])
  assert.equal(handled, 1)
  assert.deepEqual(await counts(url), [0, 0])
})

test('the groups of a FIFO queue are handled in order', async () => {
  const url = await createQueue({ FifoQueue: 'true', ContentBasedDeduplication: 'true' })
  const bodies = Array.from({ length: 40 }, (_, n) => `g${n % 4}:${n}`)
  await sendAll(url, bodies, (body) => ({ MessageGroupId: body.split(':')[0] }))
  const seen = {}
  let handled = 0
  const handleMessageBatch = async (messages) => {
    for (const { Body } of messages) {
      const [group, number] = Body.split(':')
      ;(seen[group] ??= []).push(Number(number))
      handled += 1
    }
    return messages
  }
  const options = { handleMessageBatch, batchSize: 10 }
  await Promise.all([consume(url, options, () => handled >= 40), consume(url, options, () => handled >= 40)])
  assert.equal(handled, 40)
  for (const numbers of Object.values(seen)) assert.deepEqual(numbers, numbers.toSorted((a, b) => a - b))
})
