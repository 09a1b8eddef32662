//! Queues for requests to the engine and for its answers: in batches, with wake-ups only for sleeping
//! threads.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::thread::Thread;
use std::time::Duration;

use kernel::Refusal;
use machine::{Answer, Command, Input};
use tokio::sync::Notify;

use crate::alarm::{Alarm, sabotage};
use crate::engine::{Handle, Message};

/// A queue of one thread. Many threads add items; the owner takes all at once.
#[derive(Debug)]
pub struct Inbox<T> {
    items: Mutex<Vec<T>>,
    asleep: AtomicBool,
    thread: std::sync::OnceLock<Thread>,
}

impl<T> Default for Inbox<T> {
    fn default() -> Self {
        Inbox {
            items: Mutex::new(Vec::new()),
            asleep: AtomicBool::new(false),
            thread: std::sync::OnceLock::new(),
        }
    }
}

impl<T> Inbox<T> {
    /// Adds an item.
    pub fn put(&self, item: T) {
        // The list is valid after a panic of another thread, because only `push` runs under the lock.
        self.items.lock().unwrap_or_else(PoisonError::into_inner).push(item);
    }

    /// Returns whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.items.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Wakes the owner if it sleeps.
    pub fn wake(&self) {
        if self.asleep.swap(false, Ordering::SeqCst)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }

    /// Wakes the owner, or prevents its next sleep.
    pub fn unpark(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// Makes the calling thread the owner.
    pub fn own(&self) {
        // Only the first call has an effect, and only the owner calls it.
        let _ = self.thread.set(std::thread::current());
    }

    /// Takes all items, into a reusable list.
    pub fn take(&self, into: &mut Vec<T>) {
        debug_assert!(into.is_empty());
        std::mem::swap(&mut *self.items.lock().unwrap_or_else(PoisonError::into_inner), into);
    }

    /// Sleeps until an item is added, the time is over, or `awake` returns `true`.
    pub fn sleep(&self, at_most: Option<Duration>, awake: impl Fn() -> bool) {
        self.asleep.store(true, Ordering::SeqCst);
        if self.is_empty() && !awake() {
            match at_most {
                Some(time) => std::thread::park_timeout(time),
                None => std::thread::park(),
            }
        }
        self.asleep.store(false, Ordering::SeqCst);
    }
}

/// The answers for one HTTP thread.
#[derive(Debug, Default)]
pub struct ReplyQueue {
    answers: Mutex<Vec<(u64, Answer)>>,
    arrived: Notify,
    failed: AtomicBool,
}

impl ReplyQueue {
    /// Adds all of `answers`, and leaves that list empty.
    pub fn put(&self, answers: &mut Vec<(u64, Answer)>) {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).append(answers);
        self.arrived.notify_one();
    }

    /// Reports that no more answers will come: all waiting requests get an error.
    pub fn fail(&self) {
        self.failed.store(true, Ordering::SeqCst);
        self.arrived.notify_one();
    }
}

/// The answer after the journal or a thread has failed. Whether the request took effect is unknown.
pub fn failed() -> Answer {
    Err(Refusal::new("InternalFailure", "The server has failed and stops. Its log contains the reason."))
}

/// Sends a command to the engine and waits for the answer. If this future is dropped, the engine is told that
/// the client is gone.
pub async fn ask(engine: &Handle, tickets: &Tickets, command: Command) -> Answer {
    if engine.has_failed() {
        return failed();
    }
    let ticket = tickets.issue(|ticket| engine.put(Message::Input(Input::Gone { ticket })));
    engine.put_request(ticket.number(), command);
    tickets.turn.notify_one();
    ticket.answer().await
}

/// The waiting requests of one HTTP thread.
#[derive(Clone, Debug)]
pub struct Tickets {
    slots: Rc<RefCell<slab::Slab<Slot>>>,
    /// The thread's number, in the high bits of its tickets.
    thread: u64,
    /// Notified when requests were added and the engine's turn must be taken.
    turn: Rc<Notify>,
}

#[derive(Debug)]
enum Slot {
    Waiting(Option<Waker>),
    Answered(Box<Answer>),
    /// The client is gone; its answer will be dropped.
    Abandoned,
}

const THREAD_SHIFT: u32 = 48;

/// Returns the HTTP thread of a ticket.
pub fn thread_of(ticket: u64) -> usize {
    (ticket >> THREAD_SHIFT) as usize
}

impl Tickets {
    /// Creates an empty set.
    pub fn new(thread: usize) -> Self {
        Tickets { slots: Rc::default(), thread: (thread as u64) << THREAD_SHIFT, turn: Rc::default() }
    }

    /// Creates a ticket for a request. `gone` is called if the request is dropped before its answer.
    pub fn issue<F: FnOnce(u64)>(&self, gone: F) -> Ticket<F> {
        let slot = self.slots.borrow_mut().insert(Slot::Waiting(None));
        Ticket { tickets: self.clone(), slot, gone: Some(gone) }
    }

    /// Takes the engine's turn after requests were added; runs for ever. Requests that arrive together share
    /// a turn: the tasks that are ready run first.
    pub async fn take_turns(self, engine: Handle) {
        let _alarm = Alarm::new(&engine, "an HTTP thread");
        loop {
            self.turn.notified().await;
            engine.take_turn();
        }
    }

    /// Distributes answers as they arrive; runs for ever.
    pub async fn deliver(self, reply_queue: Arc<ReplyQueue>, engine: Handle) {
        let _alarm = Alarm::new(&engine, "an HTTP thread");
        let mut answers = Vec::new();
        loop {
            reply_queue.arrived.notified().await;
            sabotage::point("answers");
            std::mem::swap(
                &mut answers,
                &mut *reply_queue.answers.lock().unwrap_or_else(PoisonError::into_inner),
            );
            let mut slots = self.slots.borrow_mut();
            for (ticket, answer) in answers.drain(..) {
                let number = (ticket & ((1 << THREAD_SHIFT) - 1)) as usize;
                match slots.get_mut(number) {
                    Some(Slot::Abandoned) => {
                        slots.remove(number);
                    }
                    Some(slot) => {
                        if let Slot::Waiting(Some(waker)) =
                            std::mem::replace(slot, Slot::Answered(Box::new(answer)))
                        {
                            waker.wake();
                        }
                    }
                    None => {}
                }
            }
            if reply_queue.failed.load(Ordering::SeqCst) {
                for (_, slot) in slots.iter_mut() {
                    if let Slot::Waiting(waker) = slot {
                        let waker = waker.take();
                        *slot = Slot::Answered(Box::new(failed()));
                        waker.into_iter().for_each(Waker::wake);
                    }
                }
            }
        }
    }
}

/// A request that waits for its answer. Dropping it means that the client is gone.
#[derive(Debug)]
pub struct Ticket<F: FnOnce(u64)> {
    tickets: Tickets,
    slot: usize,
    gone: Option<F>,
}

impl<F: FnOnce(u64)> Ticket<F> {
    /// Returns its number.
    pub fn number(&self) -> u64 {
        self.tickets.thread | self.slot as u64
    }

    /// Waits for the answer.
    pub async fn answer(mut self) -> Answer {
        let answer = poll_fn(|context| {
            let mut slots = self.tickets.slots.borrow_mut();
            match slots.get_mut(self.slot) {
                Some(Slot::Waiting(waker)) => {
                    *waker = Some(context.waker().clone());
                    Poll::Pending
                }
                _ => match slots.try_remove(self.slot) {
                    Some(Slot::Answered(answer)) => Poll::Ready(*answer),
                    // Only the drop of this ticket abandons its slot.
                    _ => Poll::Pending,
                },
            }
        })
        .await;
        self.gone = None;
        answer
    }
}

impl<F: FnOnce(u64)> Drop for Ticket<F> {
    fn drop(&mut self) {
        let Some(gone) = self.gone.take() else { return };
        let mut slots = self.tickets.slots.borrow_mut();
        match slots.get_mut(self.slot) {
            Some(slot @ Slot::Waiting(_)) => {
                *slot = Slot::Abandoned;
                drop(slots);
                gone(self.number());
            }
            // The answer arrived and was not taken.
            Some(Slot::Answered(_)) => {
                slots.remove(self.slot);
            }
            _ => {}
        }
    }
}
