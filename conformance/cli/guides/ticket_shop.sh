# Create SQS queues
aws --endpoint-url=http://localhost:4566 sqs create-queue --queue-name payment-events-queue
aws --endpoint-url=http://localhost:4566 sqs create-queue --queue-name payment-events-dlq
aws --endpoint-url=http://localhost:4566 sqs create-queue --queue-name ticket-events-queue
aws --endpoint-url=http://localhost:4566 sqs create-queue --queue-name ticket-events-dlq

# Create SNS topics
aws --endpoint-url=http://localhost:4566 sns create-topic --name payment-events
aws --endpoint-url=http://localhost:4566 sns create-topic --name ticket-events
aws --endpoint-url=http://localhost:4566 sns create-topic --name event-management-events

# Configure DLQ redrive policy
aws --endpoint-url=http://localhost:4566 sqs set-queue-attributes \
  --queue-url http://localhost:4566/000000000000/payment-events-queue \
  --attributes '{"RedrivePolicy":"{\"deadLetterTargetArn\":\"arn:aws:sqs:us-east-1:000000000000:payment-events-dlq\",\"maxReceiveCount\":\"3\"}"}'
