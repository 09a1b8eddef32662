//! A state with a log and a store for retained data, without a machine: it decides, records, applies and reads as the server does.

use std::collections::BTreeMap;

use api::kinesis::{
    CreateStreamInput, GetRecordsInput, GetRecordsOutput, GetShardIteratorInput, ListShardsInput,
    PutRecordsInput, PutRecordsOutput, PutRecordsRequestEntry, Request, Response, Shard,
};
use api::{Text, Timestamp};
use bytes::Bytes;
use kernel::retained::{From, Order, Rule};
use kernel::service::Record as _;
use kernel::{
    Asker, Caller, Context, Decision, Demand, Extent, Handed, Ledger, NoTargets, Numbers, Outcome, Place,
    Refusal, Secret, Series, Service, Setting, Time,
};
use kinesis::limits::Limits;
use kinesis::operations::{self, Command, Plan, Reply};
use kinesis::reading::{Gathered, Reading};
use kinesis::records::Record;
use kinesis::state::State;
use kinesis::{Due, Waiter};

pub const NOW: Time = Time(1_767_225_600_000);
pub const HOUR: u64 = 3_600_000;
pub const ACCOUNT: &str = "000000000000";
const SECRET: Secret = Secret([1; 32]);
/// Records of a segment.
const SEGMENT: u32 = 8;

/// A record of the log: its place, head and tail.
type Logged = (Extent, Vec<u8>, Bytes);
/// A record of the store: number, time, head and tail.
type Kept = (u64, Time, Bytes, Bytes);

pub struct World {
    pub state: State,
    pub now: Time,
    pub limits: Limits,
    pub store_lags: bool,
    pub account: String,
    ledger: Ledger,
    numbers: Numbers,
    log: Vec<Logged>,
    store: BTreeMap<Series, Vec<Kept>>,
    written: u32,
    /// Answers to requests that waited.
    pub answers: BTreeMap<u64, Reply>,
}

pub fn text(text: &str) -> Option<Text> {
    Some(text.into())
}

/// The code of a refusal.
pub fn code<T: std::fmt::Debug>(refused: Result<T, Refusal>) -> &'static str {
    refused.unwrap_err().shape
}

impl World {
    pub fn new() -> World {
        World {
            state: State::default(),
            now: NOW,
            limits: Limits::default(),
            store_lags: false,
            account: ACCOUNT.to_owned(),
            ledger: Ledger::default(),
            numbers: Numbers::new(1),
            log: Vec::new(),
            store: BTreeMap::new(),
            written: 0,
            answers: BTreeMap::new(),
        }
    }

    fn record(&mut self, record: &Record, tail: &[u8]) {
        let mut head = Vec::new();
        record.encode(&mut head);
        assert!(head.len() < 64 << 10 && tail.len() <= 4 << 20);
        let place = Place::new(1 + self.written / SEGMENT, self.written % SEGMENT * 1000);
        let at = Extent { place, len: (head.len() + tail.len()) as u32 };
        self.written += 1;
        self.ledger.open(place.segment());
        self.state.apply(record, at, &mut self.ledger);
        self.log.push((at, head, Bytes::copy_from_slice(tail)));
    }

    fn step<'a>(
        state: &State,
        (now, limits, numbers, store_lags): (Time, &Limits, &Numbers, bool),
        ticket: u64,
        ask: impl FnOnce(&State, &mut Context<'a, '_, Limits>) -> Decision<'a, State>,
    ) -> Decision<'a, State> {
        let secret = &SECRET;
        let setting = Setting { now, limits, secret, ticket, numbers, room: Demand::Growth, store_lags };
        let mut handed = Handed::default();
        ask(state, &mut Context::new(setting, &NoTargets, &mut handed))
    }

    /// Decides a command step by step. The last outcome is returned, without what it borrows.
    pub fn decide(&mut self, ticket: u64, command: &Command) -> Result<Option<Reply>, Refusal> {
        let (limits, numbers) = (self.limits, Numbers::new(self.numbers.next()));
        let with = (self.now, &limits, &numbers, self.store_lags);
        let mut decision =
            Self::step(&self.state, with, ticket, |state, context| state.decide(command, context));
        loop {
            let facts: Vec<(Record, Vec<u8>)> =
                decision.facts.iter().map(|fact| (fact.record.clone(), fact.tail.to_vec())).collect();
            let group: usize = facts.iter().map(|(_, tail)| tail.len() + 100).sum();
            assert!(group <= 4 << 20, "a group of {group} bytes");
            let outcome = decision.outcome;
            if !facts.is_empty() {
                self.numbers.skip_to(numbers.next());
            }
            facts.iter().for_each(|(record, tail)| self.record(record, tail));
            match outcome {
                Outcome::Reply(reply) => return reply.map(Some),
                Outcome::Wait(waiter) => {
                    self.wait(waiter);
                    return Ok(None);
                }
                Outcome::Again { step, .. } => {
                    decision = Self::step(&self.state, with, ticket, |state, context| {
                        state.decide_again(command, step, context)
                    });
                }
                other => panic!("{other:?}"),
            }
        }
    }

    fn wait(&mut self, waiter: Waiter) {
        self.state.wait(waiter);
        self.settle();
    }

    pub fn prepare(&self, request: Request) -> Result<(Command, Plan), Refusal> {
        let (account, region) = (self.account.clone(), "us-east-1".to_owned());
        let caller = Caller { principal: account.clone(), account, region, signed: true };
        operations::prepare(request, &Asker { caller: &caller, base: "http://localhost", trace: None })
    }

    /// Asks as a client does.
    pub fn ask(&mut self, request: Request) -> Result<Response, Refusal> {
        let (command, plan) = self.prepare(request)?;
        let reply = self.decide(7, &command)?.expect("it does not wait");
        let gathered = match &reply {
            Reply::Reading(reading) => Some(self.gather(reading)),
            _ => None,
        };
        Ok(operations::present(reply, &plan, &gathered.as_ref()).unwrap())
    }

    /// Reads as the server does.
    pub fn gather(&self, reading: &Reading) -> Gathered {
        let mut gathered = Gathered::new(reading);
        if let Some(from) = reading.page {
            let kept = self.store.get(&reading.series).map_or(&[][..], Vec::as_slice);
            let counts = |kept: &&Kept| match from {
                From::Sequence(sequence) => kept.0 >= sequence,
                From::Time(time) => kept.1 >= time,
            };
            for (_, _, head, tail) in kept.iter().filter(counts) {
                gathered.take(reading, head, tail).unwrap();
            }
        }
        for extent in reading.needs() {
            let (_, head, tail) = self.log.iter().find(|(at, ..)| *at == extent).unwrap();
            gathered.take(reading, head, tail).unwrap();
        }
        gathered.finish(reading);
        gathered
    }

    /// Does all that is due.
    pub fn settle(&mut self) {
        self.state.advance(self.now, &mut usize::MAX.clone());
        loop {
            let (limits, numbers) = (self.limits, Numbers::new(self.numbers.next()));
            let (secret, room) = (&SECRET, Demand::Growth);
            let setting = Setting {
                now: self.now,
                limits: &limits,
                secret,
                ticket: 0,
                numbers: &numbers,
                room,
                store_lags: false,
            };
            let is_behind = self.state.is_behind(&setting);
            let Some(mut due) =
                (0..State::CHORES.len()).find_map(|chore| self.state.take_due(chore, &setting))
            else {
                return;
            };
            assert!(is_behind, "{due:?}");
            self.follow(&mut due, &setting);
        }
    }

    fn follow(&mut self, due: &mut Due, setting: &Setting<'_, Limits>) {
        let mut handed = Handed::default();
        let decision = self.state.consequence(due, &mut Context::new(*setting, &NoTargets, &mut handed));
        let facts: Vec<Record> = decision.facts.into_iter().map(|fact| fact.record).collect();
        if let (Outcome::Reply(Ok(reply)), Some(ticket)) = (decision.outcome, decision.ticket) {
            self.answers.insert(ticket, reply);
        }
        let orders = decision.orders;
        facts.iter().for_each(|record| self.record(record, &[]));
        for (_, order) in orders {
            match order {
                Order::Keep(keep) => {
                    let through = keep.records.last().map(|last| last.sequence);
                    for owed in keep.records {
                        let (_, head, tail) = self.log.iter().find(|(at, ..)| *at == owed.extent).unwrap();
                        let kept = self.store.entry(keep.series).or_default();
                        if kept.last().is_none_or(|last| last.0 < owed.sequence) {
                            kept.push((owed.sequence, owed.time, Bytes::copy_from_slice(head), tail.clone()));
                        }
                    }
                    self.state.kept(keep.series, through, &mut self.ledger);
                }
                Order::Rule(series, Rule::Delete) => drop(self.store.remove(&series)),
                Order::Rule(..) => {}
                Order::Read(_) => panic!("streams are read by the server's threads"),
            }
        }
    }

    /// Starts again: the state is what the log and the store say. With `moved`, segments that nothing holds are gone.
    pub fn restart(&mut self, moved: bool) {
        let dead = |world: &World| {
            let dead = world.ledger.segments().find(|(_, used)| used.is_dead(world.now));
            dead.map(|(segment, _)| segment).filter(|_| moved)
        };
        while let Some(dead) = dead(self) {
            self.ledger.dropped(dead);
            self.log.retain(|(at, ..)| at.place.segment() != dead);
        }
        self.state = State::default();
        self.ledger = Ledger::default();
        self.state.replaying(self.now);
        let read: Vec<(Extent, Record)> =
            self.log.iter().map(|(at, head, _)| (*at, Record::decode(head).unwrap())).collect();
        let (first, then): (Vec<_>, Vec<_>) = read.into_iter().partition(|(_, it)| it.is_configuration());
        for (at, record) in first {
            self.ledger.open(at.place.segment());
            self.state.apply(&record, at, &mut self.ledger);
        }
        let mut all = Vec::new();
        self.state.each_series(&mut |series| all.push(series));
        for series in all {
            let last = self.store.get(&series).and_then(|kept| kept.last()).map(|last| last.0);
            self.state.kept(series, last, &mut self.ledger);
        }
        for (at, record) in then {
            self.ledger.open(at.place.segment());
            self.state.apply(&record, at, &mut self.ledger);
        }
        self.state.replayed(self.numbers.next(), &mut self.ledger);
    }

    /// What passes its retention leaves the store.
    pub fn drop_before(&mut self, time: Time) {
        self.store.values_mut().for_each(|kept| kept.retain(|(_, at, ..)| *at >= time));
    }

    pub fn series_count(&self) -> usize {
        self.store.len()
    }

    // What clients ask.

    pub fn create(&mut self, name: &str, shards: i32) {
        let input =
            CreateStreamInput { stream_name: text(name), shard_count: Some(shards), ..Default::default() };
        self.ask(Request::CreateStream(input)).unwrap();
    }

    pub fn shards(&mut self, name: &str) -> Vec<Shard> {
        let input = ListShardsInput { stream_name: text(name), ..Default::default() };
        let Ok(Response::ListShards(output)) = self.ask(Request::ListShards(input)) else {
            panic!("no list")
        };
        output.shards.unwrap()
    }

    pub fn put(&mut self, name: &str, records: &[(&str, &[u8])]) -> Result<PutRecordsOutput, Refusal> {
        let entry = |&(key, data): &(&str, &[u8])| PutRecordsRequestEntry {
            data: Some(Bytes::copy_from_slice(data)),
            partition_key: text(key),
            explicit_hash_key: None,
        };
        let records = Some(records.iter().map(entry).collect());
        let input = PutRecordsInput { stream_name: text(name), records, ..Default::default() };
        match self.ask(Request::PutRecords(input))? {
            Response::PutRecords(output) => Ok(output),
            other => panic!("{other:?}"),
        }
    }

    pub fn iterator(&mut self, name: &str, shard: &str, kind: &str) -> String {
        self.iterator_at(name, shard, kind, None, None).unwrap()
    }

    pub fn iterator_at(
        &mut self,
        name: &str,
        shard: &str,
        kind: &str,
        number: Option<&str>,
        time: Option<Time>,
    ) -> Result<String, Refusal> {
        let input = GetShardIteratorInput {
            stream_name: text(name),
            shard_id: text(shard),
            shard_iterator_type: text(kind),
            starting_sequence_number: number.map(Into::into),
            timestamp: time.map(|time| Timestamp(time.signed_millis())),
            ..Default::default()
        };
        match self.ask(Request::GetShardIterator(input))? {
            Response::GetShardIterator(output) => Ok(output.shard_iterator.unwrap().to_string()),
            other => panic!("{other:?}"),
        }
    }

    pub fn get(&mut self, iterator: &str, limit: Option<i32>) -> Result<GetRecordsOutput, Refusal> {
        let input = GetRecordsInput { shard_iterator: text(iterator), limit, ..Default::default() };
        match self.ask(Request::GetRecords(input))? {
            Response::GetRecords(output) => Ok(output),
            other => panic!("{other:?}"),
        }
    }

    /// Reads a shard from an iterator until there is nothing more: the data, and the last answer.
    pub fn read_from(&mut self, iterator: &str, limit: i32) -> (Vec<Vec<u8>>, GetRecordsOutput) {
        let (mut iterator, mut all) = (iterator.to_owned(), Vec::new());
        for _ in 0..10_000 {
            let got = self.get(&iterator, Some(limit)).unwrap();
            all.extend(got.records.iter().flatten().map(|record| record.data.clone().unwrap().to_vec()));
            match &got.next_shard_iterator {
                Some(next) if got.millis_behind_latest != Some(0) => iterator = next.to_string(),
                _ => return (all, got),
            }
        }
        panic!("a shard without an end");
    }

    /// All that a shard has.
    pub fn read(&mut self, name: &str, shard: &str) -> Vec<Vec<u8>> {
        let iterator = self.iterator(name, shard, "TRIM_HORIZON");
        self.read_from(&iterator, 3).0
    }
}
