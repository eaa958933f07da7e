//! One statement for many rows.
//!
//! Each statement costs an exchange with the database; a hundred rows in one cost little more than one. On
//! SQLite rows go in groups of a few sizes, so that few texts exist and each stays prepared, and most numbers of rows
//! are one group or two. PostgreSQL is given each column as one array: one text and one exchange for any number of rows.

use std::sync::OnceLock;

use crate::error::Result;
use crate::sql::{Columns, Reader, Row, Tx, Value};

/// For how many rows there are texts of a statement on SQLite.
const SIZES: [usize; 14] = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128];

/// What rows stand behind.
const VALUES: &str = "VALUES ";

/// A statement whose rows stand between two texts, of which the first ends with `VALUES `.
///
/// SQLite reads `(?, ?)`: each numbered placeholder has a name there, and each value that is bound looks
/// through all names, which for a thousand values takes longer than the statement.
#[derive(Debug)]
pub struct ManyRows {
    before: &'static str,
    pub(crate) columns: usize,
    after: &'static str,
    sqlite: [OnceLock<String>; SIZES.len()],
    postgres: OnceLock<String>,
}

impl ManyRows {
    /// A statement of these two texts, for rows of so many columns.
    pub const fn new(before: &'static str, columns: usize, after: &'static str) -> Self {
        let sqlite = [const { OnceLock::new() }; SIZES.len()];
        Self { before, columns, after, sqlite, postgres: OnceLock::new() }
    }

    /// The text for the most rows that are not more than `rows`, and how many these are.
    fn for_sqlite(&'static self, rows: usize) -> (&'static str, usize) {
        let at = SIZES.partition_point(|size| *size <= rows).saturating_sub(1);
        let written = || {
            let row = format!("({})", vec!["?"; self.columns].join(", "));
            format!("{}{}{}", self.before, vec![row; SIZES[at]].join(", "), self.after)
        };
        (self.sqlite[at].get_or_init(written), SIZES[at])
    }

    /// The text for any number of rows like the first of `values`: `SELECT * FROM unnest($1::bigint[], …)`.
    fn for_postgres(&'static self, values: &[Value<'_>]) -> &'static str {
        self.postgres.get_or_init(|| {
            let columns = values.iter().take(self.columns).enumerate();
            let arrays = columns.map(|(at, value)| format!("${}::{}[]", at + 1, value.kind()));
            let before = self.before.strip_suffix(VALUES).unwrap_or(self.before);
            let arrays = arrays.collect::<Vec<_>>().join(", ");
            format!("{before}SELECT * FROM unnest({arrays}){}", self.after)
        })
    }
}

impl Reader {
    /// Every row that a statement over rows answers; they stand in `values` one after the other.
    pub(crate) async fn rows_of(
        &mut self,
        many: &'static ManyRows,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>> {
        if self.is_postgres() && !values.is_empty() {
            return self.rows_in_columns(many.for_postgres(values), &[Columns(many.columns, values)]).await;
        }
        let mut found = Vec::new();
        let mut left = values;
        while !left.is_empty() {
            let (sql, rows) = many.for_sqlite(left.len() / many.columns);
            let (now, later) = left.split_at(rows * many.columns);
            found.extend(self.rows(sql, now).await?);
            left = later;
        }
        Ok(found)
    }
}

impl Tx {
    /// Runs a statement over rows that stand in `values` one after the other, and says how many it changed.
    ///
    /// # Errors
    /// As [`Tx::run`].
    pub async fn run_rows(&mut self, many: &'static ManyRows, values: &[Value<'_>]) -> Result<u64> {
        if self.is_postgres() && !values.is_empty() {
            return self.run_in_columns(many.for_postgres(values), Columns(many.columns, values)).await;
        }
        let mut changed = 0;
        let mut left = values;
        while !left.is_empty() {
            let (sql, rows) = many.for_sqlite(left.len() / many.columns);
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
    use crate::args;

    static PAIRS: ManyRows = ManyRows::new("VALUES ", 2, " AS pairs");
    static ASKED: ManyRows = ManyRows::new("WITH asked (a, b, c) AS (VALUES ", 3, ") SELECT a FROM asked");

    #[test]
    fn on_sqlite_a_text_is_for_the_largest_size_that_fits() {
        assert_eq!(PAIRS.for_sqlite(1), ("VALUES (?, ?) AS pairs", 1));
        assert_eq!(PAIRS.for_sqlite(3), ("VALUES (?, ?), (?, ?), (?, ?) AS pairs", 3));
        assert_eq!([5, 15, 127].map(|rows| PAIRS.for_sqlite(rows).1), [4, 12, 96]);
        assert_eq!(PAIRS.for_sqlite(100_000).1, 128);
        assert!(PAIRS.for_sqlite(128).0.ends_with("(?, ?), (?, ?) AS pairs"));
    }

    #[test]
    fn on_postgresql_one_text_is_for_any_number() {
        let none: Option<u64> = None;
        let text = "WITH asked (a, b, c) AS (SELECT * FROM unnest($1::bigint[], $2::text[], $3::bytea[])) \
                    SELECT a FROM asked";
        assert_eq!(ASKED.for_postgres(args![none, "b", b"c".as_slice(), 1_u64, "d", b"e".as_slice()]), text);
    }
}
