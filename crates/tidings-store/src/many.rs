//! One statement for many rows.
//!
//! Each statement costs an exchange with the database; a hundred rows in one cost little more than one.
//! Rows go in groups of powers of two, so that few texts exist and each stays prepared.

use std::fmt::Write as _;
use std::sync::OnceLock;

use crate::error::Result;
use crate::sql::{Reader, Row, Tx, Value};

/// Texts of a statement: for 1, 2, 4 … 128 rows.
const SIZES: usize = 8;

/// A statement whose rows stand between two texts, as `($1, $2), ($3, $4)`.
///
/// SQLite reads `(?, ?)`: each numbered placeholder has a name there, and each value that is bound looks
/// through all names, which for a thousand values takes longer than the statement.
pub(crate) struct ManyRows {
    before: &'static str,
    columns: usize,
    after: &'static str,
    sqlite: [OnceLock<String>; SIZES],
    postgres: [OnceLock<String>; SIZES],
}

impl ManyRows {
    pub(crate) const fn new(before: &'static str, columns: usize, after: &'static str) -> Self {
        let sqlite = [const { OnceLock::new() }; SIZES];
        Self { before, columns, after, sqlite, postgres: [const { OnceLock::new() }; SIZES] }
    }

    /// The text for the most rows that are not more than `rows`, and how many these are.
    fn text(&'static self, rows: usize, is_postgres: bool) -> (&'static str, usize) {
        let size = (rows.max(1).ilog2() as usize).min(SIZES - 1);
        let texts = if is_postgres { &self.postgres } else { &self.sqlite };
        (texts[size].get_or_init(|| self.write(1 << size, is_postgres)), 1 << size)
    }

    fn write(&self, rows: usize, is_postgres: bool) -> String {
        let mut text = String::from(self.before);
        for row in 0..rows {
            text.push_str(if row == 0 { "(" } else { "), (" });
            for column in 1..=self.columns {
                text.push_str(if column == 1 { "" } else { ", " });
                match is_postgres {
                    // Writing into a String cannot fail.
                    true => drop(write!(text, "${}", row * self.columns + column)),
                    false => text.push('?'),
                }
            }
        }
        text.push(')');
        text.push_str(self.after);
        text
    }
}

impl Reader {
    /// Every row that a statement over rows answers; they stand in `values` one after the other.
    pub(crate) async fn rows_of(
        &mut self,
        many: &'static ManyRows,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>> {
        let is_postgres = self.is_postgres();
        let mut found = Vec::new();
        let mut left = values;
        while !left.is_empty() {
            let (sql, rows) = many.text(left.len() / many.columns, is_postgres);
            let (now, later) = left.split_at(rows * many.columns);
            found.extend(self.rows(sql, now).await?);
            left = later;
        }
        Ok(found)
    }
}

impl Tx {
    /// Runs a statement over rows that stand in `values` one after the other, and says how many it changed.
    pub(crate) async fn run_rows(&mut self, many: &'static ManyRows, values: &[Value<'_>]) -> Result<u64> {
        let is_postgres = self.is_postgres();
        let mut changed = 0;
        let mut left = values;
        while !left.is_empty() {
            let (sql, rows) = many.text(left.len() / many.columns, is_postgres);
            let (now, later) = left.split_at(rows * many.columns);
            changed += self.run(sql, now).await?;
            left = later;
        }
        Ok(changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static PAIRS: ManyRows = ManyRows::new("VALUES ", 2, " AS pairs");

    #[test]
    fn a_text_is_for_the_power_of_two_that_fits() {
        assert_eq!(PAIRS.text(1, true), ("VALUES ($1, $2) AS pairs", 1));
        assert_eq!(PAIRS.text(3, true), ("VALUES ($1, $2), ($3, $4) AS pairs", 2));
        assert_eq!(PAIRS.text(3, false), ("VALUES (?, ?), (?, ?) AS pairs", 2));
        assert_eq!(PAIRS.text(127, true).1, 64);
        assert_eq!(PAIRS.text(100_000, true).1, 128);
        assert!(PAIRS.text(128, true).0.ends_with("($255, $256) AS pairs"));
    }
}
