//! Locking what is whole whoever panicked.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex; what it guards is whole even if a thread panicked while holding it.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
