//! How many sockets deliveries may have open at once: the rest of the program needs descriptors, too.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The sockets of all deliveries.
pub(crate) struct Sockets {
    free: Arc<Semaphore>,
    /// Each closes a connection that is only kept for the next request, and says whether it had one.
    lenders: Mutex<Vec<Box<dyn Fn() -> bool + Send + Sync>>>,
}

/// The right to have one socket open, for as long as it lives.
pub(crate) struct Permit {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Sockets {
    /// At most so many.
    pub fn new(most: usize) -> Arc<Sockets> {
        let free = Arc::new(Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS)));
        Arc::new(Sockets { free, lenders: Mutex::default() })
    }

    /// Where connections lie that can be closed if others are needed.
    pub fn lend(&self, close_one: impl Fn() -> bool + Send + Sync + 'static) {
        self.lenders().push(Box::new(close_one));
    }

    /// Waits until there is one.
    pub async fn take(&self) -> Permit {
        if let Ok(permit) = self.free.clone().try_acquire_owned() {
            return Permit { _permit: Some(permit) };
        }
        // Its socket is free when its task has seen that nobody holds it any more.
        let _closed = self.lenders().iter().any(|close_one| close_one());
        // Never closed.
        Permit { _permit: self.free.clone().acquire_owned().await.ok() }
    }

    fn lenders(&self) -> std::sync::MutexGuard<'_, Vec<Box<dyn Fn() -> bool + Send + Sync>>> {
        // Only pushed to.
        self.lenders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
