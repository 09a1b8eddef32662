//! Shows the messages of a queue, for people and tests, without receiving them.

use std::rc::Rc;

use api::sqs::{Message, Operation, ReceiveMessageOutput, Response as SqsResponse};
use bytes::Bytes;
use hyper::{Method, Response, StatusCode, header};
use kernel::Refusal;
use machine::{Command, Reply};
use serde_json::{Value, json};
use sqs::QueueKey;
use sqs::operations::peek_messages::{Condition, Cursor, PAGE, PeekMessages};
use sqs::rules::names;
use wire::{Decoded, Exchange};

use crate::admin;
use crate::door::Visit;
use crate::lines::Line;
use crate::mailbox::ask;
use crate::web::{DEFAULT_ACCOUNT, Desk, PATIENCE};

/// LocalStack's path for showing messages: of the queue that `QueueUrl` names, or with `/region/account/name`
/// appended.
pub const LOCALSTACK: &str = "/_aws/sqs/messages";
/// See [`LOCALSTACK`].
pub const LOCALSTACK_BELOW: &str = "/_aws/sqs/messages/";

/// Maximum number of messages in LocalStack's shape, which has no pages; and the maximum of their bytes,
/// after which at most one more is added.
const MESSAGES: usize = 1000;
const BYTES: usize = 8 << 20;

/// The memory for a page of 4 MiB, and for the answer built from it.
const PAGE_ROOM: usize = 12 << 20;

/// Default number of messages of a page.
const USUAL: usize = 10;

impl Desk {
    /// Answers with a page of a queue's messages, as JSON.
    pub async fn peek(&self, head: &http::request::Parts, visit: &Visit, line: &Rc<Line>) -> Response<Bytes> {
        let wrong = |message: &str| {
            admin::answer(&Method::GET, StatusCode::BAD_REQUEST, &json!({ "message": message }))
        };
        let caller = self.caller(None, &visit.url);
        let mut queue =
            QueueKey { account: DEFAULT_ACCOUNT.to_owned(), region: caller.region, name: String::new() };
        let (mut after, mut most) = (None, USUAL);
        for (name, value) in form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()) {
            match &*name {
                "queue" => queue.name = value.into_owned(),
                "account" => queue.account = value.into_owned(),
                "region" => queue.region = value.into_owned(),
                "limit" if value.parse::<usize>().is_ok_and(|most| (1..=PAGE).contains(&most)) => {
                    most = value.parse().unwrap_or(USUAL);
                }
                "after" if value.parse::<Cursor>().is_ok() => after = value.parse().ok(),
                _ => {
                    return wrong(
                        "The parameters are queue=NAME and, optionally, account, region, limit (1 to 100) and after (\"next\" of the last page)",
                    );
                }
            }
        }
        let exchange = json_exchange(self.request_id());
        let Some(room) = self.budget.take_of(line.share(), PAGE_ROOM, PATIENCE).await else {
            return self.no_room(head);
        };
        let look = PeekMessages { queue, after, most, invisible: true, delayed: true };
        let page = match self.look(look, &exchange).await {
            Ok(page) => page,
            Err(refusal) if refusal.shape == "QueueDoesNotExist" => {
                let text = json!({ "message": "There is no such queue in this account and region" });
                return admin::answer(&Method::GET, StatusCode::NOT_FOUND, &text);
            }
            Err(refusal) => return exchange.refuse(&refusal),
        };
        let conditions: Vec<&str> = page.messages.iter().map(|(_, condition)| state(*condition)).collect();
        let messages = page.messages.into_iter().map(|(message, _)| message).collect();
        let shown = exchange.answer(&answer_of(messages));
        let mut document: Value = serde_json::from_slice(shown.body()).unwrap_or_default();
        let mut messages = document["Messages"].take();
        if let Value::Array(messages) = &mut messages {
            for (message, state) in messages.iter_mut().zip(conditions) {
                message["State"] = json!(state);
            }
        } else {
            messages = json!([]);
        }
        let next = page.next.map(|next| next.to_string());
        let mut answer =
            admin::answer(&Method::GET, StatusCode::OK, &json!({ "messages": messages, "next": next }));
        answer.extensions_mut().insert(std::sync::Arc::new(room));
        answer
    }

    /// Answers with a queue's messages as LocalStack does: in the shape of ReceiveMessage, in the client's
    /// protocol.
    pub async fn peek_as_localstack(
        &self,
        head: &http::request::Parts,
        body: Bytes,
        visit: &Visit,
        line: &Rc<Line>,
    ) -> Response<Bytes> {
        let mut exchange = wire::exchange_of(head, self.request_id());
        exchange.service = Some(wire::Operation::Sqs(Operation::ReceiveMessage).service());
        exchange.operation = Some(wire::Operation::Sqs(Operation::ReceiveMessage));
        let content_type = head.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let is_form = content_type.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
        let mut url = None;
        let (mut invisible, mut delayed) = (false, false);
        let query = head.uri.query().unwrap_or_default().as_bytes();
        let form = if is_form { &body[..] } else { &[] };
        for (name, value) in form_urlencoded::parse(query).chain(form_urlencoded::parse(form)) {
            let is_yes = || matches!(value.to_ascii_lowercase().as_str(), "true" | "1");
            match &*name {
                "QueueUrl" => url = Some(value.into_owned()),
                "ShowInvisible" => invisible = is_yes(),
                "ShowDelayed" => delayed = is_yes(),
                _ => {}
            }
        }
        let mut caller = self.caller(None, &visit.url);
        if head.headers.contains_key("x-amz-target") || form.starts_with(b"Action=") {
            // An SDK that uses this path as its endpoint.
            match wire::decode(head, body.clone(), exchange.request_id.clone()) {
                Err(failure) => return failure.answer(),
                Ok(Decoded { request, credential, exchange: decoded, .. }) => {
                    let wire::Request::Sqs(api::sqs::Request::ReceiveMessage(input)) = request else {
                        let text = "This endpoint only accepts ReceiveMessage calls";
                        return decoded.refuse(&Refusal::new("InvalidAction", text));
                    };
                    caller = self.caller(credential, &visit.url);
                    url = input.queue_url.map(|url| url.to_string()).or(url);
                    exchange = decoded;
                }
            }
        }
        let below =
            head.uri.path().strip_prefix(LOCALSTACK_BELOW).map(|path| path.split('/').collect::<Vec<_>>());
        let queue = match below.as_deref() {
            Some([region, account, name]) => {
                Ok(QueueKey { region: (*region).into(), account: (*account).into(), name: (*name).into() })
            }
            Some(_) => Err(missing()),
            None => match url.filter(|url| !url.is_empty()) {
                Some(url) => names::queue_of_url(Some(&url), &caller),
                None => Err(missing()),
            },
        };
        let queue = match queue {
            Ok(queue) => queue,
            Err(refusal) => return exchange.refuse(&refusal),
        };
        let Some(room) = self.budget.take_of(line.share(), PAGE_ROOM + 2 * BYTES, PATIENCE).await else {
            return self.no_room(head);
        };
        let (mut messages, mut bytes, mut after) = (Vec::new(), 0, None);
        loop {
            let look = PeekMessages { queue: queue.clone(), after, most: PAGE, invisible, delayed };
            let page = match self.look(look, &exchange).await {
                Ok(page) => page,
                Err(refusal) => return exchange.refuse(&refusal),
            };
            for (message, condition) in page.messages {
                bytes += message.body.as_ref().map_or(0, |body| body.len());
                messages.push(as_localstack(message, condition, invisible, delayed));
            }
            after = page.next;
            if after.is_none() || messages.len() >= MESSAGES || bytes >= BYTES {
                break;
            }
        }
        let mut answer = exchange.answer(&answer_of(messages));
        answer.extensions_mut().insert(std::sync::Arc::new(room));
        answer
    }

    async fn look(&self, look: PeekMessages, exchange: &Exchange) -> Result<Page, Refusal> {
        let command = Command::Sqs(sqs::operations::Command::PeekMessages(look));
        let reply = match ask(&self.engine, &self.tickets, command).await? {
            Reply::Sqs(reply) => reply,
            _ => return Err(Refusal::new("InternalFailure", "")),
        };
        let sqs::operations::Reply::Peeked(peeked) = &reply else {
            return Err(Refusal::new("InternalFailure", ""));
        };
        let next = peeked.next;
        let secret = self.secret.get().ok_or_else(|| Refusal::new("InternalFailure", ""))?;
        // A message that is gone when its record is read is omitted, so positions mean nothing: use ids.
        let conditions: Vec<(String, Condition)> = peeked
            .received
            .messages
            .iter()
            .map(|message| sqs::message_id(secret, message.origin))
            .zip(peeked.conditions.iter().copied())
            .collect();
        let made = self.make(reply, &PeekMessages::plan(), "", exchange).await?;
        let SqsResponse::ReceiveMessage(output) = made else {
            return Err(Refusal::new("InternalFailure", ""));
        };
        let mut conditions = conditions.into_iter();
        let with_condition = |mut message: Message| {
            // A message that was never received has no such time.
            if let Some(attributes) = &mut message.attributes {
                attributes
                    .0
                    .retain(|(name, value)| name != "ApproximateFirstReceiveTimestamp" || value != "0");
            }
            let condition = conditions
                .by_ref()
                .find(|(id, _)| message.message_id.as_deref() == Some(id))
                .map_or(Condition::Visible, |(_, condition)| condition);
            // This is not a receive: it returns no handle for a delete.
            (Message { receipt_handle: None, ..message }, condition)
        };
        Ok(Page {
            messages: output.messages.unwrap_or_default().into_iter().map(with_condition).collect(),
            next,
        })
    }
}

struct Page {
    messages: Vec<(Message, Condition)>,
    next: Option<Cursor>,
}

fn missing() -> Refusal {
    Refusal::new("QueueDoesNotExist", "The specified queue does not exist.")
}

fn state(condition: Condition) -> &'static str {
    match condition {
        Condition::Visible => "visible",
        Condition::Invisible => "invisible",
        Condition::Delayed => "delayed",
    }
}

/// Adds the requested attributes and an invalid receipt handle, as LocalStack does.
fn as_localstack(mut message: Message, condition: Condition, invisible: bool, delayed: bool) -> Message {
    message.receipt_handle = Some("SQS/BACKDOOR/ACCESS".into());
    let attributes = &mut message.attributes.get_or_insert_default().0;
    let text = |is: bool| if is { "true" } else { "false" };
    if invisible {
        attributes.push(("IsVisible".into(), text(condition == Condition::Visible).into()));
    }
    if delayed {
        attributes.push(("IsDelayed".into(), text(condition == Condition::Delayed).into()));
    }
    message
}

fn answer_of(messages: Vec<Message>) -> wire::Response {
    let messages = (!messages.is_empty()).then_some(messages);
    wire::Response::Sqs(SqsResponse::ReceiveMessage(ReceiveMessageOutput { messages }))
}

/// Returns an exchange in JSON for any client.
fn json_exchange(request_id: String) -> Exchange {
    let mut request = http::Request::new(());
    let kind = header::HeaderValue::from_static("application/x-amz-json-1.0");
    request.headers_mut().insert(header::CONTENT_TYPE, kind);
    let (head, ()) = request.into_parts();
    let mut exchange = wire::exchange_of(&head, request_id);
    exchange.operation = Some(wire::Operation::Sqs(Operation::ReceiveMessage));
    exchange
}
