//! The numbered steps that make the schema, and which of them a database still needs.
//!
//! It must not know how a database carries a step out. A step that was released never changes: the
//! database keeps the text it was made with, and another text under the same number is refused.

use crate::backend::Dialect;

/// One step, as each kind of database takes it.
pub(crate) struct Migration {
    pub(crate) number: u32,
    pub(crate) name: &'static str,
    /// For `SQLite`.
    up: &'static str,
    postgres: &'static str,
    mysql: &'static str,
}

/// Which text of a step a database takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
    MySql,
}

impl From<Dialect> for Kind {
    fn from(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Postgres => Self::Postgres,
            Dialect::MySql => Self::MySql,
        }
    }
}

impl std::fmt::Display for Migration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04}-{}", self.number, self.name)
    }
}

impl Migration {
    /// What a database is told.
    pub(crate) fn text(&self, kind: Kind) -> &'static str {
        match kind {
            Kind::Sqlite => self.up,
            Kind::Postgres => self.postgres,
            Kind::MySql => self.mysql,
        }
    }
}

macro_rules! migrations {
    ($($number:literal, $name:literal, $folder:literal;)*) => {
        /// All steps, in order; the numbers are 1, 2, 3, …
        pub(crate) static MIGRATIONS: &[Migration] = &[$(Migration {
            number: $number,
            name: $name,
            up: include_str!(concat!("../migrations/", $folder, "/up.sql")),
            postgres: include_str!(concat!("../migrations/", $folder, "/postgres.sql")),
            mysql: include_str!(concat!("../migrations/", $folder, "/mysql.sql")),
        },)*];
    };
}

migrations! {
    1, "objects", "0001-objects";
    2, "grants", "0002-grants";
    3, "api-tokens", "0003-api-tokens";
    4, "audit", "0004-audit";
    5, "ledger", "0005-ledger";
}

/// Why a database's schema cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Mismatch {
    /// It has steps that this program does not know.
    Future { found: u32, known: u32 },
    /// A step is missing in the middle, or was another one.
    Different { number: u32 },
}

/// The steps that are still to be made, given the numbers and texts of those made, in order.
pub(crate) fn pending(
    kind: Kind,
    made: &[(u32, String)],
) -> Result<&'static [Migration], Mismatch> {
    let known = MIGRATIONS.last().map_or(0, |last| last.number);
    if let Some((found, _)) = made.last()
        && *found > known
    {
        return Err(Mismatch::Future { found: *found, known });
    }
    for ((number, text), step) in made.iter().zip(MIGRATIONS) {
        if *number != step.number || text != step.text(kind) {
            return Err(Mismatch::Different { number: step.number });
        }
    }
    Ok(MIGRATIONS.get(made.len()..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_numbered_and_only_missing_ones_are_made() {
        for (step, number) in MIGRATIONS.iter().zip(1..) {
            assert_eq!(step.number, number);
        }
        let mut made: Vec<_> = MIGRATIONS
            .iter()
            .map(|step| (step.number, step.text(Kind::Sqlite).to_owned()))
            .collect();
        assert_eq!(pending(Kind::Sqlite, &[]).unwrap().len(), MIGRATIONS.len());
        assert!(pending(Kind::Sqlite, &made).unwrap().is_empty());
        made[0].1.push(' ');
        assert_eq!(pending(Kind::Sqlite, &made).err(), Some(Mismatch::Different { number: 1 }));
        let known = MIGRATIONS.last().unwrap().number;
        made.push((known + 1, String::new()));
        assert_eq!(
            pending(Kind::Sqlite, &made).err(),
            Some(Mismatch::Future { found: known + 1, known })
        );
    }
}
