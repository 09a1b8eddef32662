//! Requests to the server itself instead of a service: health, clock, outbox and others.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use delivery::{Outbox, OutboxFilter};
use hyper::{Method, Response, StatusCode, header};
use journal::Pipeline;
use kernel::{Refusal, Time, iso8601};
use machine::Command;
use serde_json::{Value, json};
use sns::operations::text_messaging::{OptOut, Sender};

use crate::clock::Clock;
use crate::damage::Damages;
use crate::engine::{Handle, Message};
use crate::failures::Failures;
use crate::mailbox::{Tickets, ask};
use crate::mover::{self, Desk};
use crate::options::DurabilityOption;
use crate::web::DEFAULT_ACCOUNT;

/// Answers requests to the server itself.
pub struct Admin {
    /// The handle of the engine.
    pub engine: Handle,
    /// The server's clock.
    pub clock: Arc<Clock>,
    /// The log.
    pub journal: Arc<Pipeline>,
    /// What an acknowledgement guarantees.
    pub durability: DurabilityOption,
    /// The directory of the data.
    pub data: Option<String>,
    /// The outbox: deliveries without a configured server.
    pub outbox: Arc<Outbox>,
    /// Failed deliveries.
    pub failures: Arc<Failures>,
    /// Damage on disk that was found.
    pub damages: Arc<Damages>,
    /// The state of the store for retained data.
    pub retained: Arc<Desk>,
    /// Its damage.
    pub retained_damages: Arc<Damages>,
    /// The text about what the start cut off at the end of the log.
    pub cut: Option<String>,
    /// When the server started.
    pub started: Instant,
    /// The waiting requests of this thread.
    pub tickets: Tickets,
    /// The region of requests that do not name one.
    pub region: String,
}

impl Admin {
    /// Answers a request below `/_posthaste/` or `/_localstack/`.
    pub async fn serve(&self, method: &Method, path: &str, query: &str, body: &Bytes) -> Response<Bytes> {
        let answer = match (method, path) {
            (&Method::GET | &Method::HEAD, "/_posthaste/health") => return self.say_health(method, self.health()),
            (&Method::GET | &Method::HEAD, "/_localstack/health") => {
                return self.say_health(method, self.localstack_health());
            }
            #[cfg(debug_assertions)]
            (&Method::POST, "/_posthaste/panic") => {
                crate::alarm::sabotage::prepare(&String::from_utf8_lossy(body));
                Ok(json!({}))
            }
            (&Method::GET, "/_posthaste/clock") => Ok(self.time()),
            (&Method::POST, "/_posthaste/clock") => self.move_clock(body).await,
            (&Method::POST, "/_posthaste/reset" | "/_localstack/state/reset") => self.reset().await,
            (&Method::POST, "/_posthaste/sms") => self.text_came(body).await,
            (&Method::GET, "/_posthaste/outbox") => match outbox_filter(query) {
                Ok(filter) => return json_text(StatusCode::OK, self.outbox.list(&filter)),
                Err(error) => Err(error),
            },
            (&Method::GET, "/_posthaste/failures") => self.list_failures(query),
            (&Method::DELETE, "/_posthaste/outbox") => {
                self.outbox.clear();
                Ok(json!({ "status": "ok" }))
            }
            _ => Err((
                StatusCode::NOT_FOUND,
                "There is GET /_posthaste/health, GET /_localstack/health, GET and DELETE /_posthaste/outbox, \
                 GET /_posthaste/failures, GET /_posthaste/messages?queue=NAME, \
                 POST /_posthaste/sms, and with --virtual-clock GET and POST /_posthaste/clock and POST /_posthaste/reset."
                    .into(),
            )),
        };
        let (status, document) = match answer {
            Ok(document) => (StatusCode::OK, document),
            Err((status, message)) => (status, json!({ "message": message })),
        };
        self::answer(method, status, &document)
    }

    /// Monitoring tools evaluate only the status.
    fn say_health(&self, method: &Method, health: Value) -> Response<Bytes> {
        let failed = self.engine.has_failed();
        self::answer(method, if failed { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }, &health)
    }

    fn health(&self) -> Value {
        let place = |position: kernel::Position| format!("{}:{}", position.segment(), position.offset());
        json!({
            "status": if self.engine.has_failed() { "failed" } else { "ok" },
            "reason": self.engine.failure_reason(),
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_seconds": self.started.elapsed().as_secs(),
            "journal": {
                "directory": self.data,
                "durability": match (&self.data, self.durability) {
                    (None, _) => "none",
                    (_, DurabilityOption::Fsync) => "fsync",
                    (_, DurabilityOption::Os) => "os",
                },
                "written": place(self.journal.written()),
                "durable": place(self.journal.durable()),
                "space": self.engine.space_in_a_word(),
                "cut": self.cut,
                "damage": self.damages.show(self.engine.set_aside()),
            },
            "retained": mover::show(&self.retained, &self.retained_damages),
            "services": services("running"),
        })
    }

    /// Answers in LocalStack's shape, so that scripts that wait for LocalStack work here.
    fn localstack_health(&self) -> Value {
        let state = if self.engine.has_failed() { "error" } else { "running" };
        json!({
            "services": services(state),
            "edition": "community",
            "version": env!("CARGO_PKG_VERSION"),
        })
    }

    /// Handles a telephone's answer, as a carrier's callback reports it: after STOP the telephone gets no
    /// more text messages from the account.
    async fn text_came(&self, body: &Bytes) -> Result<Value, (StatusCode, String)> {
        let wrong = |message: String| (StatusCode::BAD_REQUEST, message);
        let usage = "Say {\"from\": \"+15551234567\", \"text\": \"STOP\"}, and \"account\" and \"region\" if they are not the usual";
        let document: Value = serde_json::from_slice(body).map_err(|_| wrong(usage.into()))?;
        let field = |name: &str| document.get(name).and_then(Value::as_str);
        let (Some(from), Some(text)) = (field("from"), field("text")) else {
            return Err(wrong(usage.into()));
        };
        let sender = Sender {
            account: field("account").unwrap_or(DEFAULT_ACCOUNT).to_owned(),
            region: field("region").unwrap_or(&self.region).to_owned(),
        };
        let refused = |refusal: Refusal| wrong(refusal.message.into_owned());
        let Some(command) = OptOut::from_answer(sender, from, text).map_err(refused)? else {
            return Ok(json!({ "opted_out": false }));
        };
        let command = Command::Sns(sns::operations::Command::OptOut(command));
        match ask(&self.engine, &self.tickets, command).await {
            Ok(_) => Ok(json!({ "opted_out": true })),
            Err(refusal) => Err((StatusCode::SERVICE_UNAVAILABLE, refusal.message.into_owned())),
        }
    }

    /// Lists the latest failed delivery attempts.
    fn list_failures(&self, query: &str) -> Result<Value, (StatusCode, String)> {
        let (mut topic_arn, mut subscription_arn) = (None, None);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "topic_arn" => topic_arn = Some(value),
                "subscription_arn" => subscription_arn = Some(value),
                _ => {
                    let text = "Filter by topic_arn or subscription_arn";
                    return Err((StatusCode::BAD_REQUEST, text.into()));
                }
            }
        }
        Ok(self.failures.list(topic_arn.as_deref(), subscription_arn.as_deref()))
    }

    fn time(&self) -> Value {
        let now = self.clock.now();
        json!({ "now": now.0, "virtual": self.clock.is_virtual() })
    }

    async fn move_clock(&self, body: &Bytes) -> Result<Value, (StatusCode, String)> {
        self.demand_virtual_clock()?;
        let wrong = |message: &str| (StatusCode::BAD_REQUEST, message.to_owned());
        let usage = "Say {\"advance\": \"31s\"} (ms, s, m, h, d) or {\"set\": \"2026-01-31T12:00:00Z\"} (or milliseconds)";
        let document: Value = serde_json::from_slice(body).map_err(|_| wrong(usage))?;
        let now = self.clock.now();
        let to = match (document.get("advance"), document.get("set")) {
            (Some(Value::String(text)), None) => now + parse_duration(text).ok_or_else(|| wrong(usage))?,
            (Some(Value::Number(millis)), None) => now + millis.as_u64().ok_or_else(|| wrong(usage))?,
            (None, Some(Value::String(text))) => parse_date(text).ok_or_else(|| wrong(usage))?,
            (None, Some(Value::Number(millis))) => Time(millis.as_u64().ok_or_else(|| wrong(usage))?),
            _ => return Err(wrong(usage)),
        };
        if to < now {
            return Err(wrong("The clock does not go back"));
        }
        self.carry_out(|done| Message::MoveClock(to, done)).await?;
        Ok(self.time())
    }

    async fn reset(&self) -> Result<Value, (StatusCode, String)> {
        self.demand_virtual_clock()?;
        self.carry_out(Message::Reset).await?;
        self.outbox.clear();
        self.failures.clear();
        Ok(json!({ "status": "ok" }))
    }

    fn demand_virtual_clock(&self) -> Result<(), (StatusCode, String)> {
        if self.clock.is_virtual() {
            return Ok(());
        }
        Err((StatusCode::CONFLICT, "This server was not started with --virtual-clock".into()))
    }

    async fn carry_out(
        &self,
        message: impl FnOnce(crate::engine::Done) -> Message,
    ) -> Result<(), (StatusCode, String)> {
        let (done, carried_out) = tokio::sync::oneshot::channel();
        self.engine.put(message(done));
        carried_out.await.map_err(|_| (StatusCode::SERVICE_UNAVAILABLE, "The server is stopping".into()))
    }
}

/// The services that are served, by the names that LocalStack has for them, each in this state.
fn services(state: &str) -> Value {
    let served = wire::generated::SERVICES.iter();
    // They are those of the SDK for Python, which calls one of them otherwise than AWS's model.
    let name = |service: &wire::Service| match service.name {
        "eventbridge" => "events",
        name => name,
    };
    served.map(|service| (name(service).to_owned(), Value::from(state))).collect()
}

/// Returns a JSON document as an answer.
pub fn answer(method: &Method, status: StatusCode, document: &Value) -> Response<Bytes> {
    json_text(status, if method == Method::HEAD { String::new() } else { document.to_string() })
}

/// Returns a document that is text already as an answer.
fn json_text(status: StatusCode, mut text: String) -> Response<Bytes> {
    if !text.is_empty() {
        text.push('\n');
    }
    let mut response = Response::new(Bytes::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

/// Parses `1500ms`, `31s`, `5m`, `12h`, `14d`, also `1h30m`, into milliseconds.
fn parse_duration(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    let mut total = 0u64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let count: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = match &rest[..end] {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        total = total.checked_add(count.checked_mul(unit)?)?;
        rest = &rest[end..];
    }
    Some(total)
}

/// Parses `2026-01-31T12:00:00Z`, with or without fractions of a second, in UTC.
fn parse_date(text: &str) -> Option<Time> {
    iso8601::read(text.trim()).and_then(|millis| u64::try_from(millis).ok()).map(Time)
}

/// Parses the query of `/_posthaste/outbox`. An error names the unknown parameter.
fn outbox_filter(query: &str) -> Result<OutboxFilter, (StatusCode, String)> {
    let mut filter = OutboxFilter::default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let value = value.into_owned();
        match &*name {
            "protocol" => filter.protocol = Some(value),
            "endpoint" => filter.endpoint = Some(value),
            "topic_arn" => filter.topic_arn = Some(value),
            "subscription_arn" => filter.subscription_arn = Some(value),
            "after" if value.parse::<u64>().is_ok() => filter.after = value.parse().ok(),
            _ => {
                let text = "Filter by protocol, endpoint, topic_arn, subscription_arn, or after=ID";
                return Err((StatusCode::BAD_REQUEST, text.into()));
            }
        }
    }
    Ok(filter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_dates_are_understood() {
        assert_eq!(parse_duration("31s"), Some(31_000));
        assert_eq!(parse_duration("1h30m"), Some(5_400_000));
        assert_eq!(parse_duration("14d"), Some(1_209_600_000));
        for wrong in ["", "31", "s", "31 s", "5y", "99999999999999999999d"] {
            assert_eq!(parse_duration(wrong), None, "{wrong}");
        }
        assert_eq!(parse_date("1970-01-02T00:00:01.5Z"), Some(Time(86_401_500)));
        assert_eq!(parse_date("2026-11-21T05:20:34Z"), Some(Time(1_795_238_434_000)));
        for wrong in ["2026-11-21", "2025-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z"] {
            assert_eq!(parse_date(wrong), None, "{wrong}");
        }
    }
}
