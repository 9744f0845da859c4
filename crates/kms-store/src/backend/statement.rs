//! The statements, each written once. See [`crate::backend::dialect`] for how they are written.
//!
//! It must not know a database.

use std::sync::OnceLock;

use crate::backend::dialect::{Dialect, Sql};

macro_rules! statements {
    ($($(#[$note:meta])* $name:ident = $text:expr;)*) => {
        /// A statement.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Statement {
            $($(#[$note])* $name,)*
        }

        impl Statement {
            /// All of them.
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)*];

            const TEXTS: &[&str] = &[$($text,)*];
        }
    };
}

/// The columns of `objects`, in the order that [`super::row`] reads. `o` is the row, or nothing
/// where the reader has it already; `v` is always there.
macro_rules! columns {
    () => {
        "v.seq, v.version, o.owner, o.object_type, o.state, o.due, o.material_generation, \
         o.indexed, o.object, o.material"
    };
}

/// The row by its identifier, but nothing of what the reader has: version ?2 whose sealed record
/// ends with ?3. The version alone does not tell what a database has forgotten and written anew.
macro_rules! known {
    () => {
        " FROM objects v LEFT JOIN objects o ON o.seq = v.seq AND NOT (v.version = ?2 \
         AND substring(v.object FROM greatest(length(v.object) - 15, 1)) = ?3)"
    };
}

statements! {
    Object = concat!("SELECT ", columns!(), known!(), " WHERE v.id = ?1");
    /// The same, with what was granted to the user ?4 and to everyone, unless the user owns it.
    ObjectFor = concat!(
        "SELECT ", columns!(), ", g.userid, g.permissions, g.mac", known!(),
        " LEFT JOIN read_access g ON g.id = v.id AND g.userid IN (?4, ?5) AND v.owner <> ?4 \
         WHERE v.id = ?1"
    );
    /// What a change has to know of the row that it replaces.
    Before = "SELECT seq, version, material_generation, indexed FROM objects WHERE id = ?1";
    Grant = "SELECT id, userid, permissions, mac FROM read_access WHERE id = ?1 AND userid = ?2";
    Grants = "SELECT id, userid, permissions, mac FROM read_access WHERE id = ?1 ORDER BY userid";
    GrantCount = "SELECT count(*) FROM (SELECT 1 AS one FROM read_access WHERE id = ?1 LIMIT ?2) c";
    GrantedTo = "SELECT id, userid, permissions, mac FROM read_access \
         WHERE userid = ?1 AND id > ?2 ORDER BY id LIMIT ?3";
    Usage = "SELECT sealed FROM \"usage\" WHERE id = ?1";
    Version = "SELECT version FROM objects WHERE id = ?1";
    Keyring = "SELECT generation, kind, slot FROM keyring ORDER BY generation";
    AddKeyring = "INSERT INTO keyring (generation, kind, slot) VALUES (?1, ?2, ?3)";
    PutKeyring = "UPDATE keyring SET kind = ?2, slot = ?3 WHERE generation = ?1 AND slot = ?4";
    DatabaseId = "SELECT \"value\" FROM meta WHERE \"key\" = 'database_id'";
    PutDatabaseId = "INSERT INTO meta (\"key\", \"value\") VALUES ('database_id', ?1)";

    // Changes, one row at a time, for databases that take no lists.
    Insert = "INSERT INTO objects (id, version, owner, object_type, state, due, \
         material_generation, indexed, object, material) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    Update = "UPDATE objects SET version = ?3, owner = ?4, object_type = ?5, state = ?6, due = ?7, \
         material_generation = ?8, indexed = ?9, object = ?10, material = ?11 \
         WHERE id = ?1 AND version = ?2";
    /// The same, where the material stays.
    UpdateRecord = "UPDATE objects SET version = ?3, owner = ?4, object_type = ?5, state = ?6, \
         due = ?7, indexed = ?8, object = ?9 WHERE id = ?1 AND version = ?2";
    Empty = "UPDATE objects SET version = -1, owner = '', object_type = 0, state = 'Removed', \
         due = NULL, material_generation = 0, indexed = '', object = '', material = NULL \
         WHERE id = ?1 AND version = ?2";
    /// Makes sure that a version is there, and that it stays until the end of the transaction.
    Check = "SELECT version FROM objects WHERE id = ?1 {lock}";
    PutGrant = "INSERT INTO read_access (id, userid, permissions, mac) VALUES (?1, ?2, ?3, ?4) \
         {upsert (id, userid) permissions, mac}";
    RemoveGrant = "DELETE FROM read_access WHERE id = ?1 AND userid = ?2";
    RemoveGrants = "DELETE FROM read_access WHERE id = ?1";
    AddUsage = "INSERT INTO \"usage\" (id, sealed) VALUES (?1, ?2)";
    PutUsage = "UPDATE \"usage\" SET sealed = ?2 WHERE id = ?1 AND sealed = ?3";
    RemoveUsage = "DELETE FROM \"usage\" WHERE id = ?1";
}

impl Statement {
    /// The statement as a database takes it.
    pub(crate) fn of(self, dialect: Dialect) -> &'static Sql {
        static SQLITE: OnceLock<Vec<Sql>> = OnceLock::new();
        static POSTGRES: OnceLock<Vec<Sql>> = OnceLock::new();
        static MYSQL: OnceLock<Vec<Sql>> = OnceLock::new();
        let texts = match dialect {
            Dialect::Sqlite => &SQLITE,
            Dialect::Postgres => &POSTGRES,
            Dialect::MySql => &MYSQL,
        };
        let texts = texts.get_or_init(|| Self::TEXTS.iter().map(|it| dialect.spell(it)).collect());
        #[expect(clippy::indexing_slicing, reason = "there is a text for each")]
        &texts[self as usize]
    }
}
