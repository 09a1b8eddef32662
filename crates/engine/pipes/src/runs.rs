//! What pipes are doing at the moment: they wish for their sources, gather batches, have them read, and hand them on.
//!
//! None of this is in the log. After a restart every pipe begins anew, and its source still has what was not handed on.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use kernel::request::Answer;
use kernel::{Arn, Deadlines, Drawn, Extent, Stored, Time};

use crate::batch::{Asked, Batch, Execution, Gathered, Hand, Handed, Said, Who};
use crate::records::PipeState;
use crate::rules::pipe::Pipe;
use crate::{BatchId, limits};

/// What falls due.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Timer {
    /// A batch has waited for more for long enough.
    Window(u64),
    /// A pipe that paused goes on.
    Pause(u64),
    /// An execution has not ended, or nobody was told.
    Ask(BatchId),
}

/// What a pipe is about to get from its source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Nothing: it has not asked.
    Idle,
    /// It wishes for the source.
    Wishing,
    /// The source has something, or is being asked.
    Drawing,
}

/// What a pipe is doing.
#[derive(Debug)]
struct Runner {
    pipe: Arc<Pipe>,
    state: PipeState,
    phase: Phase,
    /// Messages that were drawn and wait for more.
    gathered: Vec<Drawn>,
    /// Until when they wait.
    window: Option<Time>,
    /// Batches that are under way.
    open: usize,
    /// Until when it draws nothing.
    pause: Option<Time>,
    /// Batches in a row of which nothing was handed on.
    failures: u32,
    /// Draws in a row that gave nothing.
    empty: u32,
}

/// What all pipes are doing.
#[derive(Debug, Default)]
pub struct Runs {
    runners: BTreeMap<u64, Runner>,
    /// Pipes by their sources.
    by_source: BTreeMap<String, BTreeSet<u64>>,
    batches: BTreeMap<BatchId, Batch>,
    next_batch: u64,
    wishes: VecDeque<Arn>,
    drawable: VecDeque<u64>,
    to_read: VecDeque<BatchId>,
    /// The same, of pipes that ask API destinations.
    to_read_and_ask: VecDeque<BatchId>,
    to_hand: VecDeque<BatchId>,
    /// Batches whose execution is to be started, by what is awaited of it; has ended; and has been read.
    to_start: VecDeque<BatchId>,
    awaited: BTreeMap<String, BatchId>,
    to_fetch: VecDeque<BatchId>,
    to_answer: VecDeque<BatchId>,
    loaded: usize,
    asking: usize,
    /// Pipes in a passing state whose batches are over.
    settled: BTreeSet<u64>,
    deadlines: Deadlines<Timer>,
    now: Time,
}

impl Runs {
    /// A pipe as it was read.
    pub(crate) fn pipe(&self, id: u64) -> Option<&Arc<Pipe>> {
        self.runners.get(&id).map(|runner| &runner.pipe)
    }

    /// A pipe is in this state now. What is under way ends as it was.
    pub(crate) fn set(&mut self, pipe: Arc<Pipe>, state: PipeState) {
        let id = pipe.id;
        self.by_source.entry(pipe.source.to_string()).or_default().insert(id);
        self.runners.entry(id).or_insert_with(|| Runner {
            pipe: pipe.clone(),
            state,
            phase: Phase::Idle,
            gathered: Vec::new(),
            window: None,
            open: 0,
            pause: None,
            failures: 0,
            empty: 0,
        });
        if state != PipeState::Running {
            self.close(id);
        }
        if let Some(runner) = self.runners.get_mut(&id) {
            (runner.pipe, runner.state) = (pipe, state);
        }
        self.settle(id);
        self.wish(id);
    }

    /// A pipe is gone, with all that is under way: its source has it still.
    pub(crate) fn remove(&mut self, id: u64) {
        let Some(runner) = self.runners.remove(&id) else { return };
        let source = runner.pipe.source.to_string();
        if let Some(theirs) = self.by_source.get_mut(&source) {
            theirs.remove(&id);
            if theirs.is_empty() {
                self.by_source.remove(&source);
            }
        }
        if let Some(window) = runner.window {
            self.deadlines.clear(window, Timer::Window(id));
        }
        if let Some(pause) = runner.pause {
            self.deadlines.clear(pause, Timer::Pause(id));
        }
        self.settled.remove(&id);
        let theirs = self.batches.iter().filter(|(_, batch)| batch.pipe.id == id).map(|(&batch, _)| batch);
        for batch in theirs.collect::<Vec<_>>() {
            self.forget(batch);
        }
    }

    /// The pipe wishes for its source, if it can take something.
    fn wish(&mut self, id: u64) {
        let Some(runner) = self.runners.get_mut(&id) else { return };
        let is_able = runner.state == PipeState::Running
            && runner.phase == Phase::Idle
            && runner.pause.is_none()
            && runner.open < limits::OPEN;
        if is_able {
            runner.phase = Phase::Wishing;
            self.wishes.push_back(runner.pipe.source.clone());
        }
    }

    /// The next source that a pipe wishes for.
    pub(crate) fn next_wish(&mut self) -> Option<Arn> {
        self.wishes.pop_front()
    }

    /// A source has something: each pipe that wished for it may draw.
    pub(crate) fn filled(&mut self, source: &Arn) {
        self.to_fetch.extend(self.awaited.remove(&source.to_string()));
        for id in self.by_source.get(&source.to_string()).into_iter().flatten() {
            if let Some(runner) = self.runners.get_mut(id).filter(|runner| runner.phase == Phase::Wishing) {
                runner.phase = Phase::Drawing;
                self.drawable.push_back(*id);
            }
        }
    }

    /// The next pipe that draws, and how many messages at the most.
    pub(crate) fn next_draw(&mut self) -> Option<(Arc<Pipe>, usize)> {
        while let Some(id) = self.drawable.pop_front() {
            let Some(runner) = self.runners.get_mut(&id).filter(|it| it.phase == Phase::Drawing) else {
                continue;
            };
            if runner.state != PipeState::Running || runner.pause.is_some() {
                runner.phase = Phase::Idle;
                continue;
            }
            let gathered = u32::try_from(runner.gathered.len()).unwrap_or(u32::MAX);
            let room = runner.pipe.definition.batch.saturating_sub(gathered);
            return Some((runner.pipe.clone(), room.clamp(1, limits::POLL) as usize));
        }
        None
    }

    /// What a pipe has drawn; none if there is no such source.
    pub(crate) fn drawn(&mut self, id: u64, drawn: Option<Vec<Drawn>>, now: Time) {
        self.now = self.now.max(now);
        let Some(runner) = self.runners.get_mut(&id) else { return };
        runner.phase = Phase::Idle;
        let messages = drawn.unwrap_or_default();
        if messages.is_empty() {
            runner.empty += 1;
            // Who has drawn before may have taken all; but a source that gives nothing again and again is not asked at once.
            if runner.empty > 1 {
                self.pause(id, limits::EMPTY_MILLIS);
            }
            return self.wish(id);
        }
        runner.empty = 0;
        runner.gathered.extend(messages);
        let window = runner.pipe.window_millis();
        if window == 0 || runner.gathered.len() >= runner.pipe.definition.batch as usize {
            self.close(id);
        } else if runner.window.is_none() {
            let ends = now + window;
            runner.window = Some(ends);
            self.deadlines.set(ends, Timer::Window(id));
        }
        self.wish(id);
    }

    /// What a pipe has gathered is a batch.
    fn close(&mut self, id: u64) {
        let Some(runner) = self.runners.get_mut(&id) else { return };
        if let Some(window) = runner.window.take() {
            self.deadlines.clear(window, Timer::Window(id));
        }
        if runner.gathered.is_empty() {
            return;
        }
        runner.open += 1;
        self.next_batch += 1;
        let batch = Batch {
            pipe: runner.pipe.clone(),
            unread: std::mem::take(&mut runner.gathered),
            reading: Vec::new(),
            read: VecDeque::new(),
            is_loaded: false,
            is_asking: false,
            blocked: Vec::new(),
            done: 0,
            failed: 0,
            gathered: Gathered::default(),
            asked: None,
        };
        let (id, asks) = (BatchId(self.next_batch), batch.pipe.asks_elsewhere());
        self.batches.insert(id, batch);
        self.reads_of(asks).push_back(id);
    }

    /// The batches of which messages are to be read.
    fn reads_of(&mut self, asks_elsewhere: bool) -> &mut VecDeque<BatchId> {
        if asks_elsewhere { &mut self.to_read_and_ask } else { &mut self.to_read }
    }

    /// The next batch of which messages are to be read, with its source and those messages.
    pub(crate) fn next_read(&mut self) -> Option<(BatchId, Arc<Pipe>, Vec<Drawn>)> {
        let next = self.next_read_of(false);
        next.or_else(|| if self.asking < limits::ASKING { self.next_read_of(true) } else { None })
    }

    fn next_read_of(&mut self, asks_elsewhere: bool) -> Option<(BatchId, Arc<Pipe>, Vec<Drawn>)> {
        while let Some(&id) = self.reads_of(asks_elsewhere).front() {
            let Some(batch) = self.batches.get_mut(&id) else {
                self.reads_of(asks_elsewhere).pop_front();
                continue;
            };
            if !batch.is_loaded && self.loaded >= limits::LOADED {
                return None;
            }
            self.reads_of(asks_elsewhere).pop_front();
            let batch = self.batches.get_mut(&id)?;
            self.loaded += usize::from(!batch.is_loaded);
            batch.is_loaded = true;
            return Some((id, batch.pipe.clone(), std::mem::take(&mut batch.unread)));
        }
        None
    }

    /// Messages of a batch are being read; others are to be read later; those that are in neither are gone.
    pub(crate) fn reading(&mut self, id: BatchId, reading: Vec<(Drawn, Extent)>, later: Vec<Drawn>) {
        let Some(batch) = self.batches.get_mut(&id) else { return };
        (batch.reading, batch.unread) = (reading, later);
        if batch.reading.is_empty() {
            self.go_on(id);
        }
    }

    /// Records have been read for a batch. What lies elsewhere by now is read again.
    pub(crate) fn was_read(&mut self, id: BatchId, mut records: Vec<Stored>) {
        let Some(batch) = self.batches.get_mut(&id) else { return };
        if let Some(asked) = &mut batch.asked
            && let Who::Execution(Execution { reading: reading @ Some(_), .. }) = &asked.who
        {
            asked.answer = records.pop().filter(|record| Some(record.extent) == *reading).map(Said::Output);
            self.to_answer.push_back(id);
            return;
        }
        for (drawn, extent) in std::mem::take(&mut batch.reading) {
            match records.iter().position(|record| record.extent == extent) {
                Some(at) => {
                    let again = records.get(at + 1..).unwrap_or_default();
                    // Two messages can have one record.
                    let is_last = !again.iter().any(|record| record.extent == extent);
                    let record = if is_last && at == 0 { records.remove(0) } else { records[at].clone() };
                    batch.read.push_back((drawn, record));
                }
                None => batch.unread.push(drawn),
            }
        }
        self.go_on(id);
    }

    /// The first record that was to be read for a batch is damaged: its message stays in the source.
    pub(crate) fn unreadable(&mut self, id: BatchId, extent: Extent) {
        let Some(batch) = self.batches.get_mut(&id) else { return };
        if batch.asked.is_some() {
            self.to_answer.push_back(id);
            return;
        }
        for (drawn, at) in std::mem::take(&mut batch.reading) {
            match at == extent {
                true => batch.failed += 1,
                false => batch.unread.push(drawn),
            }
        }
        self.go_on(id);
    }

    /// What a batch does next.
    fn go_on(&mut self, id: BatchId) {
        let Some(batch) = self.batches.get(&id) else { return };
        if !batch.read.is_empty() {
            self.to_hand.push_back(id);
        } else if !batch.unread.is_empty() {
            // What is in memory goes before what is not, which may wait for it.
            let asks = batch.pipe.asks_elsewhere();
            self.reads_of(asks).push_front(id);
        } else if !batch.gathered.messages.is_empty() {
            self.to_hand.push_back(id);
        } else {
            self.end(id);
        }
    }

    /// The next messages that are handed on.
    pub(crate) fn next_hand(&mut self) -> Option<Hand> {
        while let Some(id) = self.to_hand.pop_front() {
            let Some(batch) = self.batches.get_mut(&id) else { continue };
            let count = if batch.pipe.takes_all() { limits::GATHERED } else { 1 };
            let messages: Vec<_> = batch.read.drain(..count.min(batch.read.len())).collect();
            return Some(Hand {
                batch: id,
                pipe: batch.pipe.clone(),
                messages,
                blocked: batch.blocked.clone(),
                gathered: std::mem::take(&mut batch.gathered),
                is_last: batch.read.is_empty() && batch.unread.is_empty(),
            });
        }
        None
    }

    /// What became of messages of a batch.
    pub(crate) fn handed(&mut self, id: BatchId, handed: Handed, now: Time) {
        self.now = self.now.max(now);
        let Some(batch) = self.batches.get_mut(&id) else { return };
        batch.note(handed);
        self.go_on(id);
    }

    /// Some messages of a batch wait for the others, with which they are handed on.
    pub(crate) fn gathered(&mut self, id: BatchId, gathered: Gathered, handed: Handed) {
        let Some(batch) = self.batches.get_mut(&id) else { return };
        batch.gathered = gathered;
        batch.note(handed);
        self.go_on(id);
    }

    /// An execution, or a server elsewhere, is asked for messages of a batch.
    pub(crate) fn ask(&mut self, id: BatchId, asked: Asked, handed: Handed, now: Time) {
        self.now = self.now.max(now);
        let Some(batch) = self.batches.get_mut(&id) else { return };
        batch.note(handed);
        match asked.execution().map(Execution::source) {
            Some(source) => {
                self.awaited.insert(source.to_string(), id);
                self.wishes.push_back(source);
                self.to_start.push_back(id);
            }
            // What was in memory of it has gone into the request.
            None => {
                self.loaded -= usize::from(std::mem::take(&mut batch.is_loaded));
                self.asking += usize::from(!std::mem::replace(&mut batch.is_asking, true));
            }
        }
        self.deadlines.set(asked.until, Timer::Ask(id));
        batch.asked = Some(asked);
    }

    /// A server elsewhere has answered for a batch, or does not.
    pub(crate) fn answered(&mut self, id: BatchId, answer: Answer) {
        let asked = self.batches.get_mut(&id).and_then(|batch| batch.asked.as_mut());
        // Who was given up answers too late.
        let Some(asked) = asked.filter(|asked| asked.who == Who::Destination) else { return };
        asked.answer = Some(Said::Answer(answer));
        self.to_answer.push_back(id);
    }

    /// The next execution that is started. Its end is awaited before: it may come soon.
    pub(crate) fn next_start(&mut self) -> Option<(BatchId, Arc<Pipe>, Asked)> {
        while self.wishes.is_empty()
            && let Some(id) = self.to_start.pop_front()
        {
            let Some(batch) = self.batches.get(&id) else { continue };
            if let Some(asked) = &batch.asked {
                return Some((id, batch.pipe.clone(), asked.clone()));
            }
        }
        None
    }

    /// The next execution that has ended, as a source.
    pub(crate) fn next_fetch(&mut self) -> Option<(BatchId, Arn)> {
        while let Some(id) = self.to_fetch.pop_front() {
            let asked = self.batches.get(&id).and_then(|batch| batch.asked.as_ref());
            if let Some(execution) = asked.and_then(Asked::execution) {
                return Some((id, execution.source()));
            }
        }
        None
    }

    /// The record that has the output of an execution is being read; none, if there is none.
    pub(crate) fn fetching(&mut self, id: BatchId, extent: Option<Extent>) {
        let asked = self.batches.get_mut(&id).and_then(|batch| batch.asked.as_mut());
        let Some(Who::Execution(execution)) = asked.map(|asked| &mut asked.who) else { return };
        execution.reading = extent;
        if extent.is_none() {
            self.to_answer.push_back(id);
        }
    }

    /// The next execution that has answered, or never will.
    pub(crate) fn next_answer(&mut self) -> Option<(BatchId, Arc<Pipe>, Asked)> {
        while let Some(id) = self.to_answer.pop_front() {
            if let Some(asked) = self.take_asked(id)
                && let Some(batch) = self.batches.get(&id)
            {
                return Some((id, batch.pipe.clone(), asked));
            }
        }
        None
    }

    /// The execution of a batch will not answer.
    pub(crate) fn give_up(&mut self, id: BatchId) {
        if let Some(asked) = self.batches.get_mut(&id).and_then(|batch| batch.asked.as_mut()) {
            asked.answer = None;
            self.to_answer.push_back(id);
        }
    }

    fn take_asked(&mut self, id: BatchId) -> Option<Asked> {
        let asked = self.batches.get_mut(&id)?.asked.take()?;
        if let Some(execution) = asked.execution() {
            self.awaited.remove(&execution.source().to_string());
        }
        self.deadlines.clear(asked.until, Timer::Ask(id));
        Some(asked)
    }

    /// A batch is over.
    fn end(&mut self, id: BatchId) {
        let Some(batch) = self.forget(id) else { return };
        let pipe = batch.pipe.id;
        let Some(runner) = self.runners.get_mut(&pipe) else { return };
        runner.open = runner.open.saturating_sub(1);
        if batch.failed > 0 && batch.done == 0 {
            let millis = limits::FIRST_PAUSE_MILLIS << runner.failures.min(16);
            runner.failures += 1;
            self.pause(pipe, millis.min(limits::PAUSE_MILLIS));
        } else {
            runner.failures = 0;
        }
        self.settle(pipe);
        self.wish(pipe);
    }

    fn forget(&mut self, id: BatchId) -> Option<Batch> {
        self.take_asked(id);
        let batch = self.batches.remove(&id)?;
        self.loaded -= usize::from(batch.is_loaded);
        self.asking -= usize::from(batch.is_asking);
        Some(batch)
    }

    /// A pipe draws nothing for so long.
    fn pause(&mut self, id: u64, millis: u64) {
        let Some(runner) = self.runners.get_mut(&id) else { return };
        let until = self.now + millis;
        if let Some(before) = runner.pause.replace(until) {
            self.deadlines.clear(before, Timer::Pause(id));
        }
        self.deadlines.set(until, Timer::Pause(id));
    }

    /// A pipe in a passing state goes on to the next one once nothing is under way.
    fn settle(&mut self, id: u64) {
        let Some(runner) = self.runners.get(&id) else { return };
        match runner.state.passes() && runner.open == 0 {
            true => self.settled.insert(id),
            false => self.settled.remove(&id),
        };
    }

    /// The next pipe in a passing state whose batches are over.
    pub(crate) fn next_settled(&mut self) -> Option<u64> {
        self.settled.pop_first()
    }

    /// Lets time pass: windows and pauses end.
    pub(crate) fn advance(&mut self, now: Time, room: &mut usize) {
        self.now = self.now.max(now);
        while *room > 0
            && let Some((_, timer)) = self.deadlines.take_due(now)
        {
            *room -= 1;
            match timer {
                Timer::Window(id) => {
                    if let Some(runner) = self.runners.get_mut(&id) {
                        runner.window = None;
                    }
                    self.close(id);
                }
                Timer::Ask(id) => self.give_up(id),
                Timer::Pause(id) => {
                    if let Some(runner) = self.runners.get_mut(&id) {
                        (runner.pause, runner.empty) = (None, 0);
                    }
                    self.wish(id);
                }
            }
        }
    }

    /// When time must be told at the latest.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.deadlines.next()
    }

    /// Whether time that was told has not been let pass yet.
    pub(crate) fn falls_due(&self, now: Time) -> bool {
        self.deadlines.next().is_some_and(|due| due <= now)
    }

    /// Whether a pipe wishes for something.
    pub(crate) fn has_wishes(&self) -> bool {
        !self.wishes.is_empty()
    }

    /// Whether a pipe is about to be in another state.
    pub(crate) fn has_settled(&self) -> bool {
        !self.settled.is_empty()
    }

    /// Whether messages can go on.
    pub(crate) fn goes_on(&self) -> bool {
        let is_loaded = |id: &BatchId| self.batches.get(id).is_none_or(|batch| batch.is_loaded);
        let can_load = |id: &BatchId| self.loaded < limits::LOADED || is_loaded(id);
        let can_read = self.to_read.front().is_some_and(can_load)
            || self.asking < limits::ASKING && self.to_read_and_ask.front().is_some_and(can_load);
        let waits = self.to_start.is_empty() && self.to_fetch.is_empty() && self.to_answer.is_empty();
        !self.drawable.is_empty() || !self.to_hand.is_empty() || can_read || !waits
    }
}
