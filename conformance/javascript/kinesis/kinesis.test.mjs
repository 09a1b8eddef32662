// Kinesis Data Streams through the AWS SDK for JavaScript v3, which speaks HTTP/2 with it, without asking first.

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import * as sdk from '@aws-sdk/client-kinesis'

import { client } from '../endpoint.mjs'

let kinesis
before(() => (kinesis = client(sdk.KinesisClient)))
after(() => kinesis.destroy())

const bytes = (text) => new TextEncoder().encode(text)
const texts = (records) => records.map((record) => new TextDecoder().decode(record.Data))
const ShardId = 'shardId-000000000000'

async function createStream() {
  const StreamName = `js-${randomUUID().slice(0, 13)}`
  await kinesis.send(new sdk.CreateStreamCommand({ StreamName, ShardCount: 1 }))
  const shown = await kinesis.send(new sdk.DescribeStreamSummaryCommand({ StreamName }))
  return { StreamName, StreamARN: shown.StreamDescriptionSummary.StreamARN }
}

const put = (StreamName, text) =>
  kinesis.send(new sdk.PutRecordCommand({ StreamName, Data: bytes(text), PartitionKey: 'k' }))

test('records are put and read', async () => {
  const { StreamName } = await createStream()
  await put(StreamName, 'Grüße')
  const begin = { StreamName, ShardId, ShardIteratorType: 'TRIM_HORIZON' }
  const { ShardIterator } = await kinesis.send(new sdk.GetShardIteratorCommand(begin))
  const got = await kinesis.send(new sdk.GetRecordsCommand({ ShardIterator }))
  assert.deepEqual(texts(got.Records), ['Grüße'])
  assert.ok(got.Records[0].ApproximateArrivalTimestamp instanceof Date)
  await assert.rejects(put('none', ''), sdk.ResourceNotFoundException)
})

test('a consumer is sent what is there and what comes', async () => {
  const { StreamName, StreamARN } = await createStream()
  await put(StreamName, 'first')
  const made = await kinesis.send(new sdk.RegisterStreamConsumerCommand({ StreamARN, ConsumerName: 'c' }))
  const of = { ConsumerARN: made.Consumer.ConsumerARN, ShardId, StartingPosition: { Type: 'TRIM_HORIZON' } }
  const { EventStream } = await kinesis.send(new sdk.SubscribeToShardCommand(of))
  const got = []
  for await (const { SubscribeToShardEvent: event } of EventStream) {
    got.push(...texts(event.Records))
    if (got.length === 2) break
    if (got.length === 1) await put(StreamName, 'later')
  }
  assert.deepEqual(got, ['first', 'later'])
  // It ends the subscription, which would keep its connection, and this process, for five minutes of the server's clock.
  await kinesis.send(new sdk.DeregisterStreamConsumerCommand({ ConsumerARN: made.Consumer.ConsumerARN }))
})
