//! How many are there at once.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many are there at once.
#[derive(Debug, Default)]
pub struct Occupancy(AtomicUsize);

impl Occupancy {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn enter(&self, most: usize) -> bool {
        let add = |count: usize| (count < most).then_some(count + 1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
    }
}

/// One place of an [`Occupancy`], given back when it is dropped.
pub struct Place<T = Occupancy> {
    owner: Arc<T>,
    of: fn(&T) -> &Occupancy,
}

impl<T> Place<T> {
    /// Takes a place, unless `most` are taken.
    pub fn take(owner: &Arc<T>, of: fn(&T) -> &Occupancy, most: usize) -> Option<Self> {
        of(owner).enter(most).then(|| Self { owner: owner.clone(), of })
    }

    /// Whose place it is.
    pub fn owner(&self) -> &Arc<T> {
        &self.owner
    }
}

impl Place {
    /// Takes a place of an occupancy that stands by itself, unless `most` are taken.
    pub fn of(owner: &Arc<Occupancy>, most: usize) -> Option<Self> {
        Self::take(owner, |occupancy| occupancy, most)
    }
}

impl<T> Drop for Place<T> {
    fn drop(&mut self) {
        (self.of)(&self.owner).0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<T> fmt::Debug for Place<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place(one of {})", (self.of)(&self.owner).count())
    }
}
