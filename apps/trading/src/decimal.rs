//! Exact decimals: whole numbers of hundred-millionths. There are no floats, and what is rounded says how.

mod wide;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Digits behind the point.
pub const DIGITS: u32 = 8;
/// Digits before the point that are read at most.
const WHOLE_DIGITS: usize = 13;
/// Hundred-millionths of one.
const ONE: i128 = 100_000_000;

/// A decimal of at most eight digits behind the point, written as a string.
///
/// Products and shares are exact before they are rounded, however large what is in between. Sums and results saturate
/// beyond 10^30, which the bounds of rooms keep ten orders of magnitude away.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Dec(i128);

/// Which way what does not fit behind the point goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// Towards what is smaller.
    Down,
    /// Towards what is larger.
    Up,
    /// To the nearest, of two equally near ones to the even one.
    Nearest,
}

impl Dec {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// One.
    pub const ONE: Self = Self(ONE);

    /// A whole number.
    pub const fn whole(number: i64) -> Self {
        Self(number as i128 * ONE)
    }

    /// So many hundred-millionths.
    pub const fn units(units: i128) -> Self {
        Self(units)
    }

    /// How many hundred-millionths it is.
    pub const fn as_units(self) -> i128 {
        self.0
    }

    /// Whether it is more than nothing.
    pub const fn is_positive(self) -> bool {
        self.0 > 0
    }

    /// How many digits it has behind the point.
    pub fn digits(self) -> u32 {
        (0..DIGITS).find(|digits| self.0 % 10_i128.pow(DIGITS - digits) == 0).unwrap_or(DIGITS)
    }

    /// Whether it is so many whole steps.
    pub const fn is_multiple_of(self, step: Self) -> bool {
        step.0 != 0 && self.0 % step.0 == 0
    }

    /// The most whole steps that are in it.
    #[must_use]
    pub const fn floor_to(self, step: Self) -> Self {
        if step.0 == 0 { self } else { Self(self.0 - self.0.rem_euclid(step.0)) }
    }

    /// The product, if it is exact.
    pub fn exactly(self, factor: Self) -> Option<Self> {
        let product = self.0.checked_mul(factor.0)?;
        (product % ONE == 0).then_some(Self(product / ONE))
    }

    /// The product, rounded.
    #[must_use]
    pub fn times(self, factor: Self, rounding: Rounding) -> Self {
        self.share(factor, Self::ONE, rounding)
    }

    /// `self × part ÷ whole`, rounded once; nothing if `whole` is nothing.
    #[must_use]
    pub fn share(self, part: Self, whole: Self, rounding: Rounding) -> Self {
        let (Self(number), Self(part), Self(whole)) = (self, part, whole);
        Self(match number.checked_mul(part) {
            Some(product) => divided(product, whole, rounding),
            None => wide::divided((number, part), whole, rounding),
        })
    }

    /// A sum of so many hundred-millionths shared by `count`, rounded; nothing if `count` is nothing.
    pub fn average(units: i128, count: u64, rounding: Rounding) -> Self {
        Self(divided(units, i128::from(count), rounding))
    }
}

fn divided(number: i128, by: i128, rounding: Rounding) -> i128 {
    if by == 0 {
        return 0;
    }
    let (number, by) = if by < 0 { (number.saturating_neg(), -by) } else { (number, by) };
    let (down, rest) = (number.div_euclid(by), number.rem_euclid(by));
    down + i128::from(goes_up(down % 2 != 0, (rest, by - rest), rounding))
}

/// Whether what lies between two whole numbers, of which the lower may be odd, goes up; by how far it is from both.
fn goes_up<T: Ord + Default>(is_odd: bool, (below, above): (T, T), rounding: Rounding) -> bool {
    match rounding {
        Rounding::Down => false,
        Rounding::Up => below > T::default(),
        Rounding::Nearest => match below.cmp(&above) {
            Ordering::Less => false,
            Ordering::Equal => is_odd,
            Ordering::Greater => true,
        },
    }
}

impl Add for Dec {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Dec {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Neg for Dec {
    type Output = Self;

    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

impl AddAssign for Dec {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for Dec {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Sum for Dec {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Dec {
    /// As short as it is exact: no zeros at the end, no point without digits behind it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.0.unsigned_abs();
        let one = ONE.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, rest) = (size / one, size % one);
        if rest == 0 {
            return write!(f, "{sign}{whole}");
        }
        let rest = format!("{rest:08}");
        write!(f, "{sign}{whole}.{}", rest.trim_end_matches('0'))
    }
}

impl fmt::Debug for Dec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is no decimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotDecimal {
    /// It is not written as one.
    #[error("expected a decimal such as \"12.5\"")]
    Form,
    /// It has too many digits behind the point.
    #[error("expected at most {DIGITS} digits behind the point")]
    TooFine,
    /// It is too large.
    #[error("expected at most {WHOLE_DIGITS} digits before the point")]
    TooLarge,
}

impl FromStr for Dec {
    type Err = NotDecimal;

    fn from_str(text: &str) -> Result<Self, NotDecimal> {
        let (negative, size) = match text.strip_prefix('-') {
            Some(size) => (true, size),
            None => (false, text),
        };
        let (whole, rest) = size.split_once('.').map_or((size, None), |(whole, rest)| (whole, Some(rest)));
        let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !are_digits(whole) || rest.is_some_and(|rest| !are_digits(rest)) {
            return Err(NotDecimal::Form);
        }
        // A number is written in one way: 007 may be an id that went astray.
        if whole.len() > 1 && whole.starts_with('0') {
            return Err(NotDecimal::Form);
        }
        let rest = rest.unwrap_or_default();
        if rest.len() > DIGITS as usize {
            return Err(NotDecimal::TooFine);
        }
        if whole.len() > WHOLE_DIGITS {
            return Err(NotDecimal::TooLarge);
        }
        let units = format!("{whole}{rest:0<8}").parse::<i128>().map_err(|_| NotDecimal::Form)?;
        Ok(Self(if negative { -units } else { units }))
    }
}

impl Serialize for Dec {
    fn serialize<S: Serializer>(&self, writer: S) -> Result<S::Ok, S::Error> {
        writer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Dec {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_str(Reading)
    }
}

/// Reads strings alone: a JSON number has been a float somewhere on its way.
struct Reading;

impl Visitor<'_> for Reading {
    type Value = Dec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a decimal as a string, such as \"12.5\"")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Dec, E> {
        text.parse().map_err(E::custom)
    }
}

impl JsonSchema for Dec {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Decimal".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": r"^-?(0|[1-9][0-9]{0,12})(\.[0-9]{1,8})?$" })
    }
}
