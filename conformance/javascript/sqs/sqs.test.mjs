// SQS through the AWS SDK for JavaScript v3, which checks the MD5 digests of what it sends and receives.

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import * as sdk from '@aws-sdk/client-sqs'

import { advance, client, hasClock } from '../endpoint.mjs'

const digests = JSON.parse(readFileSync(new URL('../../cases/sqs/digests.json', import.meta.url))).digests

let sqs
before(() => { sqs = client(sdk.SQSClient) })
after(() => sqs.destroy())

const unique = (word = 'js') => `${word}-${randomUUID().slice(0, 13)}`

async function createQueue(Attributes) {
  const QueueName = unique() + (Attributes?.FifoQueue ? '.fifo' : '')
  return (await sqs.send(new sdk.CreateQueueCommand({ QueueName, Attributes }))).QueueUrl
}

const fifoQueue = () => createQueue({ FifoQueue: 'true', ContentBasedDeduplication: 'true' })
const send = (QueueUrl, MessageBody, more) => sqs.send(new sdk.SendMessageCommand({ QueueUrl, MessageBody, ...more }))

async function receive(QueueUrl, more) {
  const asked = { QueueUrl, MaxNumberOfMessages: 10, MessageSystemAttributeNames: ['All'], ...more }
  return (await sqs.send(new sdk.ReceiveMessageCommand(asked))).Messages ?? []
}

const remove = (QueueUrl, { ReceiptHandle }) => sqs.send(new sdk.DeleteMessageCommand({ QueueUrl, ReceiptHandle }))

test('a message is sent, received and deleted', async () => {
  const url = await createQueue()
  const sent = await send(url, 'hello')
  assert.equal(sent.MD5OfMessageBody, '5d41402abc4b2a76b9719d911017c592')
  const [message] = await receive(url)
  assert.equal(message.Body, 'hello')
  assert.equal(message.MessageId, sent.MessageId)
  assert.equal(message.Attributes.ApproximateReceiveCount, '1')
  await remove(url, message)
  assert.deepEqual(await receive(url, { VisibilityTimeout: 0 }), [])
})

test('an empty receive has no messages', async () => {
  const answer = await sqs.send(new sdk.ReceiveMessageCommand({ QueueUrl: await createQueue() }))
  assert.equal(answer.Messages, undefined)
})

for (const [word, body] of Object.entries({
  unicode: 'Grüße 你好 😀 \u{10ffff}',
  escapes: '"\\/\n\r\t <&>\'',
  'half a mebibyte of escapes': '\\"\n\u2028'.repeat(87381),
})) {
  test(`a body of ${word} comes back as it was`, async () => {
    const url = await createQueue()
    await send(url, body)
    const [message] = await receive(url)
    assert.equal(message.Body, body)
  })
}

test('a body of exactly one mebibyte is accepted and one byte more is not', async () => {
  const url = await createQueue()
  const body = '"\\\n'.repeat(349525) + 'x'
  assert.equal(body.length, 1048576)
  await send(url, body)
  assert.equal((await receive(url))[0].Body, body)
  await assert.rejects(send(url, body + 'x'), { name: 'InvalidParameterValue' })
})

for (const { digest, attributes } of digests) {
  test(`attributes with the recorded digest ${digest} pass the SDK's own check`, async () => {
    const url = await createQueue()
    const MessageAttributes = Object.fromEntries(
      Object.entries(attributes).map(([name, { DataType, StringValue, BinaryText }]) => [
        name,
        BinaryText ? { DataType, BinaryValue: new TextEncoder().encode(BinaryText) } : { DataType, StringValue },
      ]),
    )
    const sent = await send(url, 'x', { MessageAttributes })
    assert.equal(sent.MD5OfMessageAttributes, digest)
    const [message] = await receive(url, { MessageAttributeNames: ['All'] })
    assert.equal(message.MD5OfMessageAttributes, digest)
    for (const [name, value] of Object.entries(MessageAttributes)) {
      const got = message.MessageAttributes[name]
      assert.equal(got.DataType, value.DataType)
      if (value.StringValue) assert.equal(got.StringValue, value.StringValue)
      else assert.deepEqual([...got.BinaryValue], [...value.BinaryValue])
    }
  })
}

test('a batch is sent, its digests are checked, and it is deleted', async () => {
  const QueueUrl = await createQueue()
  const Entries = Array.from({ length: 10 }, (_, n) => ({ Id: `e${n}`, MessageBody: `body ${n}` }))
  const answer = await sqs.send(new sdk.SendMessageBatchCommand({ QueueUrl, Entries }))
  assert.equal(answer.Successful.length, 10)
  const messages = await receive(QueueUrl)
  assert.deepEqual(messages.map(({ Body }) => Body).sort(), Entries.map(({ MessageBody }) => MessageBody))
  const deleted = await sqs.send(new sdk.DeleteMessageBatchCommand({
    QueueUrl,
    Entries: messages.map(({ ReceiptHandle }, n) => ({ Id: `d${n}`, ReceiptHandle })),
  }))
  assert.equal(deleted.Successful.length, 10)
})

test('an entry of a batch fails alone', async () => {
  const QueueUrl = await createQueue({ MaximumMessageSize: '1024' })
  const Entries = [{ Id: 'small', MessageBody: 'x' }, { Id: 'large', MessageBody: 'x'.repeat(1025) }]
  const answer = await sqs.send(new sdk.SendMessageBatchCommand({ QueueUrl, Entries }))
  assert.deepEqual(answer.Successful.map(({ Id }) => Id), ['small'])
  assert.deepEqual(answer.Failed.map(({ Id, Code, SenderFault }) => [Id, Code, SenderFault]), [
    ['large', 'InvalidParameterValue', true],
  ])
})

test('a FIFO queue keeps order, drops duplicates and locks groups', async () => {
  const url = await fifoQueue()
  const first = await send(url, '1', { MessageGroupId: 'g' })
  const again = await send(url, '1', { MessageGroupId: 'g' })
  assert.equal(again.MessageId, first.MessageId)
  assert.ok(BigInt((await send(url, '2', { MessageGroupId: 'g' })).SequenceNumber) > BigInt(first.SequenceNumber))
  await send(url, 'other', { MessageGroupId: 'h' })
  const [one] = await receive(url, { MaxNumberOfMessages: 1 })
  assert.equal(one.Body, '1')
  assert.deepEqual((await receive(url)).map(({ Body }) => Body), ['other'])
  await remove(url, one)
  assert.deepEqual((await receive(url)).map(({ Body }) => Body), ['2'])
})

test('errors are exceptions of their own classes', async () => {
  const QueueUrl = await createQueue()
  await assert.rejects(sqs.send(new sdk.GetQueueUrlCommand({ QueueName: 'no-such-queue' })), (error) => {
    assert.ok(error instanceof sdk.QueueDoesNotExist)
    assert.equal(error.$metadata.httpStatusCode, 400)
    assert.equal(error.message, 'The specified queue does not exist.')
    return true
  })
  await assert.rejects(remove(QueueUrl, { ReceiptHandle: 'garbage' }), (error) => {
    assert.ok(error instanceof sdk.ReceiptHandleIsInvalid)
    assert.equal(error.$metadata.httpStatusCode, 404)
    return true
  })
  await assert.rejects(
    sqs.send(new sdk.SendMessageBatchCommand({ QueueUrl, Entries: [] })),
    (error) => error instanceof sdk.EmptyBatchRequest,
  )
  await assert.rejects(send(QueueUrl, 'a\u0001b'), (error) => error instanceof sdk.InvalidMessageContents)
  await assert.rejects(receive(QueueUrl, { MaxNumberOfMessages: 11 }), { name: 'InvalidParameterValue' })
})

test('attributes and tags of a queue are read and written', async () => {
  const QueueUrl = await createQueue({ VisibilityTimeout: '12' })
  await sqs.send(new sdk.SetQueueAttributesCommand({ QueueUrl, Attributes: { DelaySeconds: '3' } }))
  const { Attributes } = await sqs.send(
    new sdk.GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['VisibilityTimeout', 'DelaySeconds'] }),
  )
  assert.deepEqual(Attributes, { VisibilityTimeout: '12', DelaySeconds: '3' })
  assert.equal((await sqs.send(new sdk.ListQueueTagsCommand({ QueueUrl }))).Tags, undefined)
  await sqs.send(new sdk.TagQueueCommand({ QueueUrl, Tags: { team: 'küche' } }))
  assert.deepEqual((await sqs.send(new sdk.ListQueueTagsCommand({ QueueUrl }))).Tags, { team: 'küche' })
})

test('queues are listed page by page', async () => {
  const QueueNamePrefix = unique('page')
  const urls = []
  for (const letter of 'abcde') {
    urls.push((await sqs.send(new sdk.CreateQueueCommand({ QueueName: `${QueueNamePrefix}-${letter}` }))).QueueUrl)
  }
  const pages = []
  for await (const page of sdk.paginateListQueues({ client: sqs, pageSize: 2 }, { QueueNamePrefix })) {
    pages.push(page.QueueUrls ?? [])
  }
  assert.deepEqual(pages.flat(), urls)
  assert.ok(pages.length >= 3)
})

test('a waiting receive gets a message as soon as it is sent', async () => {
  const url = await createQueue()
  const waiting = receive(url, { WaitTimeSeconds: 20 })
  await new Promise((done) => setTimeout(done, 100))
  await send(url, 'at last')
  assert.deepEqual((await waiting).map(({ Body }) => Body), ['at last'])
})

test('a waiting receive can be aborted, and its messages go to the next', async () => {
  const QueueUrl = await createQueue()
  const abort = new AbortController()
  const waiting = sqs.send(new sdk.ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 20 }), {
    abortSignal: abort.signal,
  })
  setTimeout(() => abort.abort(), 100)
  await assert.rejects(waiting, { name: 'AbortError' })
  await new Promise((done) => setTimeout(done, 100))
  await send(QueueUrl, 'for the next')
  assert.deepEqual((await receive(QueueUrl)).map(({ Body }) => Body), ['for the next'])
})

test('a message comes back when its visibility ends', async (t) => {
  if (!(await hasClock())) return t.skip('this endpoint has no clock that can be moved')
  const url = await createQueue()
  await send(url, 'again')
  const [first] = await receive(url)
  assert.deepEqual(await receive(url), [])
  await advance(31)
  const [second] = await receive(url)
  assert.equal(second.MessageId, first.MessageId)
  assert.equal(second.Attributes.ApproximateReceiveCount, '2')
})

test('many requests at once are answered', async () => {
  const url = await createQueue()
  await Promise.all(Array.from({ length: 100 }, (_, n) => send(url, String(n))))
  const seen = new Set()
  while (seen.size < 100) {
    const messages = await receive(url, { WaitTimeSeconds: 1 })
    assert.ok(messages.length > 0, `only ${seen.size} messages came`)
    for (const message of messages) seen.add(message.Body)
    await Promise.all(messages.map((message) => remove(url, message)))
  }
})
