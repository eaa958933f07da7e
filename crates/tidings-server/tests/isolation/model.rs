//! What a walk knows of one organisation's rooms: what must be true of them whatever others do.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

/// One organisation's rooms.
#[derive(Default)]
pub(crate) struct Rooms(BTreeMap<String, Kept>);

/// A room that keeps events.
#[derive(Default)]
pub(crate) struct Kept {
    /// Its position, as the last acknowledgement said.
    pub(crate) position: Option<(String, u64, String)>,
    keys: HashMap<String, (Value, u64)>,
}

impl Rooms {
    pub(crate) fn position(&self, room: &str) -> Option<&(String, u64, String)> {
        self.0.get(room)?.position.as_ref()
    }

    pub(crate) fn of(&mut self, room: &str) -> &mut Kept {
        self.0.entry(room.to_owned()).or_default()
    }
}

impl Kept {
    /// Takes an acknowledged publish in; what is wrong with it.
    ///
    /// Offsets count this organisation's events alone and have no holes; a key is known only if it
    /// was used here.
    pub(crate) fn published(&mut self, ack: &Value, key: Option<&str>, body: &Value) -> Result<(), String> {
        let known = key.and_then(|key| self.keys.get(key));
        if ack["ok"] != true {
            let conflict = ack["error"]["code"] == "conflict" && known.is_some_and(|(said, _)| said != body);
            return if conflict { Ok(()) } else { Err(format!("a publish was refused: {ack}")) };
        }
        let Some(offset) = ack["offset"].as_u64() else { return Ok(()) };
        if let Some((said, first)) = known {
            let same = ack["duplicate"] == true && said == body && *first == offset;
            return if same { Ok(()) } else { Err(format!("a known key made a new message: {ack}")) };
        }
        if ack["duplicate"] == true {
            return Err(format!("a key of somebody else was known: {ack}"));
        }
        self.follows(ack, offset)?;
        if let Some(key) = key {
            self.keys.insert(key.to_owned(), (body.clone(), offset));
        }
        Ok(())
    }

    fn follows(&mut self, ack: &Value, offset: u64) -> Result<(), String> {
        let text = |name: &str| ack[name].as_str().unwrap_or_default().to_owned();
        let (epoch, tag) = (text("epoch"), text("tag"));
        let last = self.position.replace((epoch.clone(), offset, tag));
        match last {
            Some((known, _, _)) if known != epoch => Err(format!("the epoch changed: {ack}")),
            Some((_, last, _)) if last + 1 != offset => Err(format!("offset {last} and then: {ack}")),
            None if offset != 1 => Err(format!("the first event is not the first: {ack}")),
            _ => Ok(()),
        }
    }
}
