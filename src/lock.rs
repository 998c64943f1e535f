//! A mutex that outlives a panic: what it guards here is as good after one as before, for it is changed in one step.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks it, whoever may have panicked meanwhile.
pub fn locked<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
