//! The background read of the whole log (`--scrub`), which finds damage before a client needs the data.

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use journal::{Pipeline, Reader};
use tracing::error;

use crate::damage::Damages;

/// Minimum interval between two reads of the whole log.
const PAUSE: Duration = Duration::from_secs(24 * 60 * 60);

/// The thread that reads the log. It ends when this is dropped.
pub struct Scrub {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Scrub {
    /// Starts a thread that repeatedly reads all full segments, at this many bytes a second.
    pub fn start(
        bytes_a_second: u64,
        reader: Reader,
        pipeline: &Arc<Pipeline>,
        damages: Arc<Damages>,
    ) -> std::io::Result<Scrub> {
        let (stop, stopping) = channel();
        let pipeline = Arc::downgrade(pipeline);
        let thread = std::thread::Builder::new().name("scrub".into()).spawn(move || {
            while pass(bytes_a_second.max(1), &reader, &pipeline, &damages, &stopping).is_continue()
                && wait(&stopping, PAUSE).is_continue()
            {}
        })?;
        Ok(Scrub { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Scrub {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // The thread has reported its errors already.
            let _ = thread.join();
        }
    }
}

fn wait(stopping: &Receiver<()>, time: Duration) -> ControlFlow<()> {
    match stopping.recv_timeout(time) {
        Err(RecvTimeoutError::Timeout) => ControlFlow::Continue(()),
        _ => ControlFlow::Break(()),
    }
}

fn pass(
    bytes_a_second: u64,
    reader: &Reader,
    pipeline: &Weak<Pipeline>,
    damages: &Damages,
    stopping: &Receiver<()>,
) -> ControlFlow<()> {
    let segments = match reader.segments() {
        Ok(segments) => segments,
        Err(error) => {
            error!("scrub: cannot list the log's segments: {error}");
            return ControlFlow::Continue(());
        }
    };
    for segment in segments {
        // The newest segment is still being written.
        let Some(newest) = pipeline.upgrade().map(|pipeline| pipeline.durable().segment()) else {
            return ControlFlow::Break(());
        };
        if segment >= newest {
            break;
        }
        let rest = |bytes: u64| {
            wait(stopping, Duration::from_micros(bytes.saturating_mul(1_000_000) / bytes_a_second))
        };
        reader.scrub(segment, rest, |damage| damages.put(&damage))?;
    }
    ControlFlow::Continue(())
}
