// npm's `sns-validator` as it is installed, without a word to it about where its certificates come from.
//
// It takes them from `https://sns.REGION.amazonaws.com` alone. The server says that its certificate is there, and serves it
// over TLS (`--certificate-listen`); what remains is that the name leads to it, and that the certificate is trusted. In life that
// is a network alias and NODE_EXTRA_CA_CERTS; here an agent does both.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import https from 'node:https'
import net from 'node:net'
import { test } from 'node:test'
import tls from 'node:tls'
import { setTimeout as delay } from 'node:timers/promises'
import { CreateTopicCommand, PublishCommand, SNSClient, SubscribeCommand } from '@aws-sdk/client-sns'
import { CreateQueueCommand, ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs'
import MessageValidator from 'sns-validator'

const program = process.env.POSTHASTE_BIN

async function freePort() {
  const probe = net.createServer()
  await new Promise((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const { port } = probe.address()
  await new Promise((resolve) => probe.close(resolve))
  return port
}

async function ready(url) {
  for (let tries = 0; tries < 300; tries++) {
    const health = await fetch(`${url}/_posthaste/health`).catch(() => undefined)
    if (health?.ok) return
    await delay(100)
  }
  throw new Error('the server did not become ready')
}

test('a validator from npm accepts our messages and no others', { skip: !program && 'needs POSTHASTE_BIN' }, async () => {
  const [port, certificates] = [await freePort(), await freePort()]
  const flags = ['--in-memory', '--listen', `127.0.0.1:${port}`, '--certificate-listen', `127.0.0.1:${certificates}`]
  const server = spawn(program, flags, { stdio: 'ignore' })
  try {
    const endpoint = `http://127.0.0.1:${port}`
    await ready(endpoint)
    const ca = await (await fetch(`${endpoint}/_posthaste/certificate.pem`)).text()
    const asked = []
    https.globalAgent = new (class extends https.Agent {
      createConnection(options) {
        asked.push(`${options.host}:${options.port}`)
        return tls.connect({ ca, host: '127.0.0.1', port: certificates, servername: options.host })
      }
    })()

    const settings = { endpoint, region: 'us-east-1', credentials: { accessKeyId: 'test', secretAccessKey: 'test' } }
    const [sns, sqs] = [new SNSClient(settings), new SQSClient(settings)]
    const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: 'q' }))
    const validator = new MessageValidator()
    const validate = (message) =>
      new Promise((resolve, reject) => validator.validate(message, (error, valid) => (error ? reject(error) : resolve(valid))))
    for (const SignatureVersion of ['1', '2']) {
      const topic = new CreateTopicCommand({ Name: `t${SignatureVersion}`, Attributes: { SignatureVersion } })
      const { TopicArn } = await sns.send(topic)
      const Endpoint = 'arn:aws:sqs:us-east-1:000000000000:q'
      await sns.send(new SubscribeCommand({ TopicArn, Protocol: 'sqs', Endpoint }))
      await sns.send(new PublishCommand({ TopicArn, Message: 'Grüße 😀', Subject: 'subject' }))
      const { Messages } = await sqs.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 5 }))
      const envelope = JSON.parse(Messages[0].Body)
      assert.match(envelope.SigningCertURL, /^https:\/\/sns\.us-east-1\.amazonaws\.com\/SimpleNotificationService-/)
      await validate(envelope)
      await assert.rejects(validate({ ...envelope, Message: 'another' }), /signature is invalid/)
    }
    assert.deepEqual(asked, ['sns.us-east-1.amazonaws.com:443'])
  } finally {
    server.kill('SIGKILL')
  }
})
