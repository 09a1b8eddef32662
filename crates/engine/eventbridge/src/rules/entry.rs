//! An entry of PutEvents: what can be checked without knowing its bus, and the event that becomes of it.

use std::sync::Arc;

use api::Text;
use api::eventbridge::PutEventsRequestEntry;
use bytestring::ByteString;
use json_text::{Parts, compact, is_json, is_name, quote};
use kernel::{Asker, Refusal, Time, iso8601};
use md5::{Digest, Md5};
use notification::{Kind, Notification};
use patterns::Event;

use super::constraints::{Constraints, text};
use crate::{BusKey, limits, refusals};

/// An event that was put, and is right in itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Draft {
    /// To which bus.
    pub bus: Arc<BusKey>,
    /// When it happened, in milliseconds since 1970, if the sender said so.
    pub time: Option<i64>,
    /// `X-Amzn-Trace-Id`.
    pub trace: Option<Text>,
    /// Where this server is reached.
    pub base: Text,
    /// The members of the event behind its id, up to its time.
    before: String,
    /// The members behind its time.
    behind: String,
}

/// What is wrong with an entry: it fails alone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// `ErrorCode`.
    pub code: &'static str,
    /// `ErrorMessage`.
    pub message: String,
}

/// An event as it goes its way.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// Its id.
    pub id: String,
    /// When it came.
    pub at: Time,
    /// The event, as JSON without blanks.
    pub text: ByteString,
    /// The same as patterns see it.
    pub event: Arc<Event<'static>>,
    /// The same as it is stored for those who get it as it is.
    pub payload: Vec<u8>,
}

/// Checks the entries of a request (facts/eventbridge.md § 3).
///
/// Errors: a refusal of all of them.
pub fn check_all(entries: &[PutEventsRequestEntry]) -> Result<(), Refusal> {
    let mut constraints = Constraints::default();
    constraints.length("entries", entries.len(), (1, limits::ENTRIES), || shown(entries));
    for (number, entry) in entries.iter().enumerate() {
        let path = |member: &str| format!("entries.{}.member.{member}", number + 1);
        constraints.bus(&path("eventBusName"), entry.event_bus_name.as_ref());
        constraints.text(&path("traceHeader"), entry.trace_header.as_ref(), text(500));
        for resource in entry.resources.iter().flatten() {
            constraints.text(&path("resources"), Some(resource), text(2048));
        }
    }
    constraints.check()?;
    if entries.iter().map(size_of).sum::<usize>() > limits::ENTRIES_BYTES {
        return Err(refusals::invalid("Total size of the entries in the request is over the limit."));
    }
    Ok(())
}

/// Bytes of an entry, as AWS counts them (facts/eventbridge.md § 3).
fn size_of(entry: &PutEventsRequestEntry) -> usize {
    let texts = [&entry.source, &entry.detail_type, &entry.detail];
    let texts = texts.into_iter().flatten().chain(entry.resources.iter().flatten());
    let time = if entry.time.is_some() { limits::TIME_BYTES } else { 0 };
    time + texts.map(|text| text.len()).sum::<usize>()
}

/// Entries as AWS's framework shows them (facts/eventbridge.md § 3).
fn shown(entries: &[PutEventsRequestEntry]) -> String {
    let or_null = |text: Option<&Text>| text.map_or_else(|| "null".to_owned(), ToString::to_string);
    let entry = |entry: &PutEventsRequestEntry| {
        let time = entry.time.map_or_else(|| "null".to_owned(), |time| iso8601::write(time.0));
        let resources = entry.resources.as_ref().map_or_else(
            || "null".to_owned(),
            |all| format!("[{}]", all.iter().map(|text| &**text).collect::<Vec<_>>().join(", ")),
        );
        format!(
            "PutEventsRequestEntry(time={time}, source={}, resources={resources}, detailType={}, detail={}, eventBusName={}, traceHeader={}, kmsKeyIdentifier=null, internalMetadata=null)",
            or_null(entry.source.as_ref()),
            or_null(entry.detail_type.as_ref()),
            or_null(entry.detail.as_ref()),
            or_null(entry.event_bus_name.as_ref()),
            or_null(entry.trace_header.as_ref()),
        )
    };
    format!("[{}]", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
}

impl Draft {
    /// Checks an entry for a bus, which is that of the entry ([`bus`](super::names::bus)) (facts/eventbridge.md § 3).
    pub fn of(entry: &PutEventsRequestEntry, bus: Arc<BusKey>, asker: &Asker<'_>) -> Result<Draft, Fault> {
        let invalid = |name: &str, reason: &str| Fault {
            code: "InvalidArgument",
            message: format!("Parameter {name} is not valid. Reason: {reason}"),
        };
        let required = |value: &Option<Text>, name: &'static str, most: usize| {
            let Some(value) = value.clone().filter(|value| !value.is_empty()) else {
                return Err(invalid(name, &format!("{name} is a required argument.")));
            };
            // AWS's documentation has the lengths (facts/eventbridge.md § 3), but not the text.
            if value.chars().count() > most {
                return Err(invalid(name, &format!("{name} must have at most {most} characters.")));
            }
            Ok(value)
        };
        let source = required(&entry.source, "Source", 256)?;
        let detail_type = required(&entry.detail_type, "DetailType", 128)?;
        let detail = required(&entry.detail, "Detail", usize::MAX)?;
        if source.starts_with("aws.") && asker.caller.as_service().is_none() {
            // As recorded by users of AWS; the error's name also from AWS's documentation of PutEventsResultEntry.
            let (code, message) =
                ("NotAuthorizedForSourceException", "Not authorized for the source.".to_owned());
            return Err(Fault { code, message });
        }
        if !is_json(&detail) {
            return Err(Fault { code: "MalformedDetail", message: "Detail is malformed.".to_owned() });
        }
        let caller = asker.caller;
        let resources: Vec<&str> = entry.resources.iter().flatten().map(|text| &**text).collect();
        let said = Said {
            detail_type: &detail_type,
            source: &source,
            account: &caller.account,
            region: &caller.region,
            resources: &resources,
            detail: &compact(&detail),
        };
        let trace = entry.trace_header.as_ref().or(asker.trace).cloned();
        Ok(Draft { trace, ..said.draft(bus, entry.time.map(|time| time.0), asker.base) })
    }

    /// The event that another service hands to a bus, and its id if it says one: JSON with `source` and `detail-type`. Without `account`
    /// and `region` they are the bus's.
    pub fn of_document(stored: &Notification, bus: BusKey) -> Option<(Option<String>, Draft)> {
        let text = Some(&*stored.message).filter(|text| is_json(text)).map(compact)?;
        let member = |name| Parts::of(&text).filter(|(other, _)| is_name(other, name)).last();
        let value = |name| member(name).map(|(_, value)| value);
        let string = |name| serde_json::from_str::<String>(value(name)?).ok();
        let resources: Option<Vec<String>> =
            value("resources").and_then(|list| serde_json::from_str(list).ok());
        let resources = resources.unwrap_or_default();
        let said = Said {
            detail_type: &string("detail-type")?,
            source: &string("source")?,
            account: &string("account").unwrap_or_else(|| bus.account.clone()),
            region: &string("region").unwrap_or_else(|| bus.region.clone()),
            resources: &resources.iter().map(String::as_str).collect::<Vec<_>>(),
            detail: value("detail").unwrap_or("{}"),
        };
        let time = string("time").and_then(|time| iso8601::read(&time));
        let trace = stored.trace_header.clone();
        Some((string("id"), Draft { trace, ..said.draft(Arc::new(bus), time, &stored.base) }))
    }

    /// The same event as a replay hands it on: `replay-name` stands behind its region (facts/eventbridge.md § 3).
    pub fn replayed(mut self, replay: &str) -> Draft {
        let mut member = String::from(",\"replay-name\":");
        quote(&mut member, replay);
        // No text before it can contain this, since quotes are escaped there.
        let at = self.behind.find(RESOURCES).unwrap_or(0);
        self.behind.insert_str(at, &member);
        self
    }

    /// The event, which came at a moment and has an id from now on. Costs by the byte.
    pub fn accept(&self, id: String, at: Time) -> Accepted {
        let text = self.text(&id, at);
        let digest = Md5::digest(text.as_bytes()).into();
        self.accepted(id, at, text, digest)
    }

    /// The events of several entries, which cost less together: their digests are computed at once.
    pub fn accept_all<'a>(drafts: impl Iterator<Item = (&'a Draft, String)>, at: Time) -> Vec<Accepted> {
        let drafts: Vec<_> = drafts.map(|(draft, id)| (draft, draft.text(&id, at), id)).collect();
        let digests =
            md5_lanes::digests(&drafts.iter().map(|(_, text, _)| text.as_bytes()).collect::<Vec<_>>());
        let events = drafts.into_iter().zip(digests);
        events.map(|((draft, text, id), digest)| draft.accepted(id, at, text, digest)).collect()
    }

    /// The event, as JSON without blanks.
    fn text(&self, id: &str, at: Time) -> String {
        let time = iso8601::write_seconds(self.time.unwrap_or(at.signed_millis()));
        ["{\"version\":\"0\",\"id\":\"", id, "\"", &self.before, &time, &self.behind].concat()
    }

    fn accepted(&self, id: String, at: Time, text: String, message_md5: [u8; 16]) -> Accepted {
        let event = Arc::new(Event::from_json(&text).into_owned());
        let text = ByteString::from(text);
        let payload = Notification { message_md5, ..self.stored(text.clone()) }.encode();
        Accepted { id, at, text, event, payload }
    }

    /// A text that is made of the event, as it is stored. Its digest is computed by those who read it.
    pub fn stored(&self, text: ByteString) -> Notification {
        Notification {
            kind: Kind::Notification,
            message: text,
            message_md5: [0; 16],
            texts: Vec::new(),
            subject: None,
            attributes: Vec::new(),
            trace_header: self.trace.clone(),
            topic_arn: self.bus.arn().to_string().into(),
            base: self.base.clone(),
            endpoint: None,
            fifo: false,
        }
    }
}

/// What an event says.
#[derive(Clone, Copy, Debug)]
pub struct Said<'a> {
    /// `detail-type`.
    pub detail_type: &'a str,
    /// `source`.
    pub source: &'a str,
    /// `account`.
    pub account: &'a str,
    /// `region`.
    pub region: &'a str,
    /// `resources`.
    pub resources: &'a [&'a str],
    /// `detail`: JSON without blanks.
    pub detail: &'a str,
}

impl Said<'_> {
    /// The event, but for its id and the moment at which it came.
    pub fn draft(&self, bus: Arc<BusKey>, time: Option<i64>, base: &str) -> Draft {
        let mut before = String::with_capacity(128 + self.detail_type.len() + self.source.len());
        for (name, text) in
            [("detail-type", self.detail_type), ("source", self.source), ("account", self.account)]
        {
            before.push_str(",\"");
            before.push_str(name);
            before.push_str("\":");
            quote(&mut before, text);
        }
        before.push_str(",\"time\":\"");
        let mut behind = String::with_capacity(64 + self.detail.len());
        behind.push_str("\",\"region\":");
        quote(&mut behind, self.region);
        behind.push_str(RESOURCES);
        for (at, resource) in self.resources.iter().enumerate() {
            if at > 0 {
                behind.push(',');
            }
            quote(&mut behind, resource);
        }
        behind.push_str("],\"detail\":");
        behind.push_str(self.detail);
        behind.push('}');
        Draft { bus, time, trace: None, base: base.into(), before, behind }
    }
}

/// What stands behind the region of an event.
const RESOURCES: &str = ",\"resources\":[";

#[cfg(test)]
mod tests {
    use api::Timestamp;
    use kernel::Caller;

    use super::*;

    fn entry(source: &str, detail_type: &str, detail: &str) -> PutEventsRequestEntry {
        PutEventsRequestEntry {
            source: Some(source.into()),
            detail_type: Some(detail_type.into()),
            detail: Some(detail.into()),
            ..PutEventsRequestEntry::default()
        }
    }

    fn draft(entry: &PutEventsRequestEntry) -> Result<Draft, Fault> {
        let caller = Caller {
            account: "000000000000".into(),
            region: "us-east-1".into(),
            principal: "000000000000".into(),
            signed: true,
        };
        let bus = Arc::new(crate::rules::names::bus(None, &caller));
        Draft::of(entry, bus, &Asker { caller: &caller, base: "", trace: None })
    }

    #[test]
    fn an_entry_becomes_an_event() {
        // facts/eventbridge.md § 3
        let mut entry = entry("s\"", "t", r#" { "a" : [1, "b c"] } "#);
        entry.resources = Some(vec!["r1".into(), "r2".into()]);
        let accepted = draft(&entry).unwrap().accept("the-id".into(), Time(1_767_225_600_999));
        assert_eq!(
            accepted.text,
            r#"{"version":"0","id":"the-id","detail-type":"t","source":"s\"","account":"000000000000","time":"2026-01-01T00:00:00Z","region":"us-east-1","resources":["r1","r2"],"detail":{"a":[1,"b c"]}}"#
        );
        let pattern =
            patterns::EventPattern::parse(r#"{"time": [{"prefix": "2026-"}], "id": ["the-id"]}"#).unwrap();
        assert!(pattern.matches(&accepted.event));
        entry.time = Some(Timestamp(-1));
        assert!(draft(&entry).unwrap().accept("i".into(), Time(0)).text.contains("\"1969-12-31T23:59:59Z\""));
    }

    #[test]
    fn a_document_becomes_an_event() {
        let bus = BusKey { account: "1".into(), region: "r".into(), name: "b".into() };
        let empty = draft(&entry("s", "t", "{}")).unwrap();
        let of = |text: &str| Draft::of_document(&empty.stored(text.into()), bus.clone());
        let (id, made) =
            of(r#"{ "source": "x", "detail-type": "y", "detail": [1, 2], "id": "i", "resources": ["z"] }"#)
                .unwrap();
        assert_eq!(
            made.accept(id.unwrap(), Time(0)).text,
            r#"{"version":"0","id":"i","detail-type":"y","source":"x","account":"1","time":"1970-01-01T00:00:00Z","region":"r","resources":["z"],"detail":[1,2]}"#
        );
        let (id, whole) = of(
            r#"{"source":"x","detail-type":"y","account":"2","region":"q","time":"2020-01-01T00:00:00Z"}"#,
        )
        .unwrap();
        assert_eq!(id, None);
        assert_eq!(
            whole.accept("j".into(), Time(0)).text,
            r#"{"version":"0","id":"j","detail-type":"y","source":"x","account":"2","time":"2020-01-01T00:00:00Z","region":"q","resources":[],"detail":{}}"#
        );
        let (id, again) = of(&whole.accept("j".into(), Time(0)).text).unwrap();
        assert_eq!(
            again.replayed("r").accept(id.unwrap(), Time(9)).text,
            r#"{"version":"0","id":"j","detail-type":"y","source":"x","account":"2","time":"2020-01-01T00:00:00Z","region":"q","replay-name":"r","resources":[],"detail":{}}"#
        );
        for wrong in ["{", "[]", "\"text\"", r#"{"source":"x"}"#, r#"{"source":1,"detail-type":"y"}"#] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_entry_that_is_wrong_fails_alone() {
        // facts/eventbridge.md § 3
        let none = PutEventsRequestEntry::default();
        for (entry, code, message) in [
            (
                none.clone(),
                "InvalidArgument",
                "Parameter Source is not valid. Reason: Source is a required argument.",
            ),
            (
                PutEventsRequestEntry { source: Some("s".into()), ..none },
                "InvalidArgument",
                "Parameter DetailType is not valid. Reason: DetailType is a required argument.",
            ),
            (
                entry("s", "t", ""),
                "InvalidArgument",
                "Parameter Detail is not valid. Reason: Detail is a required argument.",
            ),
            (entry("s", "t", "{"), "MalformedDetail", "Detail is malformed."),
            (
                entry("aws.ec2", "t", "{}"),
                "NotAuthorizedForSourceException",
                "Not authorized for the source.",
            ),
        ] {
            assert_eq!(draft(&entry), Err(Fault { code, message: message.to_owned() }));
        }
        assert!(draft(&entry("s", "t", "\"text\"")).is_ok(), "a text passes");
        assert!(draft(&entry("awsome", "t", "{}")).is_ok());
    }

    #[test]
    fn all_entries_are_refused_if_they_are_too_many_or_too_long() {
        // facts/eventbridge.md § 3
        let text = |entries: &[PutEventsRequestEntry]| check_all(entries).unwrap_err().message.into_owned();
        let one = entry("s", "t", "{}");
        assert_eq!(check_all(&vec![one.clone(); 10]), Ok(()));
        let eleven = text(&vec![one.clone(); 11]);
        let begin = "1 validation error detected: Value '[PutEventsRequestEntry(time=null, source=s, resources=null, detailType=t, detail={}, eventBusName=null, traceHeader=null, kmsKeyIdentifier=null, internalMetadata=null), PutEventsRequestEntry(";
        assert!(eleven.starts_with(begin), "{eleven}");
        assert!(eleven.ends_with(
            ")]' at 'entries' failed to satisfy constraint: Member must have length less than or equal to 10"
        ));
        assert!(text(&[]).ends_with("Member must have length greater than or equal to 1"));
        let detail = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
        let mut exact = entry("s", "t", &detail(limits::ENTRIES_BYTES - 2));
        assert_eq!(check_all(std::slice::from_ref(&exact)), Ok(()));
        exact.time = Some(Timestamp(0));
        assert_eq!(text(&[exact]), "Total size of the entries in the request is over the limit.");
    }
}
