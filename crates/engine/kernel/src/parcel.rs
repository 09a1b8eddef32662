//! One payload for several takers at once: things of this server that keep it, and endpoints outside.
//!
//! A payload is one record of the log, whoever gets it: all of its takers have it, or none has, and it is stored once. The
//! services that its takers belong to apply the same record, each its own part.

use std::borrow::Cow;

use crate::Time;
use crate::codec::{Malformed, Reader, put_list, put_near, put_str, put_u64};

/// The kind of its record in the log.
pub const PARCEL_SENT: u8 = 128;

/// The kind of a record that names some of a parcel's takers, and carries its payload for them. It counts only if a
/// [`ParcelClosed`] of the same number is in the log, too.
pub const PARCEL_PART: u8 = 130;

/// The kind of the record that makes a parcel's parts count.
pub const PARCEL_CLOSED: u8 = 131;

/// Whether a record of this head is a parcel or a part of one.
pub fn is_parcel(head: &[u8]) -> bool {
    matches!(head.first(), Some(&(PARCEL_SENT | PARCEL_PART)))
}

/// Appends the head with which a record of the log is kept in the store for retained data: its own, but for a parcel's takers, of
/// which each has its copy elsewhere.
pub fn put_kept_head(head: &[u8], out: &mut Vec<u8>) {
    match ParcelSent::decode_label(head) {
        Ok(parcel) if is_parcel(head) => parcel.handed_on().encode(out),
        _ => out.extend_from_slice(head),
    }
}

/// All parts of a parcel are in the log, before this record: all of its takers have it. It is read before all that flows, so
/// that a part is known to count when it is read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParcelClosed {
    /// The parcel's number.
    pub number: u64,
    /// The segments in which its parts lie: as long as one of them exists, this fact must be kept.
    pub segments: Vec<u32>,
}

impl ParcelClosed {
    /// Appends its bytes, the kind before them.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(PARCEL_CLOSED);
        put_u64(out, self.number);
        put_list(out, &self.segments, |out, &segment| put_u64(out, segment.into()));
    }

    /// Reads what [`ParcelClosed::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != PARCEL_CLOSED {
            return Err(Malformed);
        }
        let closed = ParcelClosed { number: reader.u64()?, segments: reader.list(Reader::u32)? };
        if reader.is_empty() { Ok(closed) } else { Err(Malformed) }
    }
}

/// A payload was handed to its takers; or it lies here now, because its segment was given up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParcelSent<'a> {
    /// The number of what was published: its message id is made of it.
    pub number: u64,
    /// The number of the thing that it comes from.
    pub source: u64,
    /// When it was published.
    pub at: Time,
    /// Its `MessageGroupId`.
    pub group: Option<Cow<'a, str>>,
    /// What later messages are compared with, by the source or by its takers.
    pub deduplication_id: Option<Cow<'a, str>>,
    /// Copies that things of this server keep.
    pub copies: Vec<StoredCopy>,
    /// Deliveries that leave the building.
    pub deliveries: Vec<Delivery>,
    /// Deliveries that end with this parcel, since it is the dead letter of each.
    pub ends: Vec<Ended>,
    /// How its payload is to be read, if there are several ways: a number of the source's making.
    pub style: u8,
    /// How long it is to be kept for replays after `at`, in milliseconds; zero: not at all.
    pub archived_millis: u64,
    /// How the source compares deduplication ids; absent if it does not, or if this is no new message.
    pub deduplicates: Option<Deduplicates>,
    /// It was written before, in a segment that has been given up: nothing new has happened.
    pub forwarded: bool,
}

/// Among which messages deduplication ids are compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Deduplicates {
    /// All of the thing that compares them.
    All,
    /// Those of the same group.
    InGroup,
}

/// A copy that a thing of this server keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StoredCopy {
    /// The number of the thing that has it. No two things have the same number.
    pub holder: u64,
    /// Its number there.
    pub seq: u64,
    /// The number that its message id is made of: `seq`, unless another thing had it before. It names this copy in the
    /// record.
    pub origin: u64,
    /// In which form it is read.
    pub form: Form,
    /// How its holder compares deduplication ids; absent if it does not.
    pub deduplicates: Option<Deduplicates>,
    /// It stays hidden for so long.
    pub delay_seconds: u32,
    /// When its holder took it, after the parcel's `at`, in milliseconds.
    pub sent_after: u64,
    /// The parcel's group is not this copy's.
    pub without_group: bool,
}

/// A delivery that leaves the server.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Delivery {
    /// Its number: it names this delivery for ever.
    pub number: u64,
    /// In which form, and for which recipient.
    pub form: Form,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is to be tried next, after the parcel's `at`, in milliseconds.
    pub due_after: u64,
    /// How far it has come, if it is done in steps: a number of the source's making.
    pub progress: u64,
}

/// A delivery that ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ended {
    /// Its number.
    pub number: u64,
    /// The segment that holds its payload.
    pub segment: u32,
}

/// In which form a taker gets the payload.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Form {
    /// The number of what says that the taker gets it, whose ARN stands in envelopes; zero: nothing.
    pub recipient: u64,
    /// Whether it gets what was published as it is, without an envelope.
    pub raw: bool,
    /// By which of the source's protocols it was to be delivered, if there are several texts: a number of the source's making.
    pub protocol: u8,
    /// Whether it is a replay of what was published before.
    pub replayed: bool,
}

const GROUP: u8 = 1;
const DEDUPLICATION_ID: u8 = 2;
const DEDUPLICATES: u8 = 4;
const IN_GROUP: u8 = 8;
const FORWARDED: u8 = 16;
const ARCHIVED: u8 = 32;
const STYLE: u8 = 64;
/// Holders, recipients and deliveries stand as differences. Logs from before have their numbers whole.
const NEAR: u8 = 128;

/// The bit of `IN_GROUP` in a parcel whose source compares no deduplication ids, where it had no meaning: an index of its copies
/// follows. Logs from before have it on no such parcel.
const INDEXED: u8 = IN_GROUP;

/// Copies of a large parcel between two entries of its index.
const BLOCK: usize = 64;

/// Bytes of the number of entries, behind the index.
const COUNT_BYTES: usize = 4;

/// An entry of the index of a large parcel's copies: where every 64th stands, and the numbers that it is written as a
/// difference to. The index stands at the end, in numbers of one length, so that it can be searched from there.
struct Block {
    /// From the beginning of the record.
    offset: u64,
    before: Neighbour,
}

impl Block {
    const BYTES: usize = 4 * 8;

    fn encode(&self, out: &mut Vec<u8>) {
        for number in [self.offset, self.before.holder, self.before.recipient, self.before.number] {
            out.extend_from_slice(&number.to_le_bytes());
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let number = |at: usize| {
            let number = bytes.get(8 * at..8 * at + 8).and_then(|bytes| bytes.try_into().ok());
            number.map(u64::from_le_bytes).ok_or(Malformed)
        };
        let before = Neighbour { holder: number(1)?, recipient: number(2)?, number: number(3)? };
        Ok(Block { offset: number(0)?, before })
    }

    /// The block in which the copy of this number stands, if any does, and which it is.
    fn holding(record: &[u8], origin: u64) -> Result<(usize, Self), Malformed> {
        let (rest, count) = record.split_last_chunk::<COUNT_BYTES>().ok_or(Malformed)?;
        let count = u32::from_le_bytes(*count) as usize;
        let index = count.checked_mul(Block::BYTES).and_then(|bytes| rest.len().checked_sub(bytes));
        let index = rest.get(index.ok_or(Malformed)?..).ok_or(Malformed)?;
        // A block begins behind the number that the copy before it has.
        let (mut low, mut high) = (0, count);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            let block = Block::decode(index.get(middle * Block::BYTES..).ok_or(Malformed)?)?;
            if block.before.number < origin { low = middle } else { high = middle }
        }
        Ok((low, Block::decode(index.get(low * Block::BYTES..).ok_or(Malformed)?)?))
    }
}

/// The numbers that the next taker's are written as differences to, since neighbours are mostly alike.
#[derive(Clone, Copy)]
struct Neighbour {
    holder: u64,
    recipient: u64,
    number: u64,
}

impl<'a> ParcelSent<'a> {
    /// A parcel without takers.
    pub fn new(number: u64, source: u64, at: Time) -> Self {
        ParcelSent {
            number,
            source,
            at,
            group: None,
            deduplication_id: None,
            copies: Vec::new(),
            deliveries: Vec::new(),
            ends: Vec::new(),
            style: 0,
            archived_millis: 0,
            deduplicates: None,
            forwarded: false,
        }
    }

    /// Appends its bytes, the kind before them.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.encode_as(PARCEL_SENT, out);
    }

    /// Appends its bytes as those of a part.
    pub fn encode_part(&self, out: &mut Vec<u8>) {
        self.encode_as(PARCEL_PART, out);
    }

    fn encode_as(&self, kind: u8, out: &mut Vec<u8>) {
        let start = out.len();
        let indexed = self.copies.len() > BLOCK && self.is_sorted();
        let mut flags = NEAR;
        flags |= if indexed && self.deduplicates.is_none() { INDEXED } else { 0 };
        flags |= if self.group.is_some() { GROUP } else { 0 };
        flags |= if self.deduplication_id.is_some() { DEDUPLICATION_ID } else { 0 };
        flags |= deduplicates_bits(self.deduplicates, DEDUPLICATES, IN_GROUP);
        flags |= if self.forwarded { FORWARDED } else { 0 };
        flags |= if self.archived_millis > 0 { ARCHIVED } else { 0 };
        flags |= if self.style > 0 { STYLE } else { 0 };
        out.push(kind);
        out.push(flags);
        put_u64(out, self.number);
        put_u64(out, self.source);
        put_u64(out, self.at.0);
        if self.style > 0 {
            out.push(self.style);
        }
        if self.archived_millis > 0 {
            put_u64(out, self.archived_millis);
        }
        for text in [&self.group, &self.deduplication_id].into_iter().flatten() {
            put_str(out, text);
        }
        let mut before = self.neighbour();
        let mut blocks = Vec::new();
        put_u64(out, self.copies.len() as u64);
        for (at, copy) in self.copies.iter().enumerate() {
            if at % BLOCK == 0 {
                blocks.push(Block { offset: (out.len() - start) as u64, before });
            }
            copy.encode(out, &mut before);
        }
        put_list(out, &self.deliveries, |out, delivery| delivery.encode(out, &mut before));
        put_list(out, &self.ends, |out, ended| {
            put_u64(out, ended.number);
            put_u64(out, ended.segment.into());
        });
        if flags & (INDEXED | DEDUPLICATES) == INDEXED {
            blocks.iter().for_each(|block| block.encode(out));
            out.extend_from_slice(&(blocks.len() as u32).to_le_bytes());
        }
    }

    /// Whether a copy can be found by its number without looking at all: they stand in its order, as they do in what was
    /// just published.
    fn is_sorted(&self) -> bool {
        self.copies.is_sorted_by_key(|copy| copy.origin)
            && self.copies.iter().all(|copy| copy.origin == copy.seq)
    }

    /// Reads what [`ParcelSent::encode`] or [`ParcelSent::encode_part`] wrote.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (mut parcel, mut reader, flags) = ParcelSent::label(bytes)?;
        let near = flags & NEAR != 0;
        let mut before = parcel.neighbour();
        parcel.copies = reader.list(|reader| StoredCopy::decode(reader, near, &mut before))?;
        parcel.deliveries = reader.list(|reader| Delivery::decode(reader, near, &mut before))?;
        parcel.ends = reader.list(|reader| Ok(Ended { number: reader.u64()?, segment: reader.u32()? }))?;
        if flags & (INDEXED | DEDUPLICATES) == INDEXED {
            let index = parcel.copies.len().div_ceil(BLOCK) * Block::BYTES + COUNT_BYTES;
            reader.take(index)?;
        }
        if reader.is_empty() { Ok(parcel) } else { Err(Malformed) }
    }

    /// Reads what it says of the parcel as a whole: without copies, deliveries and ends, however many there are.
    pub fn decode_label(bytes: &'a [u8]) -> Result<Self, Malformed> {
        Ok(ParcelSent::label(bytes)?.0)
    }

    /// Reads what it says of the parcel as a whole, and of the one copy whose id is made of `origin`. Of a large parcel only
    /// a few copies are looked at.
    pub fn decode_copy(bytes: &'a [u8], origin: u64) -> Result<(Self, StoredCopy), Malformed> {
        let (parcel, copy, _) = ParcelSent::find_copy(bytes, origin)?;
        Ok((parcel, copy))
    }

    /// The same, and how many copies were looked at.
    fn find_copy(bytes: &'a [u8], origin: u64) -> Result<(Self, StoredCopy, usize), Malformed> {
        let (parcel, mut reader, flags) = ParcelSent::label(bytes)?;
        let mut count = usize::try_from(reader.u64()?).map_err(|_| Malformed)?;
        let mut before = parcel.neighbour();
        if flags & (INDEXED | DEDUPLICATES) == INDEXED {
            let (number, block) = Block::holding(bytes, origin)?;
            let offset = usize::try_from(block.offset).map_err(|_| Malformed)?;
            reader = Reader::new(bytes.get(offset..).ok_or(Malformed)?);
            before = block.before;
            count = count.saturating_sub(number.saturating_mul(BLOCK)).min(BLOCK);
        }
        for looked_at in 1..=count {
            let copy = StoredCopy::decode(&mut reader, flags & NEAR != 0, &mut before)?;
            if copy.origin == origin {
                return Ok((parcel, copy, looked_at));
            }
        }
        Err(Malformed)
    }

    /// The parcel as a whole, what follows it, and the flags.
    fn label(bytes: &'a [u8]) -> Result<(Self, Reader<'a>, u8), Malformed> {
        let mut reader = Reader::new(bytes);
        if !matches!(reader.u8()?, PARCEL_SENT | PARCEL_PART) {
            return Err(Malformed);
        }
        let flags = reader.u8()?;
        let parcel = ParcelSent {
            number: reader.u64()?,
            source: reader.u64()?,
            at: Time(reader.u64()?),
            style: if flags & STYLE != 0 { reader.u8()? } else { 0 },
            archived_millis: if flags & ARCHIVED != 0 { reader.u64()? } else { 0 },
            group: if flags & GROUP != 0 { Some(reader.str()?.into()) } else { None },
            deduplication_id: if flags & DEDUPLICATION_ID != 0 { Some(reader.str()?.into()) } else { None },
            copies: Vec::new(),
            deliveries: Vec::new(),
            ends: Vec::new(),
            deduplicates: deduplicates_of(flags, DEDUPLICATES, IN_GROUP),
            forwarded: flags & FORWARDED != 0,
        };
        Ok((parcel, reader, flags))
    }

    /// The parcel in parts of at most so many takers each: what it says besides is in the first alone.
    pub fn in_parts(&self, takers: usize) -> Vec<ParcelSent<'_>> {
        let copies = self.copies.chunks(takers).map(|copies| (copies, &[][..]));
        let deliveries = self.deliveries.chunks(takers).map(|deliveries| (&[][..], deliveries));
        let part = |(at, (copies, deliveries)): (usize, (&[StoredCopy], &[Delivery]))| ParcelSent {
            number: self.number,
            source: self.source,
            at: self.at,
            group: self.group.as_deref().map(Cow::Borrowed),
            deduplication_id: self.deduplication_id.as_deref().map(Cow::Borrowed),
            copies: copies.to_vec(),
            deliveries: deliveries.to_vec(),
            ends: if at == 0 { self.ends.clone() } else { Vec::new() },
            style: self.style,
            archived_millis: if at == 0 { self.archived_millis } else { 0 },
            deduplicates: self.deduplicates.filter(|_| at == 0),
            forwarded: self.forwarded,
        };
        copies.chain(deliveries).enumerate().map(part).collect()
    }

    /// The parcel without its takers, as one that is written again: nothing new has happened.
    pub fn forwarded(&self) -> ParcelSent<'a> {
        ParcelSent {
            number: self.number,
            source: self.source,
            at: self.at,
            group: self.group.clone(),
            deduplication_id: self.deduplication_id.clone(),
            copies: Vec::new(),
            deliveries: Vec::new(),
            ends: Vec::new(),
            style: self.style,
            archived_millis: 0,
            deduplicates: self.deduplicates,
            forwarded: true,
        }
    }

    /// The parcel without its takers, as one whose payload is handed on to others.
    pub fn handed_on(self) -> ParcelSent<'a> {
        ParcelSent {
            copies: Vec::new(),
            deliveries: Vec::new(),
            ends: Vec::new(),
            archived_millis: 0,
            deduplicates: None,
            forwarded: false,
            ..self
        }
    }

    /// Whether anybody needs what it carries.
    pub fn is_needed(&self) -> bool {
        !self.copies.is_empty() || !self.deliveries.is_empty() || self.archived_millis > 0
    }

    /// What the first taker's numbers are written as differences to: all are drawn from one counter, the source's before
    /// its takers' as a rule, and the message's just before its copies'.
    fn neighbour(&self) -> Neighbour {
        Neighbour { holder: self.source, recipient: self.source, number: self.number }
    }

    /// The copy that a message was read from, by the number that its id is made of.
    pub fn copy(&self, origin: u64) -> Option<&StoredCopy> {
        self.copies.iter().find(|copy| copy.origin == origin)
    }

    /// The `MessageGroupId` of one of the copies.
    pub fn group_of(&self, copy: &StoredCopy) -> Option<&str> {
        self.group.as_deref().filter(|_| !copy.without_group)
    }

    /// The delivery of this number.
    pub fn delivery(&self, number: u64) -> Option<&Delivery> {
        self.deliveries.iter().find(|delivery| delivery.number == number)
    }
}

impl Delivery {
    /// The protocol of a delivery that the source itself carries out, by handing the payload on in steps. Nothing leaves the server.
    pub const BY_SOURCE: u8 = u8::MAX;

    /// The protocol of a delivery to an archive: the log owes the payload to the store for retained data. Nothing leaves the server. The
    /// recipient is the number of the archive's series, and the delivery's number that of the record there.
    pub const TO_ARCHIVE: u8 = u8::MAX - 1;

    /// Whether an archive keeps the payload.
    pub fn is_to_archive(&self) -> bool {
        self.form.protocol == Delivery::TO_ARCHIVE
    }

    /// Whether nothing leaves the server.
    pub fn is_inside(&self) -> bool {
        self.is_to_archive() || self.is_by_source()
    }

    /// Whether the source itself carries it out.
    pub fn is_by_source(&self) -> bool {
        self.form.protocol == Delivery::BY_SOURCE
    }
}

const RAW: u8 = 1;
const REPLAYED: u8 = 2;
const MOVED: u8 = 4;
const DELAY: u8 = 8;
const COPY_DEDUPLICATES: u8 = 16;
const COPY_IN_GROUP: u8 = 32;
/// The same bit where the copy's holder compares no deduplication ids: that it is set there means that the copy has no group.
/// Older logs never have it there, and older readers pass it over.
const WITHOUT_GROUP: u8 = COPY_IN_GROUP;
const SENT_AFTER: u8 = 64;
const TEXT: u8 = 128;

impl StoredCopy {
    fn encode(&self, out: &mut Vec<u8>, before: &mut Neighbour) {
        let mut flags = self.form.bits();
        flags |= if self.origin != self.seq { MOVED } else { 0 };
        flags |= if self.delay_seconds > 0 { DELAY } else { 0 };
        flags |= deduplicates_bits(self.deduplicates, COPY_DEDUPLICATES, COPY_IN_GROUP);
        flags |= if self.without_group && self.deduplicates.is_none() { WITHOUT_GROUP } else { 0 };
        flags |= if self.sent_after > 0 { SENT_AFTER } else { 0 };
        out.push(flags);
        put_near(out, self.holder, &mut before.holder);
        put_near(out, self.seq, &mut before.number);
        self.form.encode(out, before);
        if self.origin != self.seq {
            put_u64(out, self.origin);
        }
        if self.delay_seconds > 0 {
            put_u64(out, self.delay_seconds.into());
        }
        if self.sent_after > 0 {
            put_u64(out, self.sent_after);
        }
    }

    fn decode(reader: &mut Reader<'_>, near: bool, before: &mut Neighbour) -> Result<Self, Malformed> {
        let flags = reader.u8()?;
        let holder = number(reader, near, &mut before.holder)?;
        let seq = reader.near(&mut before.number)?;
        Ok(StoredCopy {
            holder,
            seq,
            form: Form::decode(flags, reader, near, before)?,
            origin: if flags & MOVED != 0 { reader.u64()? } else { seq },
            delay_seconds: if flags & DELAY != 0 { reader.u32()? } else { 0 },
            sent_after: if flags & SENT_AFTER != 0 { reader.u64()? } else { 0 },
            deduplicates: deduplicates_of(flags, COPY_DEDUPLICATES, COPY_IN_GROUP),
            without_group: flags & (COPY_DEDUPLICATES | WITHOUT_GROUP) == WITHOUT_GROUP,
        })
    }
}

const TRIED: u8 = 4;
const PROGRESS: u8 = 8;

impl Delivery {
    fn encode(&self, out: &mut Vec<u8>, before: &mut Neighbour) {
        let tried = self.attempts > 0 || self.due_after > 0;
        let mut flags = self.form.bits();
        flags |= if tried { TRIED } else { 0 };
        flags |= if self.progress > 0 { PROGRESS } else { 0 };
        out.push(flags);
        put_near(out, self.number, &mut before.number);
        self.form.encode(out, before);
        if tried {
            put_u64(out, self.attempts.into());
            put_u64(out, self.due_after);
        }
        if self.progress > 0 {
            put_u64(out, self.progress);
        }
    }

    fn decode(reader: &mut Reader<'_>, near: bool, before: &mut Neighbour) -> Result<Self, Malformed> {
        let flags = reader.u8()?;
        let number = number(reader, near, &mut before.number)?;
        let form = Form::decode(flags, reader, near, before)?;
        let (attempts, due_after) = if flags & TRIED != 0 { (reader.u32()?, reader.u64()?) } else { (0, 0) };
        let progress = if flags & PROGRESS != 0 { reader.u64()? } else { 0 };
        Ok(Delivery { number, form, attempts, due_after, progress })
    }
}

impl Form {
    fn bits(&self) -> u8 {
        (u8::from(self.raw) * RAW)
            | (u8::from(self.replayed) * REPLAYED)
            | if self.protocol > 0 { TEXT } else { 0 }
    }

    fn encode(&self, out: &mut Vec<u8>, before: &mut Neighbour) {
        put_near(out, self.recipient, &mut before.recipient);
        if self.protocol > 0 {
            out.push(self.protocol);
        }
    }

    fn decode(
        flags: u8,
        reader: &mut Reader<'_>,
        near: bool,
        before: &mut Neighbour,
    ) -> Result<Self, Malformed> {
        Ok(Form {
            raw: flags & RAW != 0,
            replayed: flags & REPLAYED != 0,
            recipient: number(reader, near, &mut before.recipient)?,
            protocol: if flags & TEXT != 0 { reader.u8()? } else { 0 },
        })
    }
}

fn number(reader: &mut Reader<'_>, near: bool, before: &mut u64) -> Result<u64, Malformed> {
    if near { reader.near(before) } else { reader.u64() }
}

fn deduplicates_bits(deduplicates: Option<Deduplicates>, any: u8, in_group: u8) -> u8 {
    match deduplicates {
        None => 0,
        Some(Deduplicates::All) => any,
        Some(Deduplicates::InGroup) => any | in_group,
    }
}

fn deduplicates_of(flags: u8, any: u8, in_group: u8) -> Option<Deduplicates> {
    match (flags & any != 0, flags & in_group != 0) {
        (false, _) => None,
        (true, false) => Some(Deduplicates::All),
        (true, true) => Some(Deduplicates::InGroup),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parcel_reads_back_as_it_was_written() {
        let form = Form { recipient: 9, raw: true, protocol: 0, replayed: false };
        let copy = StoredCopy {
            holder: 3,
            seq: 101,
            origin: 101,
            form,
            deduplicates: Some(Deduplicates::InGroup),
            delay_seconds: 0,
            sent_after: 0,
            without_group: false,
        };
        let parcel = ParcelSent {
            number: 100,
            source: 7,
            at: Time(1_700_000_000_000),
            group: Some("g".into()),
            deduplication_id: Some("d".into()),
            copies: vec![
                copy,
                StoredCopy {
                    seq: 50,
                    origin: 40,
                    form: Form { protocol: 3, raw: false, replayed: true, ..form },
                    delay_seconds: 5,
                    sent_after: 8,
                    deduplicates: None,
                    without_group: true,
                    ..copy
                },
            ],
            deliveries: vec![
                Delivery { number: 103, form, ..Delivery::default() },
                Delivery { number: 104, form, attempts: 2, due_after: 40_000, progress: 9 },
            ],
            ends: vec![Ended { number: 4, segment: 5 }],
            style: 1,
            archived_millis: 86_400_000,
            deduplicates: Some(Deduplicates::All),
            forwarded: true,
        };
        let mut bytes = Vec::new();
        parcel.encode(&mut bytes);
        assert_eq!(ParcelSent::decode(&bytes).as_ref(), Ok(&parcel));
        for cut in 0..bytes.len() {
            assert!(ParcelSent::decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        let parts = parcel.in_parts(1);
        assert_eq!(parts.len(), 4);
        let mut whole = ParcelSent { copies: Vec::new(), deliveries: Vec::new(), ..parts[0].clone() };
        for part in &parts {
            let mut bytes = Vec::new();
            part.encode_part(&mut bytes);
            assert!(is_parcel(&bytes));
            assert_eq!(ParcelSent::decode(&bytes).as_ref(), Ok(part));
            whole.copies.extend(&part.copies);
            whole.deliveries.extend(&part.deliveries);
        }
        assert_eq!(whole, parcel);
    }

    #[test]
    fn a_closed_parcel_reads_back_as_it_was_written() {
        let closed = ParcelClosed { number: 1 << 40, segments: vec![3, 400] };
        let mut bytes = Vec::new();
        closed.encode(&mut bytes);
        assert_eq!(ParcelClosed::decode(&bytes), Ok(closed));
        for cut in 0..bytes.len() {
            assert!(ParcelClosed::decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
    }

    /// What was published to so many takers.
    fn wide(count: u64) -> ParcelSent<'static> {
        let copy = |at| StoredCopy {
            holder: 1_000_000 + 2 * at,
            seq: 9_000_000_001 + at,
            origin: 9_000_000_001 + at,
            form: Form { recipient: 1_000_001 + 2 * at, raw: true, protocol: 0, replayed: false },
            deduplicates: None,
            delay_seconds: 0,
            sent_after: 0,
            without_group: false,
        };
        ParcelSent {
            number: 9_000_000_000,
            source: 999_999,
            at: Time(1_700_000_000_000),
            group: None,
            deduplication_id: None,
            copies: (0..count).map(copy).collect(),
            deliveries: Vec::new(),
            ends: Vec::new(),
            style: 0,
            archived_millis: 0,
            deduplicates: None,
            forwarded: false,
        }
    }

    #[test]
    fn a_copy_for_each_of_many_holders_is_four_bytes() {
        let copies = |count: u64| {
            let (mut bytes, parcel) = (Vec::new(), wide(count));
            parcel.encode(&mut bytes);
            assert_eq!(ParcelSent::decode(&bytes), Ok(parcel));
            bytes.len()
        };
        assert_eq!(copies(11), copies(1) + 40);
        // The index of a large parcel takes half a byte more.
        assert!(copies(10_001) - copies(1) < 50_000);
    }

    #[test]
    fn one_copy_of_many_is_found_without_a_look_at_the_others() {
        let cases = [1, 64, 65, 128, 10_000].map(wide);
        let last = wide(10_000);
        // One that was written again: its copies have moved, and it has no index.
        let mut moved = wide(200);
        moved.copies.iter_mut().for_each(|copy| copy.seq += 1000);
        moved.forwarded = true;
        // One whose source compares deduplication ids has none, either: it has a hundred takers at the most.
        let fifo = ParcelSent { deduplicates: Some(Deduplicates::InGroup), ..wide(100) };
        for parcel in cases.into_iter().chain([moved, fifo]) {
            let mut bytes = Vec::new();
            parcel.encode(&mut bytes);
            assert_eq!(ParcelSent::decode(&bytes).as_ref(), Ok(&parcel));
            let empty = ParcelSent { copies: Vec::new(), ..parcel.clone() };
            assert_eq!(ParcelSent::decode_label(&bytes).as_ref(), Ok(&empty));
            for copy in &parcel.copies {
                let (label, found, looked_at) = ParcelSent::find_copy(&bytes, copy.origin).unwrap();
                assert_eq!((&label, &found), (&empty, copy));
                assert!(looked_at <= 64 || parcel.forwarded || parcel.deduplicates.is_some(), "{looked_at}");
            }
            for stranger in [0, parcel.number, parcel.copies.last().unwrap().origin + 1] {
                assert!(ParcelSent::decode_copy(&bytes, stranger).is_err());
            }
        }
        // What is cut or damaged is refused, and nothing panics.
        let mut bytes = Vec::new();
        last.encode(&mut bytes);
        for cut in (0..bytes.len()).step_by(997).chain(bytes.len() - 400..bytes.len()) {
            assert!(ParcelSent::decode(&bytes[..cut]).is_err(), "cut at {cut}");
            let _ = ParcelSent::decode_copy(&bytes[..cut], 9_000_005_000);
        }
    }

    #[test]
    fn a_parcel_from_before_differences_is_read_as_it_was_meant() {
        // One copy in thing 300 with number 21, for recipient 400; one delivery with number 500, for recipient 401.
        let bytes = [PARCEL_SENT, 0, 20, 7, 9, 1, RAW, 0xac, 2, 2, 0x90, 3, 1, 0, 0xf4, 3, 0x91, 3, 0];
        let parcel = ParcelSent::decode(&bytes).unwrap();
        assert_eq!((parcel.number, parcel.source, parcel.at), (20, 7, Time(9)));
        let copy = parcel.copies[0];
        assert_eq!((copy.holder, copy.seq, copy.form.recipient), (300, 21, 400));
        let delivery = parcel.deliveries[0];
        assert_eq!((delivery.number, delivery.form.recipient), (500, 401));
    }
}
