//! A directory of a test's own.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory that is removed with the value.
#[derive(Debug)]
pub struct Place(PathBuf);

impl Place {
    /// Makes a new directory for temporary files, open to nobody else.
    ///
    /// # Panics
    /// If that is not possible: no test can go on without it.
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("tidings-test-{}-{next}", std::process::id()));
        // Left over by a process of the same number that was killed.
        std::fs::remove_dir_all(&path).ok();
        std::fs::create_dir_all(&path)
            .unwrap_or_else(|error| panic!("cannot make {}: {error}", path.display()));
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Default for Place {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What is left lies where the system puts temporary files.
        std::fs::remove_dir_all(&self.0).ok();
    }
}
