//! Sends requests whose answers services want, and reports these.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use delivery::{NotFetched, Patience};
use kernel::request::{Answer, Rate, Request};
use machine::{Event, Input};
use tokio::time::Instant;

use crate::deliverer::{FOR_EVER, Tools};
use crate::engine::{Handle, Message};
use crate::packing::http_request;

/// How long a task waits for an answer (facts/stepfunctions.md § 3).
const TASK_TIME: Duration = Duration::from_secs(60);

/// Limits of which so many are remembered before those are forgotten that count no longer.
const TURNS: usize = 1024;

/// Who wants an answer.
#[derive(Clone, Copy, Debug)]
pub enum Asker {
    /// A batch of a pipe.
    Pipe(pipes::BatchId),
    /// A task of an execution.
    Task(stepfunctions::steps::Task),
}

impl Asker {
    /// Reports what came of a request.
    pub fn report(self, engine: &Handle, answer: Answer) {
        let event = match self {
            Asker::Pipe(batch) => Event::Pipes(pipes::Event::Answered(batch, answer)),
            Asker::Task(task) => Event::Stepfunctions(stepfunctions::Event::Answered(task, answer)),
        };
        engine.put(Message::Input(Input::Event(event)));
    }

    fn patience(self) -> Patience {
        match self {
            Asker::Pipe(_) => Patience { bytes: pipes::limits::ANSWER_BYTES, time: None },
            Asker::Task(_) => Patience { bytes: stepfunctions::limits::ANSWER_BYTES, time: Some(TASK_TIME) },
        }
    }
}

/// When the next request may be sent, by the limit that it shares with others.
#[derive(Debug, Default)]
pub struct Turns(Mutex<HashMap<u64, Instant>>);

impl Turns {
    /// Returns when a request may be sent, and lets the others wait.
    fn take(&self, rate: Rate, now: Instant) -> Instant {
        // Nothing that can panic runs under this lock.
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if turns.len() >= TURNS {
            turns.retain(|_, next| *next > now);
        }
        // As many as are allowed in a second may be sent at once, as for rules.
        let earliest = now.checked_sub(Duration::from_secs(1)).unwrap_or(now);
        let next = turns.entry(rate.key).or_insert(earliest);
        *next = (*next).max(earliest) + Duration::from_secs(1) / rate.per_second.max(1);
        (*next).max(now)
    }
}

/// Sends a request. Its answer is always reported, even if this panics: its service counts it as under way.
pub async fn ask(tools: Arc<Tools>, turns: Arc<Turns>, asker: Asker, request: Request) {
    let engine = tools.engine.clone();
    let answer = tokio::spawn(async move {
        let patience = asker.patience();
        if let Some(rate) = request.rate {
            tokio::time::sleep_until(turns.take(rate, Instant::now())).await;
        }
        // Memory for the request and the answer, and for what the service makes of it.
        let _room = tools.budget.take(request.body.len() + 2 * patience.bytes, FOR_EVER).await;
        match tools.carrier.fetch(&http_request(String::new(), request), patience).await {
            Ok(answer) => answered(answer),
            Err(NotFetched::TooLong(most)) => Answer::TooLong(most),
            Err(NotFetched::Failed(reason)) => Answer::None(reason),
        }
    });
    let answer = answer.await.unwrap_or_else(|_| Answer::None("the request failed in the server".into()));
    asker.report(&engine, answer);
}

fn answered(answer: http::Response<Bytes>) -> Answer {
    let (head, body) = answer.into_parts();
    let header = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    Answer::Answered {
        status: head.status.as_u16(),
        reason: head.status.canonical_reason().unwrap_or_default().to_owned(),
        headers: head.headers.iter().map(header).collect(),
        body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_that_share_a_limit_take_turns() {
        let (turns, now) = (Turns::default(), Instant::now() + Duration::from_secs(10));
        let rate = Rate { key: 1, per_second: 2 };
        let waits: Vec<u128> =
            (0..5).map(|_| turns.take(rate, now).duration_since(now).as_millis()).collect();
        assert_eq!(waits, [0, 0, 500, 1000, 1500]);
        assert_eq!(turns.take(Rate { key: 2, per_second: 300 }, now).duration_since(now).as_millis(), 0);
        for key in 3..3000 {
            turns.take(Rate { key, per_second: 300 }, now + Duration::from_secs(u64::from(key as u32)));
        }
        assert!(turns.0.lock().unwrap().len() <= TURNS);
    }
}
