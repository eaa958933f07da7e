use crate::json::write_string;

/// Writes a flat JSON object, member by member.
pub(super) struct Object<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Object<'a> {
    /// Starts a message: an object whose first member is its type.
    pub(super) fn message(out: &'a mut Vec<u8>, kind: &str) -> Self {
        Self::starting(out, "type", kind)
    }

    /// Starts an object whose first member is `key`, a text.
    pub(super) fn starting(out: &'a mut Vec<u8>, key: &str, value: &str) -> Self {
        out.extend_from_slice(b"{\"");
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(b"\":");
        write_string(out, value);
        Self { out }
    }

    pub(super) fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        write_string(self.out, value);
    }

    pub(super) fn number(&mut self, key: &str, value: u64) {
        self.key(key);
        self.out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    pub(super) fn raw(&mut self, key: &str, json: &str) {
        self.key(key);
        self.out.extend_from_slice(json.as_bytes());
    }

    /// Adds a member whose value is written by `write`.
    pub(super) fn with(&mut self, key: &str, write: impl FnOnce(&mut Vec<u8>)) {
        self.key(key);
        write(self.out);
    }

    pub(super) fn optional_text(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(key, value);
        }
    }

    pub(super) fn optional_number(&mut self, key: &str, value: Option<u64>) {
        if let Some(value) = value {
            self.number(key, value);
        }
    }

    pub(super) fn text_or_null(&mut self, key: &str, value: Option<&str>) {
        match value {
            Some(value) => self.text(key, value),
            None => self.raw(key, "null"),
        }
    }

    pub(super) fn number_or_null(&mut self, key: &str, value: Option<u64>) {
        match value {
            Some(value) => self.number(key, value),
            None => self.raw(key, "null"),
        }
    }

    /// Adds the members of another object, given as checked JSON.
    pub(super) fn members_of(&mut self, object: &str) {
        let members = object.trim_ascii().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        if let Some(members) = members.map(str::trim_ascii).filter(|members| !members.is_empty()) {
            self.out.push(b',');
            self.out.extend_from_slice(members.as_bytes());
        }
    }

    pub(super) fn end(self) {
        self.out.push(b'}');
    }

    // Keys are ours and need no escapes.
    fn key(&mut self, key: &str) {
        self.out.extend_from_slice(b",\"");
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }
}
