//! Streams of the whole server over disks that lose what was not synced: whatever is split and merged and whenever the power goes, a reader
//! that follows the shards gets each acknowledged record once, and those of a key in their order.

use std::collections::{BTreeMap, BTreeSet};

use api::kinesis::{
    CreateStreamInput, GetRecordsInput, GetShardIteratorInput, ListShardsInput, MergeShardsInput,
    PutRecordsInput, PutRecordsRequestEntry, Request, Response, Shard, SplitShardInput,
};
use kernel::{Asker, Caller};
use kinesis::operations::{self, Plan, Reply};
use kinesis::reading::{Gathered, Reading};
use machine::{Answer, Command, Input, Options};
use simulator::dice::Dice;
use simulator::test_server::TestServer;

struct Story {
    server: TestServer,
    dice: Dice,
    /// Requests that are not answered, and the records that they put.
    open: BTreeMap<u64, Vec<String>>,
    tickets: u64,
    acknowledged: BTreeSet<String>,
    put: u32,
    reader: Follower,
}

/// Reads shards behind their parents, as KCL does.
#[derive(Default)]
struct Follower {
    at: BTreeMap<String, String>,
    ended: BTreeSet<String>,
    got: Vec<String>,
    numbers: BTreeSet<String>,
}

fn text(text: &str) -> Option<api::Text> {
    Some(text.to_owned().into())
}

fn prepare(request: Request) -> (operations::Command, Plan) {
    let account = || "000000000000".to_owned();
    let caller =
        Caller { account: account(), region: "us-east-1".into(), principal: account(), signed: true };
    let asker = Asker { caller: &caller, base: "http://localhost:4566", trace: None };
    operations::prepare(request, &asker).unwrap()
}

impl Story {
    fn new(seed: u64) -> Story {
        let mut story = Story {
            server: TestServer::new(seed, 16 << 10, Options::default()),
            dice: Dice::from_seed(seed),
            open: BTreeMap::new(),
            tickets: 1,
            acknowledged: BTreeSet::new(),
            put: 0,
            reader: Follower::default(),
        };
        let input = CreateStreamInput { stream_name: text("s"), shard_count: Some(2), ..Default::default() };
        story.ask(Request::CreateStream(input));
        story
    }

    /// Asks, and waits until the answer is durable.
    fn ask(&mut self, request: Request) -> Response {
        let (command, plan) = prepare(request);
        self.tickets += 1;
        let ticket = self.tickets;
        self.server.handle(Input::Request { ticket, command: Command::Kinesis(command) });
        for _ in 0..1000 {
            let answers = self.server.flush();
            let mut own = None;
            for (number, answer) in answers {
                if number == ticket {
                    own = Some(answer);
                } else {
                    self.answered(number, answer);
                }
            }
            if let Some(answer) = own {
                let machine::Reply::Kinesis(reply) = answer.unwrap() else {
                    panic!("another service answers")
                };
                let gathered = match &reply {
                    Reply::Reading(reading) => Some(self.gather(reading)),
                    _ => None,
                };
                return operations::present(reply, &plan, &gathered.as_ref()).unwrap();
            }
            self.server.write();
            self.server.sync();
        }
        panic!("no answer");
    }

    fn answered(&mut self, ticket: u64, answer: Answer) {
        let Some(records) = self.open.remove(&ticket) else { return };
        let Ok(machine::Reply::Kinesis(Reply::Put(puts, _))) = answer else { panic!("{answer:?}") };
        assert!(puts.iter().all(|put| matches!(put, operations::Put::Taken(_))));
        self.acknowledged.extend(records);
    }

    /// Reads as the server does.
    fn gather(&self, reading: &Reading) -> Gathered {
        let mut gathered = Gathered::new(reading);
        if let Some(from) = reading.page {
            let limits = kernel::retained::Limits { records: 10_000, bytes: 10 << 20 };
            let page = self.server.server.store.forwards(reading.series, from, limits).unwrap();
            assert!(page.damage.is_empty() && page.next.is_none());
            for record in page.records {
                gathered.take(reading, &record.head, &record.tail).unwrap();
            }
        }
        for record in self.server.server.reader.read_many(&reading.needs()) {
            let record = record.expect("nothing has moved since the decision");
            gathered.take(reading, &record.head, &record.tail).unwrap();
        }
        gathered.finish(reading);
        gathered
    }

    fn put(&mut self) {
        let records: Vec<String> = (0..(1 + self.dice.below(19)))
            .map(|_| {
                self.put += 1;
                format!("k{}:{}", self.dice.below(12), self.put)
            })
            .collect();
        let filler = "x".repeat(self.dice.below(600) as usize);
        let entry = |record: &String| PutRecordsRequestEntry {
            data: Some(format!("{record}:{filler}").into()),
            partition_key: record.split_once(':').and_then(|(key, _)| text(key)),
            explicit_hash_key: None,
        };
        let entries = Some(records.iter().map(entry).collect());
        let input = PutRecordsInput { stream_name: text("s"), records: entries, ..Default::default() };
        let command = Command::Kinesis(prepare(Request::PutRecords(input)).0);
        self.tickets += 1;
        self.open.insert(self.tickets, records);
        self.server.handle(Input::Request { ticket: self.tickets, command });
    }

    fn shards(&mut self) -> Vec<Shard> {
        let input = ListShardsInput { stream_name: text("s"), ..Default::default() };
        let Response::ListShards(output) = self.ask(Request::ListShards(input)) else { panic!("no list") };
        output.shards.unwrap()
    }

    /// The open shards by their hash keys: id, first and last key.
    fn open_shards(&mut self) -> Vec<(String, u128, u128)> {
        let is_open =
            |shard: &Shard| shard.sequence_number_range.as_ref().unwrap().ending_sequence_number.is_none();
        let mut open: Vec<(String, u128, u128)> = self
            .shards()
            .into_iter()
            .filter(is_open)
            .map(|shard| {
                let range = shard.hash_key_range.unwrap();
                let hash = |text: Option<api::Text>| text.unwrap().parse().unwrap();
                (
                    shard.shard_id.unwrap().to_string(),
                    hash(range.starting_hash_key),
                    hash(range.ending_hash_key),
                )
            })
            .collect();
        open.sort_unstable_by_key(|&(_, start, _)| start);
        open
    }

    fn reshard(&mut self) {
        let open = self.open_shards();
        let at = self.dice.below(open.len() as u64) as usize;
        let (id, start, end) = &open[at];
        if self.dice.below(2) == 0 && open.len() < 6 {
            let middle = start + (end - start) / 2 + 1;
            self.ask(Request::SplitShard(SplitShardInput {
                stream_name: text("s"),
                shard_to_split: text(id),
                new_starting_hash_key: text(&middle.to_string()),
                ..Default::default()
            }));
        } else if let Some((next, ..)) = open.get(at + 1) {
            self.ask(Request::MergeShards(MergeShardsInput {
                stream_name: text("s"),
                shard_to_merge: text(id),
                adjacent_shard_to_merge: text(next),
                ..Default::default()
            }));
        }
    }

    /// Reads a little of each shard that may be read. Returns whether there was something.
    fn read(&mut self) -> bool {
        let mut has_read = false;
        for shard in self.shards() {
            let id = shard.shard_id.unwrap().to_string();
            let mut parents = [&shard.parent_shard_id, &shard.adjacent_parent_shard_id].into_iter().flatten();
            if self.reader.ended.contains(&id) || !parents.all(|it| self.reader.ended.contains(&**it)) {
                continue;
            }
            let number = self.reader.at.get(&id).cloned();
            let kind = if number.is_some() { "AFTER_SEQUENCE_NUMBER" } else { "TRIM_HORIZON" };
            let input = GetShardIteratorInput {
                stream_name: text("s"),
                shard_id: text(&id),
                shard_iterator_type: text(kind),
                starting_sequence_number: number.map(Into::into),
                ..Default::default()
            };
            let Response::GetShardIterator(output) = self.ask(Request::GetShardIterator(input)) else {
                panic!("no iterator")
            };
            let limit = Some((1 + self.dice.below(29)) as i32);
            let input =
                GetRecordsInput { shard_iterator: output.shard_iterator, limit, ..Default::default() };
            let Response::GetRecords(output) = self.ask(Request::GetRecords(input)) else {
                panic!("no records")
            };
            for record in output.records.unwrap() {
                has_read = true;
                let number = record.sequence_number.unwrap().to_string();
                assert!(self.reader.numbers.insert(number.clone()), "{number} is there twice");
                self.reader.at.insert(id.clone(), number);
                let data = String::from_utf8(record.data.unwrap().to_vec()).unwrap();
                let mut parts = data.split(':');
                let record = format!("{}:{}", parts.next().unwrap(), parts.next().unwrap());
                self.reader.got.push(record);
            }
            if output.next_shard_iterator.is_none() {
                has_read = true;
                self.reader.ended.insert(id);
            }
        }
        has_read
    }

    fn step(&mut self) {
        match self.dice.below(16) {
            0..=5 => self.put(),
            6 => drop(self.server.write()),
            7 => self.server.sync(),
            8 => drop(self.server.server.keep().unwrap()),
            9 => drop(self.server.server.sync_store(self.server.now).unwrap()),
            10 => drop(self.read()),
            11 => self.reshard(),
            12 => {
                self.server.now = self.server.now + self.dice.below(20_000);
                self.server.pass_time();
            }
            13 | 14 => {
                for (ticket, answer) in self.server.flush() {
                    self.answered(ticket, answer);
                }
            }
            _ => {
                self.open.clear();
                if self.dice.below(2) == 0 {
                    self.server.crash()
                } else {
                    self.server.crash_without_settling()
                }
            }
        }
    }

    fn end(mut self) {
        self.open.clear();
        self.server.crash();
        while self.read() {}
        let got: BTreeSet<String> = self.reader.got.iter().cloned().collect();
        assert_eq!(got.len(), self.reader.got.len(), "a record is there twice");
        let lost: Vec<&String> = self.acknowledged.difference(&got).collect();
        assert!(lost.is_empty(), "{lost:?}");
        let mut by_key: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
        for record in &self.reader.got {
            let (key, number) = record.split_once(':').unwrap();
            by_key.entry(key).or_default().push(number.parse().unwrap());
        }
        assert!(by_key.values().all(|numbers| numbers.is_sorted()), "{by_key:?}");
    }
}

#[test]
fn each_acknowledged_record_is_read_once_and_in_order_across_reshards_and_crashes() {
    for seed in 0..20 {
        let mut story = Story::new(seed);
        for _ in 0..150 {
            story.step();
        }
        story.end();
    }
}
