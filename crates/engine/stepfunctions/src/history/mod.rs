//! The events of executions, as they are kept (facts/stepfunctions.md § 10, 18, 19).
//!
//! The events of one step lie one behind the other in the tail of its record. Their numbers are not written: the first is in the head. Nor
//! is their time, which is that of the step.

mod shown;

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
}

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
                self.bytes.push(field as u8 + 1);
                put_str(&mut self.bytes, value);
            }
        }
        self.bytes.push(0);
        self.count += 1;
        self.first + self.count - 1
    }

    /// The number of the next event.
    pub fn next(&self) -> u32 {
        self.first + self.count
    }
}

/// Reads the events of a record: `first` is the number of the first, and all are of this time.
pub fn read(bytes: &[u8], first: u32, time: Time) -> Result<Vec<Event>, Malformed> {
    let mut reader = Reader::new(bytes);
    let mut events = Vec::new();
    while !reader.is_empty() {
        let kind = *TYPES.get(usize::from(reader.u8()?)).ok_or(Malformed)?;
        let previous = reader.u32()?;
        let mut fields = Vec::new();
        while let Some(field) = reader.u8()?.checked_sub(1) {
            let field = *FIELDS.get(usize::from(field)).ok_or(Malformed)?;
            fields.push((field, reader.str()?.to_owned()));
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
}
