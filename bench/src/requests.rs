//! The bytes of each request, built before the start and patched in place. Requests differ in the
//! invocation's id, the messages' identities, and the receipt handles.
//!
//! The headers are those of boto3. The signature has the right form and is always the same: development
//! servers do not verify it, but they parse it.

use crate::hubs::{ROLE, SCHEDULED_AT, SOURCE};
use crate::ledger::{IDENTITY_BYTES, Identity, put_hex};

/// The message attribute on which subscriptions filter.
pub(crate) const KIND: &str = "kind";

/// The API operations that a run calls while it measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Send,
    SendBatch,
    Receive,
    Delete,
    DeleteBatch,
    Publish,
    PublishBatch,
    PutEvents,
    StartExecution,
    StartSyncExecution,
    CreateSchedule,
    PutItem,
    PutRecords,
}

/// A service that is not SQS nor SNS, whose requests are JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// EventBridge: awsJson 1.1.
    Events,
    /// Step Functions: awsJson 1.0.
    States,
    /// EventBridge Scheduler: restJson1.
    Scheduler,
    /// DynamoDB: awsJson 1.0.
    Dynamodb,
    /// Kinesis: awsJson 1.1.
    Kinesis,
}

impl Operation {
    /// All operations, in the order of their discriminants.
    pub(crate) const ALL: [Operation; 13] = [
        Operation::Send,
        Operation::SendBatch,
        Operation::Receive,
        Operation::Delete,
        Operation::DeleteBatch,
        Operation::Publish,
        Operation::PublishBatch,
        Operation::PutEvents,
        Operation::StartExecution,
        Operation::StartSyncExecution,
        Operation::CreateSchedule,
        Operation::PutItem,
        Operation::PutRecords,
    ];

    /// The operation's name in the API.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Operation::Send => "SendMessage",
            Operation::SendBatch => "SendMessageBatch",
            Operation::Receive => "ReceiveMessage",
            Operation::Delete => "DeleteMessage",
            Operation::DeleteBatch => "DeleteMessageBatch",
            Operation::Publish => "Publish",
            Operation::PublishBatch => "PublishBatch",
            Operation::PutEvents => "PutEvents",
            Operation::StartExecution => "StartExecution",
            Operation::StartSyncExecution => "StartSyncExecution",
            Operation::CreateSchedule => "CreateSchedule",
            Operation::PutItem => "PutItem",
            Operation::PutRecords => "PutRecords",
        }
    }

    /// Returns whether it adds messages to a queue or to what leads to one.
    pub(crate) fn sends(self) -> bool {
        !matches!(self, Operation::Receive | Operation::Delete | Operation::DeleteBatch)
    }

    /// Returns whether its answer has digests of the bodies.
    pub(crate) fn has_digests(self) -> bool {
        matches!(self, Operation::Send | Operation::SendBatch)
    }

    /// Returns what stands once in an answer for each message that was taken.
    pub(crate) fn mark(self) -> &'static [u8] {
        match self {
            Operation::Publish | Operation::PublishBatch => b"<MessageId>",
            Operation::PutEvents => b"\"EventId\"",
            Operation::StartExecution => b"\"executionArn\"",
            Operation::StartSyncExecution => b"\"status\":\"SUCCEEDED\"",
            Operation::CreateSchedule => b"\"ScheduleArn\"",
            Operation::PutItem => b"{}",
            Operation::PutRecords => b"\"SequenceNumber\"",
            _ => b"\"MessageId\"",
        }
    }
}

/// A complete request for one operation of SQS, with a JSON body.
pub(crate) fn request(host: &str, operation: &str, body: &[u8]) -> Vec<u8> {
    whole(head(host, operation), body)
}

/// A complete request for one operation of SNS, which the body's form names.
pub(crate) fn form_request(host: &str, body: &[u8]) -> Vec<u8> {
    whole(form_head(host), body)
}

/// A complete request for one operation of another service. `what` is the operation, or the path of a restJson1 one.
pub(crate) fn service_request(host: &str, service: Service, what: &str, body: &[u8]) -> Vec<u8> {
    whole(service_head(host, service, what), body)
}

fn service_head(host: &str, service: Service, what: &str) -> Head {
    let (name, target) = match service {
        Service::Events => ("events", "AWSEvents"),
        Service::States => ("states", "AWSStepFunctions"),
        Service::Dynamodb => ("dynamodb", "DynamoDB_20120810"),
        Service::Kinesis => ("kinesis", "Kinesis_20131202"),
        Service::Scheduler => {
            let content = "Content-Type: application/json\r\n";
            return head_of(host, what, "scheduler", "content-type;host;x-amz-date", content);
        }
    };
    let version = if matches!(service, Service::Events | Service::Kinesis) { "1.1" } else { "1.0" };
    let content =
        format!("X-Amz-Target: {target}.{what}\r\nContent-Type: application/x-amz-json-{version}\r\n");
    head_of(host, "/", name, "content-type;host;x-amz-date;x-amz-target", &content)
}

fn whole(head: Head, body: &[u8]) -> Vec<u8> {
    let mut request = head.bytes;
    request.extend_from_slice(format!("{}\r\n\r\n", body.len()).as_bytes());
    request.extend_from_slice(body);
    request
}

/// All bytes up to the value of `Content-Length`, which is the last header.
#[derive(Clone)]
struct Head {
    bytes: Vec<u8>,
    /// The offset of the last twelve digits of the invocation's id.
    invocation: usize,
}

fn head(host: &str, operation: &str) -> Head {
    head_of(
        host,
        "/",
        "sqs",
        "content-type;host;x-amz-date;x-amz-target;x-amzn-query-mode",
        &format!(
            "X-Amz-Target: AmazonSQS.{operation}\r\n\
             x-amzn-query-mode: true\r\n\
             Content-Type: application/x-amz-json-1.0\r\n"
        ),
    )
}

fn form_head(host: &str) -> Head {
    let content = "Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n";
    head_of(host, "/", "sns", "content-type;host;x-amz-date", content)
}

fn head_of(host: &str, path: &str, service: &str, signed: &str, content: &str) -> Head {
    let text = format!(
        "POST {path} HTTP/1.1\r\n\
         Host: {host}\r\n\
         Accept-Encoding: identity\r\n\
         {content}\
         User-Agent: Boto3/1.43.21 md/Botocore#1.43.21 ua/2.1 os/linux md/arch#x86_64 lang/python#3.11.7 \
         md/pyimpl#CPython cfg/retry-mode#standard Botocore/1.43.21 posthaste-bench/{version}\r\n\
         X-Amz-Date: 20260101T000000Z\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request, \
         SignedHeaders={signed}, \
         Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7\r\n\
         amz-sdk-invocation-id: 0d1f7a3c-52be-4c0e-9f61-000000000000\r\n\
         amz-sdk-request: attempt=1; max=3\r\n\
         Content-Length: ",
        version = env!("CARGO_PKG_VERSION"),
    );
    let label = "amz-sdk-invocation-id: 0d1f7a3c-52be-4c0e-9f61-";
    let invocation = text.find(label).map_or(0, |at| at + label.len());
    Head { bytes: text.into_bytes(), invocation }
}

/// A request that sends a fixed number of messages of a fixed size, to a queue or to what leads to one.
pub(crate) struct SendTemplate {
    pub(crate) operation: Operation,
    bytes: Vec<u8>,
    invocation: usize,
    holes: Vec<Holes>,
}

/// The offsets of the parts of one message in the request.
struct Holes {
    body: usize,
    /// The digits of the group's and the deduplication's ids, in FIFO queues.
    fifo: Option<(usize, usize)>,
    /// The twenty digits of the name of what is made, if it must have one.
    name: Option<usize>,
}

impl SendTemplate {
    /// `messages` of 1 is SendMessage; more is SendMessageBatch. `filler` is a body whose first bytes are
    /// replaced by the identity.
    pub(crate) fn new(
        host: &str,
        queue_url: &str,
        filler: &str,
        fifo: bool,
        messages: usize,
    ) -> SendTemplate {
        let mut body = format!("{{\"QueueUrl\": \"{queue_url}\", ");
        let mut holes = Vec::new();
        let mut message = |body: &mut String| {
            body.push_str("\"MessageBody\": \"");
            let at = body.len();
            body.push_str(filler);
            body.push('"');
            let fifo = fifo.then(|| {
                body.push_str(", \"MessageGroupId\": \"g");
                let group = body.len();
                body.push_str("00000000\", \"MessageDeduplicationId\": \"d");
                let deduplication = body.len();
                body.push_str("00000000000000000000\"");
                (group, deduplication)
            });
            holes.push(Holes { body: at, fifo, name: None });
        };
        let operation = if messages == 1 {
            message(&mut body);
            Operation::Send
        } else {
            body.push_str("\"Entries\": [");
            for entry in 0..messages {
                body.push_str(&format!("{}{{\"Id\": \"{entry}\", ", if entry == 0 { "" } else { ", " }));
                message(&mut body);
                body.push('}');
            }
            body.push(']');
            Operation::SendBatch
        };
        body.push('}');
        let invocation = head(host, operation.name()).invocation;
        let bytes = request(host, operation.name(), body.as_bytes());
        let begin = bytes.len() - body.len();
        for hole in &mut holes {
            hole.body += begin;
            hole.fifo = hole.fifo.map(|(group, deduplication)| (begin + group, begin + deduplication));
        }
        SendTemplate { operation, bytes, invocation, holes }
    }

    /// Creates a Publish, or a PublishBatch if `messages` is more than 1, to a topic. With a `kind` each
    /// message has the attribute [`KIND`] with that value.
    pub(crate) fn publish(
        host: &str,
        topic_arn: &str,
        filler: &str,
        fifo: bool,
        messages: usize,
        kind: Option<&str>,
    ) -> SendTemplate {
        let operation = if messages == 1 { Operation::Publish } else { Operation::PublishBatch };
        let mut form = Form::of(operation.name());
        form.field("TopicArn", topic_arn);
        let mut holes = Vec::new();
        for entry in 0..messages {
            let before = match operation {
                Operation::Publish => String::new(),
                _ => format!("PublishBatchRequestEntries.member.{}.", entry + 1),
            };
            let name = |name: &str| format!("{before}{name}");
            if operation == Operation::PublishBatch {
                form.field(&name("Id"), &entry.to_string());
            }
            // The digits of the identity take one byte each; encoded letters of the filler may take more.
            let place =
                form.field(&name("Message"), &("0".repeat(IDENTITY_BYTES) + &filler[IDENTITY_BYTES..]));
            let fifo = fifo.then(|| {
                let group = form.field(&name("MessageGroupId"), "g00000000") + 1;
                (group, form.field(&name("MessageDeduplicationId"), "d00000000000000000000") + 1)
            });
            if let Some(kind) = kind {
                form.field(&name("MessageAttributes.entry.1.Name"), KIND);
                form.field(&name("MessageAttributes.entry.1.Value.DataType"), "String");
                form.field(&name("MessageAttributes.entry.1.Value.StringValue"), kind);
            }
            holes.push(Holes { body: place, fifo, name: None });
        }
        let bytes = form_request(host, form.text.as_bytes());
        let begin = bytes.len() - form.text.len();
        for hole in &mut holes {
            hole.body += begin;
            hole.fifo = hole.fifo.map(|(group, deduplication)| (begin + group, begin + deduplication));
        }
        SendTemplate { operation, bytes, invocation: form_head(host).invocation, holes }
    }

    /// Creates a PutEvents. With a `kind` each event's detail has it as [`KIND`].
    pub(crate) fn events(
        host: &str,
        bus: &str,
        filler: &str,
        messages: usize,
        kind: Option<&str>,
    ) -> SendTemplate {
        let mut body = String::from("{\"Entries\": [");
        let mut holes = Vec::new();
        let kind = kind.map_or(String::new(), |kind| format!("\\\"{KIND}\\\": \\\"{kind}\\\", "));
        for entry in 0..messages {
            let comma = if entry == 0 { "" } else { ", " };
            body.push_str(&format!(
                "{comma}{{\"Source\": \"{SOURCE}\", \"DetailType\": \"message\", \"EventBusName\": \"{bus}\", \
                 \"Detail\": \"{{{kind}\\\"body\\\": \\\""
            ));
            holes.push(Holes { body: body.len(), fifo: None, name: None });
            body.push_str(filler);
            body.push_str("\\\"}\"}");
        }
        body.push_str("]}");
        SendTemplate::of(host, Operation::PutEvents, Service::Events, "PutEvents", &body, holes)
    }

    /// Creates a StartExecution, or StartSyncExecution, with the message in the input's member `body`.
    pub(crate) fn execution(host: &str, machine_arn: &str, filler: &str, is_express: bool) -> SendTemplate {
        let operation = if is_express { Operation::StartSyncExecution } else { Operation::StartExecution };
        let mut body = format!("{{\"stateMachineArn\": \"{machine_arn}\", \"input\": \"{{\\\"body\\\": \\\"");
        let holes = vec![Holes { body: body.len(), fifo: None, name: None }];
        body.push_str(filler);
        body.push_str("\\\"}\"}");
        SendTemplate::of(host, operation, Service::States, operation.name(), &body, holes)
    }

    /// Creates a CreateSchedule, for a time far from now, with the message as the input of its target.
    pub(crate) fn schedule(host: &str, group: &str, queue_arn: &str, filler: &str) -> SendTemplate {
        let mut body = format!(
            "{{\"GroupName\": \"{group}\", \"ScheduleExpression\": \"{SCHEDULED_AT}\", \
             \"FlexibleTimeWindow\": {{\"Mode\": \"OFF\"}}, \
             \"Target\": {{\"Arn\": \"{queue_arn}\", \"RoleArn\": \"{ROLE}\", \"Input\": \""
        );
        let holes = vec![Holes { body: body.len(), fifo: None, name: None }];
        body.push_str(filler);
        body.push_str("\"}}");
        let path = "/schedules/s00000000000000000000";
        let operation = Operation::CreateSchedule;
        let mut template = SendTemplate::of(host, operation, Service::Scheduler, path, &body, holes);
        // The path begins after the method and a blank; its last twenty digits change.
        let name = "POST ".len() + path.len() - 20;
        template.holes.iter_mut().for_each(|hole| hole.name = Some(name));
        template
    }

    /// Creates a PutItem of a new item, whose key is that of the message, and whose other attribute is its body.
    pub(crate) fn item(host: &str, table: &str, filler: &str) -> SendTemplate {
        let mut body = format!(
            "{{\"TableName\": \"{table}\", \"ConditionExpression\": \"attribute_not_exists(pk)\", \"Item\": {{\"pk\": {{\"S\": \""
        );
        let name = Some(body.len());
        body.push_str("00000000000000000000\"}, \"body\": {\"S\": \"");
        let holes = vec![Holes { body: body.len(), fifo: None, name }];
        body.push_str(filler);
        body.push_str("\"}}}");
        SendTemplate::of(host, Operation::PutItem, Service::Dynamodb, "PutItem", &body, holes)
    }

    /// Creates a PutRecords, whose records have keys of their own. The message is their data in base64: its identity is of letters and
    /// digits, so it is base64 as it is.
    pub(crate) fn records(host: &str, stream: &str, filler: &str, messages: usize) -> SendTemplate {
        let mut data = filler.replace('-', "/");
        // Four characters are three bytes.
        let length = filler.len().div_ceil(3) * 4;
        while data.len() < length {
            let more = (length - data.len()).min(filler.len());
            data.push_str(&filler[filler.len() - more..].replace('-', "/"));
        }
        let mut body = format!("{{\"StreamName\": \"{stream}\", \"Records\": [");
        let mut holes = Vec::new();
        for entry in 0..messages {
            body.push_str(if entry == 0 { "{\"PartitionKey\": \"" } else { ", {\"PartitionKey\": \"" });
            let name = Some(body.len());
            body.push_str("00000000000000000000\", \"Data\": \"");
            holes.push(Holes { body: body.len(), fifo: None, name });
            body.push_str(&data);
            body.push_str("\"}");
        }
        body.push_str("]}");
        SendTemplate::of(host, Operation::PutRecords, Service::Kinesis, "PutRecords", &body, holes)
    }

    /// With holes whose offsets are those in the body.
    fn of(
        host: &str,
        operation: Operation,
        service: Service,
        what: &str,
        body: &str,
        mut holes: Vec<Holes>,
    ) -> SendTemplate {
        let bytes = service_request(host, service, what, body.as_bytes());
        let begin = bytes.len() - body.len();
        for hole in &mut holes {
            hole.body += begin;
            hole.name = hole.name.map(|name| begin + name);
        }
        SendTemplate { operation, bytes, invocation: service_head(host, service, what).invocation, holes }
    }

    /// Returns the number of messages per request.
    pub(crate) fn messages(&self) -> u64 {
        self.holes.len() as u64
    }

    /// Writes the request into `out`, replacing its content; `identify` returns the identity of each message.
    pub(crate) fn write(
        &self,
        invocation: u64,
        out: &mut Vec<u8>,
        mut identify: impl FnMut(u64) -> Identity,
    ) {
        out.clear();
        out.extend_from_slice(&self.bytes);
        put_hex(&mut out[self.invocation..self.invocation + 12], invocation);
        for (entry, hole) in self.holes.iter().enumerate() {
            let identity = identify(entry as u64);
            identity.write(&mut out[hole.body..]);
            if let Some((group, deduplication)) = hole.fifo {
                put_hex(&mut out[group..group + 8], u64::from(identity.group));
                put_hex(&mut out[deduplication..deduplication + 8], u64::from(identity.run));
                put_hex(&mut out[deduplication + 8..deduplication + 20], identity.number);
            }
            if let Some(name) = hole.name {
                put_hex(&mut out[name..name + 8], u64::from(identity.run));
                put_hex(&mut out[name + 8..name + 20], identity.number);
            }
        }
    }

    /// Returns the bodies, each of `size` bytes, in a request to a queue that [`SendTemplate::write`] wrote.
    pub(crate) fn bodies<'a>(&'a self, request: &'a [u8], size: usize) -> impl Iterator<Item = &'a [u8]> {
        self.holes.iter().filter_map(move |hole| request.get(hole.body..hole.body + size))
    }
}

/// A form for SNS: `Action=…&Version=…&…`, with percent-encoded values.
pub(crate) struct Form {
    pub(crate) text: String,
}

impl Form {
    /// Creates a form for an operation of SNS.
    pub(crate) fn of(action: &str) -> Form {
        Form { text: format!("Action={action}&Version=2010-03-31") }
    }

    /// Adds a field, and returns the offset of its value.
    pub(crate) fn field(&mut self, name: &str, value: &str) -> usize {
        self.text.push('&');
        self.text.push_str(name);
        self.text.push('=');
        let begin = self.text.len();
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
                self.text.push(char::from(byte));
            } else {
                self.text.push_str(&format!("%{byte:02X}"));
            }
        }
        begin
    }
}

/// A constant ReceiveMessage.
pub(crate) struct ReceiveTemplate {
    bytes: Vec<u8>,
    invocation: usize,
}

impl ReceiveTemplate {
    pub(crate) fn new(host: &str, queue_url: &str, messages: u64, wait_seconds: u32) -> ReceiveTemplate {
        let body = format!(
            "{{\"QueueUrl\": \"{queue_url}\", \"MaxNumberOfMessages\": {messages}, \"WaitTimeSeconds\": {wait_seconds}}}"
        );
        let name = Operation::Receive.name();
        ReceiveTemplate {
            invocation: head(host, name).invocation,
            bytes: request(host, name, body.as_bytes()),
        }
    }

    /// Writes the request into `out`, replacing its content.
    pub(crate) fn write(&self, invocation: u64, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&self.bytes);
        put_hex(&mut out[self.invocation..self.invocation + 12], invocation);
    }
}

/// A DeleteMessage or DeleteMessageBatch, written handle by handle.
pub(crate) struct DeleteTemplate {
    pub(crate) operation: Operation,
    head: Head,
    /// The body up to the handles.
    begin: Vec<u8>,
}

impl DeleteTemplate {
    /// `batch` selects DeleteMessageBatch instead of DeleteMessage.
    pub(crate) fn new(host: &str, queue_url: &str, batch: bool) -> DeleteTemplate {
        let operation = if batch { Operation::DeleteBatch } else { Operation::Delete };
        let list = if batch { "\"Entries\": [" } else { "" };
        DeleteTemplate {
            operation,
            head: head(host, operation.name()),
            begin: format!("{{\"QueueUrl\": \"{queue_url}\", {list}").into_bytes(),
        }
    }

    /// Begins a request in `out`, replacing its content.
    pub(crate) fn begin<'a>(&'a self, invocation: u64, out: &'a mut Vec<u8>) -> Delete<'a> {
        out.clear();
        out.extend_from_slice(&self.head.bytes);
        put_hex(&mut out[self.head.invocation..self.head.invocation + 12], invocation);
        // The length is not known yet. Blanks are allowed before a header's value (RFC 9112, section 5).
        out.extend_from_slice(b"       \r\n\r\n");
        out.extend_from_slice(&self.begin);
        Delete { template: self, out, handles: 0 }
    }
}

/// A delete request that is being built.
pub(crate) struct Delete<'a> {
    template: &'a DeleteTemplate,
    out: &'a mut Vec<u8>,
    handles: u64,
}

impl Delete<'_> {
    /// Adds a receipt handle as it was in the answer, JSON's escapes included.
    pub(crate) fn handle(&mut self, handle: &[u8]) {
        if self.template.operation == Operation::DeleteBatch {
            if self.handles > 0 {
                self.out.push(b',');
            }
            self.out.extend_from_slice(b"{\"Id\": \"");
            self.out.push(b'0' + (self.handles % 10) as u8);
            self.out.extend_from_slice(b"\", ");
        }
        self.out.extend_from_slice(b"\"ReceiptHandle\": \"");
        self.out.extend_from_slice(handle);
        self.out.push(b'"');
        if self.template.operation == Operation::DeleteBatch {
            self.out.push(b'}');
        }
        self.handles += 1;
    }

    /// Ends the body and writes its length. Returns the number of handles; with none there is no request to
    /// send.
    pub(crate) fn finish(self) -> u64 {
        self.out.extend_from_slice(if self.template.operation == Operation::DeleteBatch {
            b"]}"
        } else {
            b"}"
        });
        let length_at = self.template.head.bytes.len();
        let mut length = self.out.len() - length_at - 11;
        for digit in self.out[length_at..length_at + 7].iter_mut().rev() {
            if length == 0 {
                break;
            }
            *digit = b'0' + (length % 10) as u8;
            length /= 10;
        }
        self.handles
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body_of(request: &[u8]) -> serde_json::Value {
        let at = memchr::memmem::find(request, b"\r\n\r\n").unwrap() + 4;
        let head = std::str::from_utf8(&request[..at]).unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length:")).unwrap();
        assert_eq!(length.trim().parse::<usize>().unwrap(), request.len() - at, "{head}");
        serde_json::from_slice(&request[at..]).unwrap()
    }

    #[test]
    fn a_batch_carries_each_message_with_its_own_identity_group_and_deduplication_id() {
        let filler = "z".repeat(100);
        let template = SendTemplate::new("h:1", "http://h:1/q.fifo", &filler, true, 10);
        let mut out = b"what was there".to_vec();
        let identify = |entry| Identity { run: 1, number: 100 + entry, sent_at: 5, group: 7 };
        template.write(0xfeed, &mut out, identify);
        let text = String::from_utf8(out.clone()).unwrap();
        assert!(text.contains("X-Amz-Target: AmazonSQS.SendMessageBatch\r\n"));
        assert!(text.contains("-00000000feed\r\n"));
        let body = body_of(&out);
        assert_eq!(body["QueueUrl"], "http://h:1/q.fifo");
        let entries = body["Entries"].as_array().unwrap();
        assert_eq!(entries.len(), 10);
        for ((number, entry), sent) in entries.iter().enumerate().zip(template.bodies(&out, 100)) {
            assert_eq!(entry["Id"], number.to_string());
            let text = entry["MessageBody"].as_str().unwrap();
            assert_eq!(text.as_bytes(), sent);
            assert_eq!(Identity::read(sent), Some(identify(number as u64)));
            assert_eq!(text.len(), 100);
            assert_eq!(entry["MessageGroupId"], "g00000007");
            assert_eq!(entry["MessageDeduplicationId"], format!("d00000001{:012x}", 100 + number));
        }
    }

    #[test]
    fn a_single_send_and_a_receive_are_whole_requests() {
        let template = SendTemplate::new("h:1", "http://h:1/q", &"z".repeat(64), false, 1);
        let mut out = Vec::new();
        template.write(1, &mut out, |_| Identity { run: 1, number: 2, sent_at: 3, group: 0 });
        let body = body_of(&out);
        assert_eq!(body["MessageBody"].as_str().unwrap().len(), 64);
        assert_eq!(body.get("MessageGroupId"), None);
        ReceiveTemplate::new("h:1", "http://h:1/q", 10, 20).write(2, &mut out);
        assert_eq!(body_of(&out)["WaitTimeSeconds"], 20);
    }

    #[test]
    fn a_publish_is_a_form_whose_message_decodes_to_the_body_that_queues_will_get() {
        let filler = "+/a".repeat(30);
        for messages in [1, 10] {
            let template = SendTemplate::publish("h:1", "arn:t.fifo", &filler, true, messages, Some("k 1"));
            let mut out = Vec::new();
            let identify = |entry| Identity { run: 1, number: 100 + entry, sent_at: 5, group: 7 };
            template.write(0xfeed, &mut out, identify);
            let text = String::from_utf8(out).unwrap();
            let (head, form) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.contains("-00000000feed\r\n") && head.contains("/sns/aws4_request"), "{head}");
            assert!(head.ends_with(&format!("Content-Length: {}", form.len())), "{head}");
            let value = |name: &str| {
                let field = form.split('&').find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
                let decoded = field.unwrap().replace("%2B", "+").replace("%2F", "/");
                decoded.replace("%20", " ").replace("%3A", ":")
            };
            assert_eq!(value("TopicArn"), "arn:t.fifo");
            for entry in 0..messages {
                let before = match messages {
                    1 => String::new(),
                    _ => format!("PublishBatchRequestEntries.member.{}.", entry + 1),
                };
                let body = value(&format!("{before}Message"));
                assert_eq!(Identity::read(body.as_bytes()), Some(identify(entry as u64)));
                assert_eq!(body[IDENTITY_BYTES..], filler[IDENTITY_BYTES..]);
                assert_eq!(value(&format!("{before}MessageGroupId")), "g00000007");
                let deduplication = format!("d00000001{:012x}", 100 + entry);
                assert_eq!(value(&format!("{before}MessageDeduplicationId")), deduplication);
                assert_eq!(value(&format!("{before}MessageAttributes.entry.1.Value.StringValue")), "k 1");
            }
        }
    }

    #[test]
    fn what_leads_to_queues_carries_messages_in_json_texts() {
        let filler = "+/a".repeat(30);
        let identify = |entry| Identity { run: 1, number: 0x100 + entry, sent_at: 5, group: 0 };
        let text = |value: &serde_json::Value| -> serde_json::Value {
            serde_json::from_str(value.as_str().unwrap()).unwrap()
        };
        let (events, machine) = (3, "arn:aws:states:us-east-1:000000000000:stateMachine:m");
        for (template, target) in [
            (SendTemplate::events("h:1", "bus", &filler, events, Some("k")), "AWSEvents.PutEvents"),
            (SendTemplate::execution("h:1", machine, &filler, false), "AWSStepFunctions.StartExecution"),
            (SendTemplate::execution("h:1", machine, &filler, true), "AWSStepFunctions.StartSyncExecution"),
        ] {
            let mut out = Vec::new();
            template.write(0xfeed, &mut out, identify);
            let head = String::from_utf8_lossy(&out).into_owned();
            assert!(
                head.contains(&format!("X-Amz-Target: {target}\r\n")) && head.contains("-00000000feed\r\n")
            );
            let body = body_of(&out);
            let details: Vec<_> = match body.get("Entries") {
                Some(entries) => {
                    entries.as_array().unwrap().iter().map(|entry| text(&entry["Detail"])).collect()
                }
                None => vec![text(&body["input"])],
            };
            assert_eq!(details.len() as u64, template.messages());
            for (number, detail) in details.iter().enumerate() {
                let message = detail["body"].as_str().unwrap();
                assert_eq!(Identity::read(message.as_bytes()), Some(identify(number as u64)));
                assert_eq!(message[IDENTITY_BYTES..], filler[IDENTITY_BYTES..]);
            }
        }
        let template = SendTemplate::schedule("h:1", "g", "arn:q", &filler);
        let mut out = Vec::new();
        template.write(0xfeed, &mut out, identify);
        assert!(out.starts_with(b"POST /schedules/s00000001000000000100 HTTP/1.1\r\n"));
        let body = body_of(&out);
        let input = body["Target"]["Input"].as_str().unwrap();
        assert_eq!(Identity::read(input.as_bytes()), Some(identify(0)));
        assert_eq!((&body["GroupName"], &body["ScheduleExpression"]), (&"g".into(), &SCHEDULED_AT.into()));
    }

    #[test]
    fn deletes_repeat_the_handles_and_state_their_length() {
        let mut out = Vec::new();
        let template = DeleteTemplate::new("h:1", "http://h:1/q", true);
        let mut delete = template.begin(3, &mut out);
        delete.handle(b"one");
        delete.handle(br"t\/wo");
        assert_eq!(delete.finish(), 2);
        let body = body_of(&out);
        assert_eq!(body["Entries"][0]["ReceiptHandle"], "one");
        assert_eq!(body["Entries"][1]["ReceiptHandle"], "t/wo");
        assert_eq!(body["Entries"][1]["Id"], "1");
        let template = DeleteTemplate::new("h:1", "http://h:1/q", false);
        let mut delete = template.begin(3, &mut out);
        delete.handle(b"one");
        assert_eq!(delete.finish(), 1);
        assert_eq!(body_of(&out)["ReceiptHandle"], "one");
    }
}
