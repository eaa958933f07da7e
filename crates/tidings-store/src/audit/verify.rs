//! Checking the chain.

use std::fmt;

use super::Head;
use super::append::heads;
use super::entry::{Recorded, entries};
use crate::args;
use crate::error::{Result, StoreError};
use crate::sql::Reader;
use crate::store::Store;

/// Entries that are read at once, so that memory does not grow with the log.
const PAGE: u64 = 256;

/// What a whole chain looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked {
    /// Entries that were checked.
    pub count: u64,
    /// The newest one; write it down elsewhere to notice a chain that was made anew.
    pub head: Head,
    /// The last one that retention took away; number 0: none was.
    pub anchor: Head,
}

/// The first place where the chain does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken {
    /// The entry's number.
    pub seq: u64,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Its fields do not give its hash.
    Altered,
    /// It is missing, though later ones are there.
    Removed,
    /// It does not follow on the one before it: moved, or put in between.
    Reordered,
    /// It is missing, and everything after it.
    Truncated,
    /// It stands there as another one than the head that was given says.
    Replaced,
    /// Retention took the given head away: nothing can be said about it.
    Forgotten,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seq = self.seq;
        match self.fault {
            Fault::Altered => write!(f, "entry {seq} was altered: its fields do not give its hash"),
            Fault::Removed => write!(f, "entry {seq} was removed: later ones are there"),
            Fault::Reordered => {
                write!(f, "entry {seq} was moved or put in: it does not follow on the one before")
            }
            Fault::Truncated => {
                write!(f, "entry {seq} and what follows were removed: the log ends too early")
            }
            Fault::Replaced => write!(f, "entry {seq} is another one than the head that was written down"),
            Fault::Forgotten => write!(f, "entry {seq}, the head that was given, is older than what is kept"),
        }
    }
}

impl Store {
    /// Checks every entry that is kept, at one moment and in bounded memory.
    ///
    /// `known` is a head that was written down elsewhere: without one, a chain whose end was cut off and
    /// whose stored head was changed to match cannot be told from a whole one.
    ///
    /// # Errors
    /// [`StoreError`] if it could not be checked; what is broken is an answer.
    pub async fn verify_audit(&self, known: Option<Head>) -> Result<Result<Checked, Broken>> {
        let mut snapshot = self.snapshot().await?;
        let sql = "SELECT seq, hash, anchor_seq, anchor_hash FROM audit_head WHERE id = 1";
        let (stored, anchor) = heads(snapshot.row(sql, &[]).await?.as_ref())?;
        let mut chain = Chain { last: anchor, known };
        if let Err(broken) = chain.begin() {
            return Ok(Err(broken));
        }
        if let Err(broken) = walk(&mut snapshot, &mut chain).await? {
            return Ok(Err(broken));
        }
        Ok(chain.end(stored).map(|()| Checked {
            count: chain.last.seq - anchor.seq,
            head: chain.last,
            anchor,
        }))
    }
}

/// Follows the chain page by page.
async fn walk(reader: &mut Reader, chain: &mut Chain) -> Result<Result<(), Broken>> {
    loop {
        let sql = entries!("WHERE seq > $1 ORDER BY seq LIMIT $2");
        let rows = reader.rows(sql, args![chain.last.seq, PAGE]).await?;
        if rows.is_empty() {
            return Ok(Ok(()));
        }
        for row in &rows {
            let followed = match Recorded::read(row) {
                Ok(recorded) => chain.follow(&recorded),
                // A hash of another length, or a negative time: nothing of ours looks like that.
                Err(StoreError::Corrupt(_)) => chain.broken(row.count(0)?, Fault::Altered),
                Err(error) => return Err(error),
            };
            if let Err(broken) = followed {
                return Ok(Err(broken));
            }
        }
    }
}

/// What was followed so far.
struct Chain {
    last: Head,
    known: Option<Head>,
}

impl Chain {
    /// Whether the known head can be met at all.
    fn begin(&self) -> Result<(), Broken> {
        match self.known {
            Some(known) if known.seq < self.last.seq => self.broken(known.seq, Fault::Forgotten),
            _ => self.meets_known(),
        }
    }

    fn follow(&mut self, next: &Recorded) -> Result<(), Broken> {
        if next.seq != self.last.seq + 1 {
            return self.broken(self.last.seq + 1, Fault::Removed);
        }
        if next.hashed() != next.hash {
            return self.broken(next.seq, Fault::Altered);
        }
        if next.previous != self.last.hash {
            return self.broken(next.seq, Fault::Reordered);
        }
        self.last = Head { seq: next.seq, hash: next.hash };
        self.meets_known()
    }

    fn end(&self, stored: Head) -> Result<(), Broken> {
        let expected = stored.seq.max(self.known.map_or(0, |known| known.seq));
        if self.last.seq < expected {
            return self.broken(self.last.seq + 1, Fault::Truncated);
        }
        if self.last != stored {
            return self.broken(self.last.seq, Fault::Replaced);
        }
        Ok(())
    }

    fn meets_known(&self) -> Result<(), Broken> {
        match self.known {
            Some(known) if known.seq == self.last.seq && known.hash != self.last.hash => {
                self.broken(known.seq, Fault::Replaced)
            }
            _ => Ok(()),
        }
    }

    fn broken<T>(&self, seq: u64, fault: Fault) -> Result<T, Broken> {
        Err(Broken { seq, fault })
    }
}
