//! How requests reach the engine and answers come back: in batches, with a wake-up only for who sleeps.

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

/// What waits for one thread. Many put in, one takes all at once.
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
    /// Puts something in.
    pub fn put(&self, item: T) {
        // A thread that panicked while it held the lock left the list whole: pushing is all that is done under it.
        self.items.lock().unwrap_or_else(PoisonError::into_inner).push(item);
    }

    /// Whether nothing is in it.
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

    /// Wakes the owner, or keeps it from falling asleep the next time.
    pub fn rouse(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// The calling thread is the owner from now on.
    pub fn own(&self) {
        // Only the first call counts, and only the owner calls it.
        let _ = self.thread.set(std::thread::current());
    }

    /// Takes all there is, into a list that is used again and again.
    pub fn take(&self, into: &mut Vec<T>) {
        debug_assert!(into.is_empty());
        std::mem::swap(&mut *self.items.lock().unwrap_or_else(PoisonError::into_inner), into);
    }

    /// Sleeps until something is put in, the time is over, or `awake` says that there is something else to do.
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

/// Answers on their way to one HTTP thread.
#[derive(Debug, Default)]
pub struct Letterbox {
    answers: Mutex<Vec<(u64, Answer)>>,
    arrived: Notify,
    failed: AtomicBool,
}

impl Letterbox {
    /// Puts all of `answers` in; leaves it empty.
    pub fn put(&self, answers: &mut Vec<(u64, Answer)>) {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).append(answers);
        self.arrived.notify_one();
    }

    /// No answers will come any more: everyone who waits is told so.
    pub fn fail(&self) {
        self.failed.store(true, Ordering::SeqCst);
        self.arrived.notify_one();
    }
}

/// The answer after the journal or a thread has failed. Whether the request took effect is unknown.
pub fn failed() -> Answer {
    Err(Refusal::new("InternalFailure", "The server has failed and stops. Its log contains the reason."))
}

/// Asks the engine. If this future is dropped, the engine hears that the client has gone.
pub async fn ask(engine: &Handle, tickets: &Tickets, command: Command) -> Answer {
    if engine.has_failed() {
        return failed();
    }
    let ticket = tickets.issue(|ticket| engine.put(Message::Input(Input::Gone { ticket })));
    engine.put_request(ticket.number(), command);
    tickets.turn.notify_one();
    ticket.answer().await
}

/// The requests of one HTTP thread that wait for their answers.
#[derive(Clone, Debug)]
pub struct Tickets {
    slots: Rc<RefCell<slab::Slab<Slot>>>,
    /// The thread's number, in the high bits of its tickets.
    thread: u64,
    /// That requests have been put in, and the engine's turn is to be taken.
    turn: Rc<Notify>,
}

#[derive(Debug)]
enum Slot {
    Waiting(Option<Waker>),
    Answered(Box<Answer>),
    /// The client has gone; the answer, when it comes, is for nobody.
    Abandoned,
}

const THREAD_SHIFT: u32 = 48;

/// Which HTTP thread a ticket belongs to.
pub fn thread_of(ticket: u64) -> usize {
    (ticket >> THREAD_SHIFT) as usize
}

impl Tickets {
    /// No tickets yet.
    pub fn new(thread: usize) -> Self {
        Tickets { slots: Rc::default(), thread: (thread as u64) << THREAD_SHIFT, turn: Rc::default() }
    }

    /// A ticket for a request. `gone` is called if nobody waits for its answer any more.
    pub fn issue<F: FnOnce(u64)>(&self, gone: F) -> Ticket<F> {
        let slot = self.slots.borrow_mut().insert(Slot::Waiting(None));
        Ticket { tickets: self.clone(), slot, gone: Some(gone) }
    }

    /// Takes the engine's turn after requests have been put in, for ever. All that have arrived together have their
    /// turn together: the tasks of those that are at hand run first.
    pub async fn take_turns(self, engine: Handle) {
        let _alarm = Alarm::new(&engine, "an HTTP thread");
        loop {
            self.turn.notified().await;
            engine.take_turn();
        }
    }

    /// Hands out answers as they arrive, for ever.
    pub async fn deliver(self, letterbox: Arc<Letterbox>, engine: Handle) {
        let _alarm = Alarm::new(&engine, "an HTTP thread");
        let mut answers = Vec::new();
        loop {
            letterbox.arrived.notified().await;
            sabotage::point("answers");
            std::mem::swap(
                &mut answers,
                &mut *letterbox.answers.lock().unwrap_or_else(PoisonError::into_inner),
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
            if letterbox.failed.load(Ordering::SeqCst) {
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

/// A request that waits for its answer. Dropping it means that the client has gone.
#[derive(Debug)]
pub struct Ticket<F: FnOnce(u64)> {
    tickets: Tickets,
    slot: usize,
    gone: Option<F>,
}

impl<F: FnOnce(u64)> Ticket<F> {
    /// Its number.
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
                    // A slot is abandoned only by the drop of the ticket that is being polled here.
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
            // The answer came and nobody took it.
            Some(Slot::Answered(_)) => {
                slots.remove(self.slot);
            }
            _ => {}
        }
    }
}
