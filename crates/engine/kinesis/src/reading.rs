//! How records are read: a decision picks where they lie, and threads that hold nobody up read them.
//!
//! What the store for retained data has is a beginning of a shard's series, and what the log still owes to it is the rest. So a reading has
//! a page of the store, then places in the log, or one of them. Whoever carries it out hands the chunks in their order to
//! [`Gathered::take`]; it stops when the reading has enough.

use bytes::{Bytes, BytesMut};
use kernel::codec::Malformed;
use kernel::retained::From;
use kernel::{Extent, Seq, Series, Time};

use crate::chunk::{Entry, take_entry};
use crate::records::{RecordsPut, ShardDeclared, StreamDeclared};
use crate::rules::hash_keys::HashRange;
use crate::rules::iterator::Position;
use crate::state::{State, records_of_tag};
use crate::{StreamKey, limits};

/// A shard that came of another one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Child {
    /// Its number in the stream.
    pub number: u32,
    /// The numbers of the shards that it came of.
    pub parents: Vec<u32>,
    /// Its hash keys.
    pub range: HashRange,
}

/// What is to be read of a shard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reading {
    /// The stream.
    pub stream: StreamKey,
    /// Its number.
    pub id: u64,
    /// The shard's number in the stream.
    pub shard: u32,
    /// The shard's series.
    pub series: Series,
    /// From where.
    pub position: Position,
    /// Where to begin in the store; absent if it has nothing of it.
    pub page: Option<From>,
    /// Chunks of the log that follow, with the numbers of their last records.
    pub extents: Vec<(Extent, u64)>,
    /// Whether nothing follows them.
    pub is_whole: bool,
    /// Records at the most.
    pub most: usize,
    /// Bytes at the most, unless it is one record.
    pub bytes: usize,
    /// What arrived before has passed its retention.
    pub oldest: Time,
    /// The moment of the decision.
    pub now: Time,
    /// The number of the shard's newest record at that moment.
    pub last: u64,
    /// The shards that came of this one, if it is closed.
    pub children: Option<Vec<Child>>,
}

impl State {
    /// What to read of a shard.
    pub(crate) fn reading(
        &self,
        (stream, shard): (&StreamDeclared, &ShardDeclared),
        position: Position,
        most: usize,
        now: Time,
    ) -> Reading {
        let oldest = stream.horizon(now);
        let owed = self.owed.owed(shard.series());
        let stored = owed.and_then(collections::Owed::stored).map(|stored| stored.0);
        let page = match (position, stored) {
            (Position::Number(0), Some(_)) => Some(From::Time(oldest)),
            (Position::Number(number), Some(stored)) if number <= stored => Some(From::Sequence(number)),
            (Position::Time(time), Some(_)) => Some(From::Time(time.max(oldest))),
            _ => None,
        };
        let from = match position {
            Position::Number(number) => number.max(stored.map_or(0, |stored| stored + 1)),
            Position::Time(_) => 0,
        };
        let is_early = |sent: Time| sent < oldest || matches!(position, Position::Time(time) if sent < time);
        let (mut extents, mut records, mut bytes) = (Vec::new(), 0usize, 0usize);
        let mut is_whole = true;
        let entries = owed.into_iter().flat_map(|owed| owed.iter_from(Seq(from)));
        for entry in entries.skip_while(|entry| is_early(entry.sent)) {
            let (count, is_part) = records_of_tag(entry.tag);
            bytes += entry.extent.len as usize;
            // A record in parts is read whole if it comes first, or its reader would never come behind it.
            let is_first = extents.is_empty() || is_part && records == 0;
            if !is_first && (records >= most || bytes > limits::READ_BYTES) {
                is_whole = false;
                break;
            }
            records += if is_part { 0 } else { count };
            extents.push((entry.extent, entry.seq.0));
        }
        let children = shard.closed.map(|_| self.children(shard));
        Reading {
            stream: stream.key.clone(),
            id: stream.id,
            shard: shard.key.number,
            series: shard.series(),
            position,
            page,
            extents,
            is_whole,
            most,
            bytes: limits::READ_BYTES,
            oldest,
            now,
            last: self.last(shard),
            children,
        }
    }

    /// The shards that came of a closed one. They have higher numbers.
    fn children(&self, shard: &ShardDeclared) -> Vec<Child> {
        let later = self.shards_of(shard.key.stream, shard.key.number.saturating_add(1));
        let theirs = later.filter(|other| other.parents.contains(&shard.key.number));
        let child = |child: &ShardDeclared| Child {
            number: child.key.number,
            parents: child.parents.clone(),
            range: child.range,
        };
        // A split has two, a merge one.
        theirs.take(2).map(child).collect()
    }
}

impl Reading {
    /// Whether nothing needs to be read: the reader has everything.
    pub fn is_empty(&self) -> bool {
        self.page.is_none() && self.extents.is_empty()
    }

    /// The extents of the log that it needs.
    pub fn needs(&self) -> Vec<Extent> {
        self.extents.iter().map(|&(extent, _)| extent).collect()
    }
}

/// A record that was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Got {
    /// Its number.
    pub number: u64,
    /// When it arrived.
    pub at: Time,
    /// Whether the stream was encrypted then.
    pub is_encrypted: bool,
    /// Its partition key and data.
    pub entry: Entry,
}

/// What a reading has brought so far.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Gathered {
    /// The records, in their order.
    pub records: Vec<Got>,
    /// The number from which the next reading continues.
    pub next: u64,
    bytes: usize,
    is_full: bool,
    /// The parts of a record whose other parts follow, and the number of the first.
    parts: Option<(u64, u8, BytesMut)>,
    /// When the chunk arrived that was looked at last.
    seen: Option<Time>,
    /// Whether all that was looked at had passed its retention.
    is_stale: bool,
}

impl Gathered {
    /// Nothing yet.
    pub fn new(reading: &Reading) -> Self {
        let next = match reading.position {
            Position::Number(number) => number,
            Position::Time(_) => 0,
        };
        Gathered {
            records: Vec::new(),
            next,
            bytes: 0,
            is_full: false,
            parts: None,
            seen: None,
            is_stale: false,
        }
    }

    /// Whether it has what the reading wants.
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    /// Whether a record has begun of which parts are missing.
    pub fn is_cut(&self) -> bool {
        self.parts.is_some()
    }

    /// Whether the chunks that it was given have all passed their retention: better go on from the trim horizon.
    pub fn is_stale(&self) -> bool {
        self.is_stale && self.records.is_empty()
    }

    /// Takes the next chunk.
    ///
    /// Errors: it is none.
    pub fn take(&mut self, reading: &Reading, head: &[u8], tail: &Bytes) -> Result<(), Malformed> {
        let put = RecordsPut::of_head(head)?;
        if self.is_full || put.last() < self.next {
            return Ok(());
        }
        self.seen = Some(put.at);
        let is_early = matches!(reading.position, Position::Time(time) if put.at < time);
        self.is_stale = put.at < reading.oldest;
        if self.is_stale || is_early {
            self.parts = None;
            self.next = put.last() + 1;
            return Ok(());
        }
        match put.part {
            Some(_) => self.take_part(reading, &put, tail),
            None => {
                self.parts = None;
                self.take_records(reading, &put, tail.clone())
            }
        }
    }

    fn take_records(
        &mut self,
        reading: &Reading,
        put: &RecordsPut,
        mut tail: Bytes,
    ) -> Result<(), Malformed> {
        for number in put.first..=put.last() {
            let entry = take_entry(&mut tail)?;
            if number >= self.next {
                self.take_record(reading, put, number, entry);
            }
            if self.is_full {
                break;
            }
        }
        Ok(())
    }

    /// Takes a part of a record. Parts without the first belong to a record that was not asked for, or that a crash has cut off.
    fn take_part(&mut self, reading: &Reading, put: &RecordsPut, tail: &Bytes) -> Result<(), Malformed> {
        let Some(part) = put.part else { return Ok(()) };
        let (first, index, mut bytes) = match self.parts.take() {
            _ if part.index == 0 => (put.first, 0, BytesMut::new()),
            Some((first, index, bytes)) if part.index == index && put.first == first + u64::from(index) => {
                (first, index, bytes)
            }
            _ => {
                self.next = put.last() + 1;
                return Ok(());
            }
        };
        bytes.extend_from_slice(tail);
        if index + 1 < part.of {
            // Until it is whole, the next reading begins with it again.
            self.next = first;
            self.parts = Some((first, index + 1, bytes));
            return Ok(());
        }
        let mut whole = bytes.freeze();
        let entry = take_entry(&mut whole)?;
        self.take_record(reading, put, first, entry);
        if self.next == first + 1 {
            self.next = put.last() + 1;
        }
        Ok(())
    }

    fn take_record(&mut self, reading: &Reading, put: &RecordsPut, number: u64, entry: Entry) {
        let bytes = entry.data.len() + entry.partition_key.as_ref().map_or(0, Bytes::len);
        let has_room = self.bytes + bytes <= reading.bytes || self.records.is_empty();
        if self.records.len() >= reading.most || !has_room {
            self.is_full = true;
            self.next = number;
            return;
        }
        self.bytes += bytes;
        self.next = number + 1;
        self.records.push(Got { number, at: put.at, is_encrypted: put.is_encrypted, entry });
        self.is_full = self.records.len() >= reading.most;
    }

    /// A chunk cannot be read; those behind its last record follow.
    pub fn skip(&mut self, last: u64) {
        if !self.is_full {
            self.parts = None;
            self.next = self.next.max(last + 1);
        }
    }

    /// Everything that was to be read has been.
    pub fn finish(&mut self, reading: &Reading) {
        if reading.is_whole && !self.is_full {
            // What cannot be read is passed over, as is a record that a crash has cut off; what arrives from now on comes next.
            self.parts = None;
            self.next = self.next.max(reading.last + 1);
        }
    }

    /// Whether the reader now has everything that the shard had.
    pub fn is_at_end(&self, reading: &Reading) -> bool {
        self.next > reading.last
    }

    /// `MillisBehindLatest`. Clients stop at zero, so it is zero only at the end.
    pub fn millis_behind(&self, reading: &Reading) -> u64 {
        if self.is_at_end(reading) {
            return 0;
        }
        let at = self.records.last().map(|record| record.at).or(self.seen);
        at.map_or(1, |at| (reading.now - at).max(1))
    }
}
