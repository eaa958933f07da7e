//! What a process that stopped in order has left of its memory, for the one that comes after it.
//!
//! It is there between two processes alone: whoever takes it, has it, and nobody finds it twice. A copy that was
//! found again would be an older memory, which nobody could tell from the newer one that was lost meanwhile.

use tidings_core::Room;

use crate::args;
use crate::error::Result;
use crate::log::{signed, unsigned};
use crate::many::ManyRows;
use crate::sql::{Tx, Value};

/// A room as its process left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarriedRoom {
    /// The room.
    pub room: Room,
    /// What was in it, packed by whoever knows it.
    pub state: Vec<u8>,
}

impl CarriedRoom {
    fn row(&self, process: i64) -> [Value<'_>; 4] {
        *args![process, self.room.org(), self.room.name(), self.state.as_slice()]
    }
}

/// What a process has left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// The process, a random number.
    pub process: u64,
    /// What belongs to no room, packed by whoever knows it.
    pub state: Vec<u8>,
    /// Its rooms, in no order.
    pub rooms: Vec<CarriedRoom>,
}

/// Bytes of the rooms of one statement, about.
const STATE_BYTES: usize = 1 << 20;

static LEAVE: ManyRows =
    ManyRows::new("INSERT INTO carried_rooms (process, org, room, state) VALUES ", 4, "");

impl Tx {
    /// Leaves something for the next process, in the place of all that was left before.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn leave_carried(&mut self, left: &Carried) -> Result<()> {
        self.forget_carried().await?;
        let process = signed(left.process);
        let sql = "INSERT INTO carried (process, state) VALUES ($1, $2)";
        self.run(sql, args![process, left.state.as_slice()]).await?;
        let mut rooms = left.rooms.as_slice();
        while !rooms.is_empty() {
            let (some, rest) = rooms.split_at(statement(rooms));
            let values: Vec<_> = some.iter().flat_map(|one| one.row(process)).collect();
            self.run_rows(&LEAVE, &values).await?;
            rooms = rest;
        }
        Ok(())
    }

    /// Takes what the process before has left; nothing if it left nothing, or if it cannot be told which was the last.
    /// What cannot be read as a room is left out.
    ///
    /// # Errors
    /// [`StoreError`](crate::StoreError)
    pub async fn take_carried(&mut self) -> Result<Option<Carried>> {
        let left = self.rows("SELECT process, state FROM carried", &[]).await?;
        let taken = match left.as_slice() {
            [row] => {
                let (process, state) = (row.int(0)?, row.bytes(1)?);
                let rooms = self.rooms_of(process).await?;
                Some(Carried { process: unsigned(process), state, rooms })
            }
            _ => None,
        };
        self.forget_carried().await?;
        Ok(taken)
    }

    async fn rooms_of(&mut self, process: i64) -> Result<Vec<CarriedRoom>> {
        let sql = "SELECT org, room, state FROM carried_rooms WHERE process = $1";
        let rows = self.rows(sql, args![process]).await?;
        let mut rooms = Vec::with_capacity(rows.len());
        for row in rows {
            if let Ok(room) = Room::new(&row.org(0)?, &row.text(1)?, usize::MAX) {
                rooms.push(CarriedRoom { room, state: row.bytes(2)? });
            }
        }
        Ok(rooms)
    }

    async fn forget_carried(&mut self) -> Result<()> {
        self.run("DELETE FROM carried_rooms", &[]).await?;
        self.run("DELETE FROM carried", &[]).await.map(drop)
    }
}

/// How many of the first rooms go in one statement.
fn statement(rooms: &[CarriedRoom]) -> usize {
    let mut bytes = 0;
    let fit = rooms.iter().take_while(|one| {
        bytes += one.state.len();
        bytes <= STATE_BYTES
    });
    fit.count().max(1)
}
