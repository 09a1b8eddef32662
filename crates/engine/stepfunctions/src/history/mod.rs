//! The events of executions, as they are kept (facts/stepfunctions.md § 10, 18, 19).
//!
//! The events of one step lie one behind the other in the tail of its record. Their numbers are not written: the first is in the head. Nor
//! is their time, which is that of the step.

mod shown;

use std::collections::VecDeque;
use std::ops::Range;

use kernel::Time;
use kernel::codec::{Malformed, Reader, put_str, put_u64};

/// Makes the types of events, in an order that the log keeps.
macro_rules! types {
    ($($variant:ident),* $(,)?) => {
        /// What happened.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[allow(missing_docs)] // They are AWS's names.
        pub enum Type {
            $($variant),*
        }

        const TYPES: &[Type] = &[$(Type::$variant),*];

        impl Type {
            /// The name that AWS has for it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Type::$variant => stringify!($variant)),*
                }
            }
        }
    };
}

// New ones come last: a log has their numbers.
types! {
    ExecutionStarted, ExecutionSucceeded, ExecutionFailed, ExecutionTimedOut, ExecutionAborted,
    PassStateEntered, PassStateExited, TaskStateEntered, TaskStateExited, TaskStateAborted,
    ChoiceStateEntered, ChoiceStateExited, WaitStateEntered, WaitStateExited, WaitStateAborted,
    SucceedStateEntered, SucceedStateExited, FailStateEntered,
    ParallelStateEntered, ParallelStateStarted, ParallelStateSucceeded, ParallelStateFailed, ParallelStateAborted,
    ParallelStateExited,
    MapStateEntered, MapStateStarted, MapStateSucceeded, MapStateFailed, MapStateAborted, MapStateExited,
    MapIterationStarted, MapIterationSucceeded, MapIterationFailed, MapIterationAborted,
    TaskScheduled, TaskStarted, TaskSubmitted, TaskSucceeded, TaskFailed, TaskTimedOut, TaskStartFailed,
    TaskSubmitFailed,
    ActivityScheduled, ActivityStarted, ActivitySucceeded, ActivityFailed, ActivityTimedOut,
    ActivityScheduleFailed,
    LambdaFunctionScheduled, LambdaFunctionStarted, LambdaFunctionSucceeded, LambdaFunctionFailed,
    LambdaFunctionTimedOut, LambdaFunctionScheduleFailed,
    EvaluationFailed,
    ExecutionRedriven,
}

/// What an event says. The numbers are those of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // They are AWS's names.
pub enum Field {
    Name,
    Input,
    Output,
    Resource,
    ResourceType,
    Region,
    Parameters,
    Error,
    Cause,
    Timeout,
    Heartbeat,
    Role,
    Location,
    State,
    Index,
    Length,
    Worker,
    /// A JSON object of the variables that were assigned.
    Assigned,
    Version,
    Alias,
    Credentials,
    RedriveCount,
}

const FIELDS: &[Field] = &[
    Field::Name,
    Field::Input,
    Field::Output,
    Field::Resource,
    Field::ResourceType,
    Field::Region,
    Field::Parameters,
    Field::Error,
    Field::Cause,
    Field::Timeout,
    Field::Heartbeat,
    Field::Role,
    Field::Location,
    Field::State,
    Field::Index,
    Field::Length,
    Field::Worker,
    Field::Assigned,
    Field::Version,
    Field::Alias,
    Field::Credentials,
    Field::RedriveCount,
];

/// An event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// Its number in the execution, from 1 on.
    pub id: u32,
    /// What it came from.
    pub previous: u32,
    /// When.
    pub time: Time,
    /// What happened.
    pub kind: Type,
    /// What it says.
    pub fields: Vec<(Field, String)>,
}

/// The events of one record, as they are written.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// The number of the first.
    pub first: u32,
    /// How many.
    pub count: u32,
    /// Their bytes.
    pub bytes: Vec<u8>,
    /// Bytes of what they say, each text counted whenever it is said.
    pub said: usize,
    /// Where the long texts are that were written last.
    long: VecDeque<Range<usize>>,
    /// The number of the first of those among all long texts of the record.
    first_long: u64,
}

/// A text that is at least so long is written once in a record. What says it again refers to it: an input that goes through ten states
/// unchanged would be written twenty times.
const LONG: usize = 32;
/// So many long texts are compared with the next one.
const COMPARED: usize = 4;
/// In a field's byte: its text is a long one of the same record, whose number follows.
const AGAIN: u8 = 0x80;

impl Written {
    /// Nothing yet; the first event will have this number.
    pub fn from(first: u32) -> Self {
        Written { first, ..Written::default() }
    }

    /// Adds an event. Returns its number.
    pub fn push<'f>(
        &mut self,
        kind: Type,
        previous: u32,
        fields: impl IntoIterator<Item = (Field, Option<&'f str>)>,
    ) -> u32 {
        self.bytes.push(kind as u8);
        put_u64(&mut self.bytes, previous.into());
        for (field, value) in fields {
            if let Some(value) = value {
                self.say(field as u8 + 1, value);
            }
        }
        self.bytes.push(0);
        self.count += 1;
        self.first + self.count - 1
    }

    fn say(&mut self, field: u8, value: &str) {
        self.said += value.len();
        if value.len() < LONG {
            self.bytes.push(field);
            return put_str(&mut self.bytes, value);
        }
        let same = |place: &Range<usize>| self.bytes.get(place.clone()) == Some(value.as_bytes());
        if let Some(at) = self.long.iter().rposition(same) {
            self.bytes.push(field | AGAIN);
            return put_u64(&mut self.bytes, self.first_long + at as u64);
        }
        self.bytes.push(field);
        put_str(&mut self.bytes, value);
        if self.long.len() == COMPARED {
            self.long.pop_front();
            self.first_long += 1;
        }
        self.long.push_back(self.bytes.len() - value.len()..self.bytes.len());
    }

    /// The number of the next event.
    pub fn next(&self) -> u32 {
        self.first + self.count
    }
}

/// Reads the events of a record: `first` is the number of the first, and all are of this time.
pub fn read(bytes: &[u8], first: u32, time: Time) -> Result<Vec<Event>, Malformed> {
    let mut reader = Reader::new(bytes);
    let (mut events, mut long) = (Vec::new(), Vec::new());
    while !reader.is_empty() {
        let kind = *TYPES.get(usize::from(reader.u8()?)).ok_or(Malformed)?;
        let previous = reader.u32()?;
        let mut fields = Vec::new();
        while let Some(field) = reader.u8()?.checked_sub(1) {
            let is_again = (field + 1) & AGAIN != 0;
            let field = usize::from((field + 1) & !AGAIN).checked_sub(1).ok_or(Malformed)?;
            let field = *FIELDS.get(field).ok_or(Malformed)?;
            let text = match is_again {
                true => *long.get(usize::try_from(reader.u64()?).map_err(|_| Malformed)?).ok_or(Malformed)?,
                false => reader.str()?,
            };
            if !is_again && text.len() >= LONG {
                long.push(text);
            }
            fields.push((field, text.to_owned()));
        }
        let id = first.checked_add(u32::try_from(events.len()).map_err(|_| Malformed)?).ok_or(Malformed)?;
        events.push(Event { id, previous, time, kind, fields });
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_read_back_as_they_were_written() {
        let mut written = Written::from(5);
        let types = TYPES.iter().enumerate();
        for (at, &kind) in types {
            let field = FIELDS[at % FIELDS.len()];
            let id = written.push(kind, at as u32, [(field, Some("x")), (Field::Error, None)]);
            assert_eq!(id as usize, 5 + at);
        }
        let read = read(&written.bytes, 5, Time(1)).unwrap();
        assert_eq!((read.len(), written.next() as usize), (TYPES.len(), TYPES.len() + 5));
        for (at, event) in read.iter().enumerate() {
            assert_eq!((event.id as usize, event.previous as usize, event.kind), (at + 5, at, TYPES[at]));
            assert_eq!(event.fields, [(FIELDS[at % FIELDS.len()], "x".to_owned())]);
            assert_eq!(TYPES[event.kind as usize], event.kind);
            assert_eq!(FIELDS[event.fields[0].0 as usize], event.fields[0].0);
        }
        assert!(super::read(&written.bytes[..written.bytes.len() - 1], 5, Time(1)).is_err());
    }

    #[test]
    fn a_long_text_is_written_once_and_read_each_time() {
        let texts: Vec<String> = (0..COMPARED + 2).map(|at| format!("{at}").repeat(LONG)).collect();
        let mut written = Written::from(1);
        // The first is too far back when it comes again; the others are found, whichever they are.
        let said: Vec<&str> =
            texts.iter().chain(texts.iter().rev()).chain([&texts[0]]).map(String::as_str).collect();
        for &text in &said {
            written.push(
                Type::PassStateEntered,
                0,
                [(Field::Input, Some(text)), (Field::Output, Some(text))],
            );
        }
        assert_eq!(written.said, 2 * said.iter().map(|text| text.len()).sum::<usize>());
        assert!(written.bytes.len() < 12 * LONG, "{}", written.bytes.len());
        let events = read(&written.bytes, 1, Time(1)).unwrap();
        let read: Vec<&str> =
            events.iter().flat_map(|event| &event.fields).map(|(_, text)| &**text).collect();
        assert_eq!(read, said.iter().flat_map(|&text| [text, text]).collect::<Vec<_>>());
        // A number that no text has.
        let mut bytes = written.bytes;
        bytes.truncate(bytes.len() - 2);
        bytes.extend([200, 0]);
        assert!(super::read(&bytes, 1, Time(1)).is_err());
    }
}
