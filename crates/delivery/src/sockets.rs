//! Limits the open sockets of deliveries, because the rest of the program needs descriptors, too.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The sockets of all deliveries.
pub(crate) struct Sockets {
    free: Arc<Semaphore>,
    /// Each of these closes an idle connection, and returns whether it had one.
    lenders: Mutex<Vec<Box<dyn Fn() -> bool + Send + Sync>>>,
}

/// The right to have one socket open, until it is dropped.
pub(crate) struct Permit {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Sockets {
    /// Creates a limit.
    pub fn new(most: usize) -> Arc<Sockets> {
        let free = Arc::new(Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS)));
        Arc::new(Sockets { free, lenders: Mutex::default() })
    }

    /// Registers a pool whose idle connections can be closed when sockets are needed.
    pub fn lend(&self, close_one: impl Fn() -> bool + Send + Sync + 'static) {
        self.lenders().push(Box::new(close_one));
    }

    /// Waits for a free socket.
    pub async fn take(&self) -> Permit {
        if let Ok(permit) = self.free.clone().try_acquire_owned() {
            return Permit { _permit: Some(permit) };
        }
        // Its socket becomes free when its task notices that the connection was dropped.
        let _closed = self.lenders().iter().any(|close_one| close_one());
        // The semaphore is never closed.
        Permit { _permit: self.free.clone().acquire_owned().await.ok() }
    }

    fn lenders(&self) -> std::sync::MutexGuard<'_, Vec<Box<dyn Fn() -> bool + Send + Sync>>> {
        // The list is only pushed to.
        self.lenders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
