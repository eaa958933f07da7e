//! Exports of rooms: one line of JSON for the rules, one for each entry of the journal, one for the end. Whoever has
//! one computes the final standings again and sees whether they are those that were told.

use serde::{Deserialize, Serialize};

use crate::journal::{Entry, Hash};
use crate::room::{Room, State};
use crate::rules::Rules;
use crate::standing::Standing;

/// What the first line says it is.
const FORMAT: &str = "tidings-trading-room";
/// The version of the format, of the rules of trading and of ranking: others are not computed.
const VERSION: u32 = 1;
/// Bytes of a line at most; the end names every member.
pub const LINE_BYTES: usize = 8 << 20;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Head {
    format: String,
    version: u32,
    room_id: String,
    rules: Rules,
}

/// A line of the journal.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Line {
    seq: u64,
    at_ms: u64,
    input: crate::journal::Input,
    chain: Hash,
}

/// The last line: what the room was told to have come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct End {
    /// How many entries there are.
    pub entries: u64,
    /// The last link of the chain.
    pub chain: Hash,
    /// The digest of what everybody has.
    pub digest: Hash,
    /// Where everybody stands.
    pub standings: Vec<Standing>,
}

impl End {
    /// What a room has come to.
    pub fn of(room: &Room) -> Self {
        Self { entries: room.seq(), chain: room.chain(), digest: room.digest(), standings: room.standings() }
    }
}

/// What is wrong with an export, and in which line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct Wrong {
    /// The line, counted from 1.
    pub line: u64,
    /// What is wrong.
    pub problem: String,
}

/// The first line of an export.
pub fn head(room_id: &str, rules: &Rules) -> String {
    let head =
        Head { format: FORMAT.into(), version: VERSION, room_id: room_id.into(), rules: rules.clone() };
    json(&head)
}

/// The line of an entry; `chain` is the link it makes.
pub fn line(entry: &Entry, chain: Hash) -> String {
    let Entry { seq, at_ms, input } = entry.clone();
    json(&Line { seq, at_ms, input, chain })
}

/// The last line.
pub fn end(room: &Room) -> String {
    json(&End::of(room))
}

fn json<T: Serialize>(value: &T) -> String {
    // Plain structs of strings and numbers are always written.
    serde_json::to_string(value).unwrap_or_default()
}

/// Computes a room from the lines of its export.
///
/// # Errors
/// The first line that is wrong: not of this format, changed, left out, refused by the rules, or an end that is not
/// what the journal comes to.
pub fn verify<L: AsRef<str>>(lines: impl IntoIterator<Item = L>) -> Result<Room, Wrong> {
    let mut checking = Checking::Head;
    let mut number = 0;
    for text in lines {
        number += 1;
        checking = checking.take(text.as_ref()).map_err(|problem| Wrong { line: number, problem })?;
    }
    match checking {
        Checking::Done(room) => Ok(*room),
        _ => Err(Wrong { line: number + 1, problem: "the end is missing".into() }),
    }
}

/// How far an export was read.
enum Checking {
    Head,
    Journal(Box<Room>),
    Done(Box<Room>),
}

impl Checking {
    fn take(self, text: &str) -> Result<Self, String> {
        if text.len() > LINE_BYTES {
            return Err(format!("expected at most {LINE_BYTES} bytes"));
        }
        match self {
            Self::Head => begin(text).map(|room| Self::Journal(Box::new(room))),
            Self::Journal(mut room) => {
                // The lines of an end have no number.
                if let Ok(told) = serde_json::from_str::<End>(text) {
                    is_what_it_comes_to(&room, &told)?;
                    return Ok(Self::Done(room));
                }
                follow(&mut room, text)?;
                Ok(Self::Journal(room))
            }
            Self::Done(_) => Err("nothing is expected behind the end".into()),
        }
    }
}

fn begin(text: &str) -> Result<Room, String> {
    let head: Head = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if head.format != FORMAT || head.version != VERSION {
        return Err(format!("expected {FORMAT} {VERSION}, found {} {}", head.format, head.version));
    }
    Room::new(&head.room_id, head.rules)
}

fn follow(room: &mut Room, text: &str) -> Result<(), String> {
    let Line { seq, at_ms, input, chain } = serde_json::from_str(text).map_err(|error| error.to_string())?;
    room.replay(&Entry { seq, at_ms, input })?;
    if room.chain() != chain {
        return Err(format!("entry {seq} is not the one that was chained"));
    }
    Ok(())
}

fn is_what_it_comes_to(room: &Room, told: &End) -> Result<(), String> {
    if room.state() != State::Ended {
        return Err(format!("this room is {}, its standings are not final", room.state().as_str()));
    }
    let computed = End::of(room);
    if let Some((now, then)) = computed.standings.iter().zip(&told.standings).find(|(now, then)| now != then)
    {
        return Err(format!("expected {now:?} by the journal, found {then:?}"));
    }
    if computed != *told {
        return Err("what it comes to by the journal is something else".into());
    }
    Ok(())
}
