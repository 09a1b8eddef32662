//! The data of a flow: where it is and what it works on. They lie in the tail of the flow's last record, and are in memory only while the
//! flow goes on.

use kernel::Time;
use kernel::codec::{Malformed, Reader, put_list, put_opt_str, put_str, put_u64};
use serde_json::Value;
use states_language::{Failure, Variables};

/// How far a flow has come in its state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    /// It is about to enter it.
    Enters,
    /// It has entered it, and is about to try it again.
    TriesAgain,
    /// It waits until a moment.
    Waits,
    /// Its task is under way.
    Tasks,
    /// Other flows run for it.
    Branches,
}

const PHASES: [Phase; 5] = [Phase::Enters, Phase::TriesAgain, Phase::Waits, Phase::Tasks, Phase::Branches];

/// The item of a Map state that a flow runs for.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Item {
    pub(crate) index: u32,
    pub(crate) value: Value,
}

/// The data of a flow.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Data {
    /// The name of its state.
    pub(crate) state: String,
    pub(crate) phase: Phase,
    /// The state's input.
    pub(crate) input: Value,
    pub(crate) variables: Variables,
    /// How often each retrier of the state has tried again.
    pub(crate) retries: Vec<u64>,
    /// The event with which the state was entered.
    pub(crate) entered: u32,
    /// When.
    pub(crate) entered_at: Time,
    /// The item for which the flow runs, of the innermost Map state around it.
    pub(crate) item: Option<Item>,
    /// The items of its Map state, or the input of the branches of its Parallel state.
    pub(crate) branches: Option<Value>,
    /// The Map or Parallel state for which the flow runs.
    pub(crate) runs_for: Option<String>,
    /// What is waited for, as events call it: the type of the resource, and the resource.
    pub(crate) task: Option<(String, String)>,
    /// The parameters of a task that asks a server elsewhere.
    pub(crate) asks: Option<Value>,
}

impl Data {
    /// The data of a flow that begins.
    pub(crate) fn new(state: &str, input: Value, variables: Variables, item: Option<Item>) -> Self {
        Data {
            state: state.to_owned(),
            phase: Phase::Enters,
            input,
            variables,
            retries: Vec::new(),
            entered: 0,
            entered_at: Time(0),
            item,
            branches: None,
            runs_for: None,
            task: None,
            asks: None,
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let out_mut = &mut out;
        put_str(out_mut, &self.state);
        out_mut.push(self.phase as u8);
        put_str(out_mut, &self.input.to_string());
        put_u64(out_mut, self.variables.len() as u64);
        for (name, value) in &self.variables {
            put_str(out_mut, name);
            put_str(out_mut, &value.to_string());
        }
        put_list(out_mut, &self.retries, |out, &count| put_u64(out, count));
        put_u64(out_mut, self.entered.into());
        put_u64(out_mut, self.entered_at.0);
        match &self.item {
            None => out_mut.push(0),
            Some(item) => {
                out_mut.push(1);
                put_u64(out_mut, item.index.into());
                put_str(out_mut, &item.value.to_string());
            }
        }
        put_opt_str(out_mut, self.branches.as_ref().map(Value::to_string).as_deref());
        put_opt_str(out_mut, self.runs_for.as_deref());
        put_opt_str(out_mut, self.task.as_ref().map(|task| &*task.0));
        put_opt_str(out_mut, self.task.as_ref().map(|task| &*task.1));
        // Data that older versions have written end here, and so do those of most flows.
        if let Some(asks) = &self.asks {
            put_str(out_mut, &asks.to_string());
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let reader = &mut reader;
        let state = reader.str()?.to_owned();
        let phase = *PHASES.get(usize::from(reader.u8()?)).ok_or(Malformed)?;
        let input = json(reader.str()?)?;
        let mut variables = Variables::new();
        for _ in 0..reader.u64()? {
            variables.insert(reader.str()?.to_owned(), json(reader.str()?)?);
        }
        let retries = reader.list(Reader::u64)?;
        let (entered, entered_at) = (reader.u32()?, Time(reader.u64()?));
        let item = match reader.u8()? {
            0 => None,
            _ => Some(Item { index: reader.u32()?, value: json(reader.str()?)? }),
        };
        let branches = reader.opt_str()?.map(json).transpose()?;
        let runs_for = reader.opt_str()?.map(str::to_owned);
        let task = (reader.opt_str()?.map(str::to_owned), reader.opt_str()?.map(str::to_owned));
        let task = task.0.zip(task.1);
        let asks = if reader.rest().is_empty() { None } else { Some(json(reader.str()?)?) };
        Ok(Data {
            state,
            phase,
            input,
            variables,
            retries,
            entered,
            entered_at,
            item,
            branches,
            runs_for,
            task,
            asks,
        })
    }

    /// The flow begins its state again after its execution is redriven: what was under way is not, and retries count anew (developer
    /// guide, "Retry behavior of redriven executions").
    pub(crate) fn start_again(&mut self) {
        self.retries.clear();
        if matches!(self.phase, Phase::Waits | Phase::Tasks) {
            self.phase = Phase::TriesAgain;
            (self.task, self.asks) = (None, None);
        }
    }

    /// What was under way for the state is over.
    pub(crate) fn forget_task(&mut self) {
        (self.branches, self.task, self.asks) = (None, None, None);
    }

    /// The input of the data, for those who show it.
    pub(crate) fn input_of(bytes: &[u8]) -> Result<String, Malformed> {
        let mut reader = Reader::new(bytes);
        reader.str()?;
        reader.u8()?;
        Ok(reader.str()?.to_owned())
    }
}

/// A failure, as data.
pub(crate) fn encode_failure(failure: &Failure) -> Vec<u8> {
    let mut out = Vec::new();
    put_opt_str(&mut out, failure.error.as_deref());
    put_opt_str(&mut out, failure.cause.as_deref());
    out
}

/// Reads what [`encode_failure`] wrote. Data may follow.
pub(crate) fn decode_failure(bytes: &[u8]) -> Result<Failure, Malformed> {
    split_failure(bytes).map(|(failure, _)| failure)
}

/// The failure, and the data of the flow that has failed, if they follow.
pub(crate) fn split_failure(bytes: &[u8]) -> Result<(Failure, &[u8]), Malformed> {
    let mut reader = Reader::new(bytes);
    let text = |reader: &mut Reader<'_>| Ok(reader.opt_str()?.map(str::to_owned));
    let failure = Failure { error: text(&mut reader)?, cause: text(&mut reader)?, location: None };
    Ok((failure, reader.rest()))
}

/// Reads a text of JSON that was written here.
pub(crate) fn json(text: &str) -> Result<Value, Malformed> {
    serde_json::from_str(text).map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn data_read_back_as_they_were_written() {
        let mut data = Data::new("Ä", json!({"z": 1, "a": [null, 1.5]}), Variables::new(), None);
        assert_eq!(Data::decode(&data.encode()), Ok(data.clone()));
        data.phase = Phase::Branches;
        data.variables.insert("v".to_owned(), json!("text"));
        data.retries = vec![0, 3];
        data.item = Some(Item { index: 7, value: json!({"b": 1, "a": 2}) });
        data.branches = Some(json!([1, 2]));
        data.runs_for = Some("M".to_owned());
        data.task = Some(("sqs".to_owned(), "sendMessage".to_owned()));
        let bytes = data.encode();
        assert_eq!(Data::decode(&bytes).as_ref(), Ok(&data));
        assert_eq!(Data::input_of(&bytes), Ok(r#"{"z":1,"a":[null,1.5]}"#.to_owned()));
        for cut in 0..bytes.len() {
            assert!(Data::decode(&bytes[..cut]).is_err());
        }
        data.asks = Some(json!({"Method": "GET"}));
        assert_eq!(Data::decode(&data.encode()).as_ref(), Ok(&data));
        data.asks = None;
        let failure = Failure { error: Some("E".to_owned()), cause: None, location: None };
        let both = [encode_failure(&failure), bytes.clone()].concat();
        assert_eq!(split_failure(&both), Ok((failure.clone(), &*bytes)));
        assert_eq!(decode_failure(&both), Ok(failure));
    }
}
