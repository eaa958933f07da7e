use super::body::ReceiptWish;
use super::lane::Lane;
use crate::json;
use std::borrow::Cow;
use std::fmt;

/// The most bytes an epoch, and a tag, may have.
pub const POSITION_BYTES: usize = 64;

/// What is wrong with which field of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadField {
    /// The field's name.
    pub field: &'static str,
    /// What is wrong with it, to be read after its name: `is missing`.
    pub problem: &'static str,
}

impl BadField {
    /// The code of the refusal: a token that cannot be one is a bad token, anything else a bad request.
    pub fn code(self) -> &'static str {
        if self.field == TOKEN { "unauthorized" } else { "bad_request" }
    }
}

/// The field of a token, wherever there is one.
pub(super) const TOKEN: &str = "token";

impl fmt::Display for BadField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.problem)
    }
}

impl std::error::Error for BadField {}

/// Where a client's knowledge of a room ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Since<'a> {
    /// The epoch of the room's log, at most [`POSITION_BYTES`].
    pub epoch: Cow<'a, str>,
    /// The offset of the last event the client has.
    pub offset: u64,
    /// What proves that the client's event at that offset is ours, at most [`POSITION_BYTES`].
    pub tag: Option<Cow<'a, str>>,
}

/// One field of an object: its name and its raw value, if it is there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field<'a> {
    name: &'static str,
    raw: Option<&'a str>,
}

/// Finds the fields `names` of a checked JSON object; the others are not looked at.
pub(super) fn pick<'a, const N: usize>(
    object: &'a str,
    names: [&'static str; N],
) -> Result<[Field<'a>; N], BadField> {
    let mut fields = names.map(|name| Field { name, raw: None });
    for (key, value) in json::members(object) {
        let Some(key) = json::string(key) else { continue };
        let Some(field) = fields.iter_mut().find(|field| field.name == key) else { continue };
        if field.raw.replace(value).is_some() {
            return Err(field.bad("is given twice"));
        }
    }
    Ok(fields)
}

impl<'a> Field<'a> {
    pub(super) const fn bad(self, problem: &'static str) -> BadField {
        BadField { field: self.name, problem }
    }

    /// The value untouched, `null` included.
    pub(super) const fn raw(self) -> Option<&'a str> {
        self.raw
    }

    pub(super) fn required(self) -> Result<&'a str, BadField> {
        self.present().ok_or(self.bad("is missing"))
    }

    /// A required name: a string that is not empty, not too long and without control characters.
    pub(super) fn name(self, max_bytes: usize) -> Result<Cow<'a, str>, BadField> {
        self.required()?;
        self.optional_name(max_bytes)?.ok_or(self.bad("is missing"))
    }

    pub(super) fn optional_name(self, max_bytes: usize) -> Result<Option<Cow<'a, str>>, BadField> {
        self.present().map(|raw| self.read_name(raw, max_bytes)).transpose()
    }

    pub(super) fn optional_text(self, max_bytes: usize) -> Result<Option<Cow<'a, str>>, BadField> {
        self.present().map(|raw| self.read_text(raw, max_bytes)).transpose()
    }

    /// A list of names; `max` bounds how many.
    pub(super) fn names(self, max: usize, max_bytes: usize) -> Result<Option<Vec<Cow<'a, str>>>, BadField> {
        let Some(raw) = self.present() else { return Ok(None) };
        if !raw.starts_with('[') {
            return Err(self.bad("must be a list of strings"));
        }
        if json::elements(raw).nth(max).is_some() {
            return Err(self.bad("has too many entries"));
        }
        json::elements(raw)
            .map(|element| self.read_name(element, max_bytes))
            .collect::<Result<_, _>>()
            .map(Some)
    }

    pub(super) fn flag(self) -> Result<Option<bool>, BadField> {
        match self.present() {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(self.bad("must be true or false")),
        }
    }

    pub(super) fn number(self) -> Result<Option<u64>, BadField> {
        let read = |raw| json::unsigned(raw).ok_or(self.bad("must be a non-negative whole number"));
        self.present().map(read).transpose()
    }

    pub(super) fn small_number(self) -> Result<Option<u32>, BadField> {
        let fit = |number| u32::try_from(number).map_err(|_| self.bad("is too large"));
        self.number()?.map(fit).transpose()
    }

    pub(super) fn lane(self) -> Result<Option<Lane>, BadField> {
        let read = |raw| json::string(raw).and_then(|name| Lane::parse(&name));
        let read = |raw| read(raw).ok_or(self.bad("must be critical, high, normal or low"));
        self.present().map(read).transpose()
    }

    pub(super) fn since(self) -> Result<Option<Since<'a>>, BadField> {
        let Some(raw) = self.present() else { return Ok(None) };
        if !raw.starts_with('{') {
            return Err(self.bad("must be an object"));
        }
        let [epoch, offset, tag] = pick(raw, ["epoch", "offset", "tag"])?;
        Ok(Some(Since {
            epoch: epoch.name(POSITION_BYTES)?,
            offset: offset.number()?.ok_or(offset.bad("is missing"))?,
            tag: tag.optional_name(POSITION_BYTES)?,
        }))
    }

    /// `true` for what the server chooses, or an object that says some of it.
    pub(super) fn receipt(self) -> Result<Option<ReceiptWish>, BadField> {
        match self.present() {
            None | Some("false") => Ok(None),
            Some("true") => Ok(Some(ReceiptWish::default())),
            Some(raw) if raw.starts_with('{') => {
                let [timeout, tries] = pick(raw, ["timeoutMs", "tries"])?;
                Ok(Some(ReceiptWish { timeout_ms: timeout.small_number()?, tries: tries.small_number()? }))
            }
            Some(_) => Err(self.bad("must be true or an object")),
        }
    }

    /// The value, where `null` is no value: many clients write it for what they do not have.
    fn present(self) -> Option<&'a str> {
        self.raw.filter(|&raw| raw != "null")
    }

    fn read_name(self, raw: &'a str, max_bytes: usize) -> Result<Cow<'a, str>, BadField> {
        let text = self.read_text(raw, max_bytes)?;
        if text.is_empty() {
            return Err(self.bad("must not be empty"));
        }
        if text.chars().any(char::is_control) {
            return Err(self.bad("must not have control characters"));
        }
        Ok(text)
    }

    fn read_text(self, raw: &'a str, max_bytes: usize) -> Result<Cow<'a, str>, BadField> {
        // An escape takes at most six bytes for one, so this bounds what decoding may allocate.
        if raw.len() > max_bytes.saturating_mul(6).saturating_add(2) {
            return Err(self.bad("is too long"));
        }
        let text = json::string(raw).ok_or(self.bad("must be a string"))?;
        if text.len() > max_bytes { Err(self.bad("is too long")) } else { Ok(text) }
    }
}
