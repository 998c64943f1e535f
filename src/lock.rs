//! A mutex that outlives a panic: its value is as good after one as before, for it is changed in one step.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks it, also after a panic of another holder.
pub fn locked<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
