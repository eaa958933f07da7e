//! Whether a SQLite file is still where it was opened.
//!
//! Who removes a file, or puts another one in its place, takes only its name: SQLite goes on with what it has open, and
//! everything that is committed then is gone with the process. So whoever writes looks whether the names are still those
//! of what is written to.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Result, StoreError};

/// What belongs beside the file for as long as it is open; who opens it anew makes new ones.
const BESIDE: [&str; 2] = ["-wal", "-shm"];

/// A file as it was when it was opened; cloning it counts a reference.
#[derive(Clone)]
pub(crate) struct InPlace(Arc<Opened>);

struct Opened {
    path: PathBuf,
    /// By which the system knows it, whatever its name.
    file: (u64, u64),
    beside: Vec<PathBuf>,
}

impl InPlace {
    /// Notes what is there; a connection has to be open.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the file is gone already.
    pub(crate) fn of(path: &Path) -> Result<Self> {
        let file = found(path)?;
        let beside = BESIDE.map(|ending| {
            let mut name = path.as_os_str().to_owned();
            name.push(ending);
            PathBuf::from(name)
        });
        // Where the log of SQLite cannot be had there are none.
        let beside = beside.into_iter().filter(|path| path.exists()).collect();
        Ok(Self(Arc::new(Opened { path: path.to_owned(), file: is(&file), beside })))
    }

    /// Looks whether it still is.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], since it can be put back.
    pub(crate) fn check(&self) -> Result<()> {
        let Opened { path, file, beside } = &*self.0;
        if is(&found(path)?) != *file {
            let path = path.display();
            return Err(StoreError::Unavailable(format!(
                "another file was put in the place of {path}; restart the server to use it"
            )));
        }
        beside.iter().try_for_each(|path| found(path).map(drop))
    }
}

fn found(path: &Path) -> Result<Metadata> {
    std::fs::metadata(path).map_err(|error| {
        StoreError::Unavailable(format!("{} was removed or cannot be reached: {error}", path.display()))
    })
}

fn is(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}
