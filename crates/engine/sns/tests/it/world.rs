//! A world with topics, a clock and a log that can be lost, cleaned and read again.

use std::collections::BTreeMap;

use api::sns::*;
use api::{Map, Text};
use kernel::{
    Asker, Caller, Demand, Extent, Handed, Ledger, Numbers, Offer, Place, Secret, Taken, Targets, Time,
};
use sns::SubscriptionId;
use sns::limits::Limits;
use sns::operations::{Command, Context, Decision, Notice, Outcome, Setting, Step, prepare, present};
use sns::records::Record;
use sns::state::State;

pub const ACCOUNT: &str = "000000000000";
pub const REGION: &str = "us-east-1";
pub const BASE: &str = "http://localhost:4566";

/// Small, so that stories span several.
const SEGMENT: u32 = 500;

pub struct World {
    pub state: State,
    pub now: Time,
    /// Who asks next.
    pub caller: Caller,
    /// What subscribers and telephones were told, in short: `confirm 5`, `farewell 5`, `text to +1555: …`.
    pub notices: Vec<String>,
    /// All subscriptions that were ever made.
    pub made: Vec<SubscriptionId>,
    ledger: Ledger,
    log: BTreeMap<Place, Vec<u8>>,
    segment: u32,
    offset: u32,
    numbers: Numbers,
}

/// An answer, or a refusal's shape and text.
pub type Answer<T> = Result<T, String>;

pub fn secret() -> Secret {
    Secret([1; 32])
}

pub fn caller(account: &str) -> Caller {
    Caller { account: account.into(), region: REGION.into(), principal: account.into(), signed: true }
}

pub fn topic_arn(name: &str) -> String {
    format!("arn:aws:sns:{REGION}:{ACCOUNT}:{name}")
}

pub fn queue_arn(name: &str) -> String {
    format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{name}")
}

pub fn map(pairs: &[(&str, &str)]) -> Option<Map<Text>> {
    Some(Map(pairs.iter().map(|&(name, value)| (name.into(), value.into())).collect()))
}

pub fn tags(pairs: &[(&str, &str)]) -> Option<Vec<Tag>> {
    let tag = |&(key, value): &(&str, &str)| Tag { key: Some(key.into()), value: Some(value.into()) };
    Some(pairs.iter().map(tag).collect())
}

/// Takes what an answer of one operation holds out of the answer of any.
#[macro_export]
macro_rules! ask {
    ($world:expr, $operation:ident, $input:expr) => {
        $world.ask(Request::$operation($input)).map(|response| match response {
            Response::$operation(output) => output,
            other => panic!("{other:?} is no answer to {}", stringify!($operation)),
        })
    };
}

/// No service but topics.
struct Nowhere;

impl Targets for Nowhere {
    fn offer(&self, offer: &Offer<'_>, _: &mut Handed<'_>) -> Taken {
        panic!("nothing is offered here: {offer:?}")
    }
}

fn in_short(notice: &Notice<'_>) -> String {
    match notice {
        Notice::Confirm(id, BASE) => format!("confirm {}", id.0),
        Notice::Farewell(declared, BASE) => format!("farewell {}", declared.id.0),
        Notice::Text { number, text, base: BASE } => format!("text to {number}: {text}"),
        other => panic!("{other:?}"),
    }
}

impl World {
    pub fn new() -> Self {
        World {
            state: State::default(),
            now: Time(1_700_000_000_000),
            caller: caller(ACCOUNT),
            notices: Vec::new(),
            made: Vec::new(),
            ledger: Ledger::default(),
            log: BTreeMap::new(),
            segment: 1,
            offset: 0,
            numbers: Numbers::new(1),
        }
    }

    /// Somebody else asks.
    pub fn by<T>(&mut self, caller: Caller, act: impl FnOnce(&mut World) -> T) -> T {
        let before = std::mem::replace(&mut self.caller, caller);
        let done = act(self);
        self.caller = before;
        done
    }

    pub fn ask(&mut self, request: Request) -> Answer<Response> {
        let refused = |refusal: kernel::Refusal| format!("{}: {}", refusal.shape, refusal.message);
        let asker = Asker { caller: &self.caller, base: BASE, trace: None };
        let (command, plan) = prepare(request, &asker).map_err(refused)?;
        let decision = self.decide(&command);
        let records: Vec<Record> = decision.facts.into_iter().map(|fact| fact.record).collect();
        let answer = match decision.outcome {
            Outcome::Reply(answer) => answer.map_err(refused),
            Outcome::Again { step: Step::Tell(notices, reply), .. } => {
                notices.iter().for_each(|notice| self.notices.push(in_short(notice)));
                Ok(reply)
            }
            other => panic!("{other:?}"),
        };
        self.record(&records);
        self.follow_up();
        answer.map(|reply| present(reply, &plan, &secret()).expect("every answer has a shape"))
    }

    /// Decides a command, and does not record what was decided.
    pub fn decide<'a>(&self, command: &'a Command) -> Decision<'a> {
        self.decide_under(command, &Limits::strict()).0
    }

    /// The same under other limits, with what is handed over.
    pub fn decide_under<'a>(&self, command: &'a Command, limits: &Limits) -> (Decision<'a>, Handed<'a>) {
        let setting = Setting {
            now: self.now,
            limits,
            secret: &secret(),
            ticket: 0,
            numbers: &self.numbers,
            room: Demand::Growth,
            store_lags: false,
        };
        let mut handed = Handed::default();
        let decision = command.decide(&self.state, &mut Context::new(setting, &Nowhere, &mut handed));
        (decision, handed)
    }

    pub fn pass(&mut self, millis: u64) {
        self.now = self.now + millis;
        self.follow_up();
    }

    fn follow_up(&mut self) {
        self.state.advance(self.now);
        while let Some(records) = self.state.follow_up(self.now) {
            self.record(&records);
        }
    }

    pub fn record(&mut self, records: &[Record]) {
        for record in records {
            if let Record::SubscriptionDeclared(declared) = record
                && !self.made.contains(&declared.id)
            {
                self.made.push(declared.id);
            }
            let mut head = Vec::new();
            record.encode(&mut head);
            assert_eq!(Record::decode(&head).as_ref(), Ok(record));
            let len = head.len() as u32;
            if self.offset + len > SEGMENT && self.offset > 0 {
                self.segment += 1;
                self.offset = 0;
            }
            let extent = Extent { place: Place::new(self.segment, self.offset), len };
            self.offset += len;
            self.log.insert(extent.place, head);
            self.ledger.open(self.segment);
            self.state.apply(record, extent, &mut self.ledger);
        }
    }

    /// Reads the log again, as a start after a crash does.
    pub fn crash(&mut self) {
        self.state = State::default();
        self.ledger = Ledger::default();
        for place in self.log.keys() {
            self.ledger.open(place.segment());
        }
        for (&place, head) in &self.log {
            let record = Record::decode(head).unwrap();
            self.state.apply(&record, Extent { place, len: head.len() as u32 }, &mut self.ledger);
        }
        self.follow_up();
    }

    /// Writes every sealed segment up to `most` forward and drops it, oldest first.
    pub fn clean(&mut self, most: u32) {
        for segment in self.log.keys().next().map_or(1, |place| place.segment())..self.segment {
            if segment <= most {
                self.clean_one(segment);
            }
        }
    }

    /// What is deleted is forgotten, as between two requests.
    fn idle(&mut self) {
        while self.state.has_background_work() {
            self.state.work_in_background(&mut self.ledger);
        }
    }

    /// Writes one of the sealed segments forward and drops it.
    pub fn clean_any(&mut self, which: usize) {
        let sealed: Vec<u32> = self
            .ledger
            .segments()
            .map(|(segment, _)| segment)
            .filter(|&segment| segment < self.segment)
            .collect();
        if !sealed.is_empty() {
            self.clean_one(sealed[which % sealed.len()]);
        }
    }

    fn clean_one(&mut self, segment: u32) {
        self.idle();
        let records: Vec<(Place, Vec<u8>)> = self
            .log
            .range(Place::new(segment, 0)..Place::new(segment + 1, 0))
            .map(|(place, head)| (*place, head.clone()))
            .collect();
        for (place, head) in records {
            let extent = Extent { place, len: head.len() as u32 };
            let record = Record::decode(&head).unwrap();
            if let Some(record) = self.state.write_again(&record, extent, &self.ledger) {
                self.record(&[record]);
            }
        }
        self.ledger.facts_copied(segment);
        let unused = self.ledger.segments().find(|(number, _)| *number == segment);
        let still_needed = unused.map(|(_, unused)| unused.references);
        assert!(
            matches!(still_needed, None | Some(0)),
            "segment {segment} is still needed: {still_needed:?}"
        );
        self.ledger.dropped(segment);
        self.log.retain(|place, _| place.segment() != segment);
    }

    /// How many records of the log are still needed.
    pub fn references(&mut self) -> u64 {
        self.idle();
        self.ledger.segments().map(|(_, needed)| needed.references).sum()
    }

    /// The last segment in which something stands.
    pub fn segment(&self) -> u32 {
        self.segment
    }

    pub fn create(
        &mut self,
        name: &str,
        attributes: &[(&str, &str)],
        given: &[(&str, &str)],
    ) -> Answer<String> {
        let fifo = [("FifoTopic", "true")];
        let fifo = if name.ends_with(".fifo") { &fifo[..] } else { &[] };
        let input = CreateTopicInput {
            name: Some(name.into()),
            attributes: map(&[attributes, fifo].concat()),
            tags: tags(given),
            data_protection_policy: None,
        };
        ask!(self, CreateTopic, input).map(|output| output.topic_arn.unwrap().to_string())
    }

    pub fn attributes(&mut self, topic: &str) -> Answer<BTreeMap<String, String>> {
        let input = GetTopicAttributesInput { topic_arn: Some(topic_arn(topic).into()) };
        ask!(self, GetTopicAttributes, input).map(|output| plain(output.attributes))
    }

    pub fn set(&mut self, topic: &str, name: &str, value: &str) -> Answer<()> {
        let input = SetTopicAttributesInput {
            topic_arn: Some(topic_arn(topic).into()),
            attribute_name: Some(name.into()),
            attribute_value: Some(value.into()),
        };
        ask!(self, SetTopicAttributes, input).map(drop)
    }

    pub fn delete(&mut self, topic: &str) -> Answer<()> {
        let input = DeleteTopicInput { topic_arn: Some(topic_arn(topic).into()) };
        ask!(self, DeleteTopic, input).map(drop)
    }

    /// Subscribes, and tells the ARN even of what is pending.
    pub fn subscribe(
        &mut self,
        topic: &str,
        protocol: &str,
        endpoint: &str,
        attributes: &[(&str, &str)],
    ) -> Answer<String> {
        let input = SubscribeInput {
            topic_arn: Some(topic_arn(topic).into()),
            protocol: Some(protocol.into()),
            endpoint: Some(endpoint.into()),
            attributes: map(attributes),
            return_subscription_arn: Some(true),
        };
        ask!(self, Subscribe, input).map(|output| output.subscription_arn.unwrap().to_string())
    }

    pub fn unsubscribe(&mut self, arn: &str) -> Answer<()> {
        ask!(self, Unsubscribe, UnsubscribeInput { subscription_arn: Some(arn.into()) }).map(drop)
    }

    /// Confirms with the token that stands in the link.
    pub fn confirm(&mut self, topic: &str, arn: &str, authenticate: bool) -> Answer<String> {
        let id = self.state.subscription_by_arn(arn).expect("it is there").id();
        self.confirm_with(topic, &sns::ids::confirmation_token(&secret(), id), authenticate)
    }

    pub fn confirm_with(&mut self, topic: &str, token: &str, authenticate: bool) -> Answer<String> {
        let input = ConfirmSubscriptionInput {
            topic_arn: Some(topic_arn(topic).into()),
            token: Some(token.into()),
            authenticate_on_unsubscribe: authenticate.then(|| "true".into()),
        };
        ask!(self, ConfirmSubscription, input).map(|output| output.subscription_arn.unwrap().to_string())
    }

    pub fn subscription(&mut self, arn: &str) -> Answer<BTreeMap<String, String>> {
        let input = GetSubscriptionAttributesInput { subscription_arn: Some(arn.into()) };
        ask!(self, GetSubscriptionAttributes, input).map(|output| plain(output.attributes))
    }

    pub fn set_subscription(&mut self, arn: &str, name: &str, value: &str) -> Answer<()> {
        let input = SetSubscriptionAttributesInput {
            subscription_arn: Some(arn.into()),
            attribute_name: Some(name.into()),
            attribute_value: Some(value.into()),
        };
        ask!(self, SetSubscriptionAttributes, input).map(drop)
    }
}

pub fn plain(map: Option<Map<Text>>) -> BTreeMap<String, String> {
    map.unwrap().0.into_iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

/// `Invalid parameter: …`
pub fn invalid<T>(what: &str) -> Answer<T> {
    Err(format!("InvalidParameterException: Invalid parameter: {what}"))
}
