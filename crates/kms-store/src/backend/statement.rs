// A table.
//! The statements of databases on servers, each written once. See [`super::dialect`] for how they
//! are written.
//!
//! It must not know a database.

use std::sync::OnceLock;

use super::dialect::{Dialect, Sql};

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

/// The columns of an object, in the order in which it is read. `o` is the row, or nothing where the
/// reader has it already; `v` is always there.
macro_rules! object_columns {
    () => {
        "v.seq, v.version, o.owner, o.object_type, o.state, o.due, o.material_generation, \
         o.shard, o.sealed_by, o.indexed, o.object, o.material"
    };
}

/// The same where all rows are read for the first time.
macro_rules! page_columns {
    () => {
        "v.seq, v.version, v.owner, v.object_type, v.state, v.due, v.material_generation, \
         v.shard, v.sealed_by, v.indexed, v.object, v.material"
    };
}

/// What the reader has: version ?2 whose sealed record ends with ?3. The version alone does not tell
/// what a database has forgotten and written anew.
macro_rules! is_known {
    () => {
        "v.version = ?2 AND substring(v.object FROM greatest(length(v.object) - 15, 1)) = ?3"
    };
}

/// The row, but nothing of what the reader has.
macro_rules! unless_known {
    () => {
        concat!(" FROM objects v LEFT JOIN objects o ON o.seq = v.seq AND NOT (", is_known!(), ")")
    };
}

macro_rules! grant_columns {
    () => {
        "id, userid, permissions, expires, note, mac, sealed_by"
    };
}

/// Behind the epoch of all tokens.
macro_rules! api_token_columns {
    () => {
        "t.id, t.name, t.userid, t.hash, t.created, t.expires, t.revoked, t.mac, \
         t.sealed_by"
    };
}

statements! {
    Object = concat!("SELECT ", object_columns!(), unless_known!(), " WHERE v.id = ?1");
    /// The same, with what was granted to the user ?4 and to everyone (?5), unless the user owns it.
    ObjectFor = concat!(
        "SELECT ", object_columns!(), ", g.id, g.userid, g.permissions, g.expires, g.note, g.mac, \
         g.sealed_by",
        unless_known!(),
        " LEFT JOIN read_access g ON g.id = v.id AND g.userid IN (?4, ?5) AND v.owner <> ?4 \
         WHERE v.id = ?1"
    );
    /// Whether the reader has the row: one short column, where a database describes each column anew
    /// with each answer.
    Same = concat!("SELECT v.version FROM objects v WHERE v.id = ?1 AND ", is_known!());
    /// The same, with grants as in [`Self::ObjectFor`].
    SameFor = concat!(
        "SELECT g.id, g.userid, g.permissions, g.expires, g.note, g.mac, g.sealed_by FROM objects v \
         LEFT JOIN read_access g ON g.id = v.id AND g.userid IN (?4, ?5) AND v.owner <> ?4 \
         WHERE v.id = ?1 AND ",
        is_known!()
    );
    /// All of the database, a page after the other: first how large the objects of a page are. Adding
    /// a number that is large and nothing makes the sum one.
    Sizes = "SELECT seq, seq - seq + length(object) + coalesce(length(material), 0) \
         FROM objects {index PRIMARY} WHERE seq > ?1 AND version >= 0 ORDER BY seq LIMIT ?2";
    /// The objects of a page.
    Page = concat!(
        "SELECT ", page_columns!(), ", v.id, u.sealed, u.sealed_by FROM objects v {index PRIMARY} \
         LEFT JOIN \"usage\" u ON u.id = v.id \
         WHERE v.seq > ?1 AND v.seq <= ?2 AND v.version >= 0 ORDER BY v.seq"
    );
    /// Begins a list of identifiers, behind which the end follows.
    GrantsOn = concat!("SELECT ", grant_columns!(), " FROM read_access WHERE id IN (");
    Removed = "SELECT seq, id FROM objects {index objects_state} \
         WHERE state = 'Removed' AND seq > ?1 ORDER BY seq LIMIT ?2";
    Count = "SELECT count(*) FROM objects {index PRIMARY} WHERE seq > ?1 AND version >= 0";
    /// Begins a list of identifiers.
    Versions = "SELECT id, version FROM objects WHERE id IN (";
    Version = "SELECT version FROM objects WHERE id = ?1";
    Grant = concat!(
        "SELECT ", grant_columns!(), " FROM read_access WHERE id = ?1 AND userid = ?2"
    );
    Grants = concat!(
        "SELECT ", grant_columns!(), " FROM read_access WHERE id = ?1 ORDER BY userid"
    );
    /// Begins a list of identifiers.
    GrantsAmong = concat!(
        "SELECT ", grant_columns!(), " FROM read_access WHERE userid IN (?1, ?2) AND id IN ("
    );
    GrantCount = "SELECT count(*) FROM (SELECT 1 AS one FROM read_access WHERE id = ?1 LIMIT ?2) c";
    GrantedTo = concat!(
        "SELECT ", grant_columns!(),
        " FROM read_access WHERE userid = ?1 AND id > ?2 ORDER BY id LIMIT ?3"
    );
    Usage = "SELECT sealed, sealed_by FROM \"usage\" WHERE id = ?1";
    Keyring = "SELECT generation, kind, slot FROM keyring ORDER BY generation";
    Meta = "SELECT \"value\" FROM meta WHERE \"key\" = ?1";
    ApiToken = concat!(
        "SELECT m.\"value\", ", api_token_columns!(),
        " FROM api_tokens t LEFT JOIN meta m ON m.\"key\" = ?2 WHERE t.id = ?1"
    );
    /// One row without a token where there is none.
    ApiTokens = concat!(
        "SELECT m.\"value\", ", api_token_columns!(),
        " FROM (SELECT 1 AS one) o LEFT JOIN meta m ON m.\"key\" = ?1 \
         LEFT JOIN api_tokens t ON 1 = 1 ORDER BY t.name"
    );
    AuditChanges = "SELECT epoch, number, at, body, mac, sealed_by FROM audit_changes WHERE server = ?1 \
         AND (epoch, number) >= (?2, ?3) AND (epoch, number) <= (?4, ?5) \
         ORDER BY epoch, number LIMIT ?6";
    AuditEpochs =
        "SELECT epoch, first, head, sealed, sealed_by FROM audit_epochs WHERE server = ?1 \
         ORDER BY epoch";
    AuditHead = "SELECT epoch, seq, chain, mac, sealed_by FROM audit_heads WHERE server = ?1";
    AuditLines =
        "SELECT seq, line FROM audit_log WHERE server = ?1 AND seq >= ?2 ORDER BY seq LIMIT ?3";
    AuditLastLine = "SELECT line FROM audit_log WHERE server = ?1 ORDER BY seq DESC LIMIT 1";

    // Inside a commit.
    /// What a change has to know of the row that it replaces.
    Old = "SELECT seq, version, material_generation, indexed, sealed_by FROM objects WHERE id = ?1";
    /// The version, which others shall not change until the end of the transaction.
    Check = "SELECT version FROM objects WHERE id = ?1 {lock}";
    Insert = "INSERT INTO objects (id, version, owner, object_type, state, due, \
         material_generation, shard, sealed_by, indexed, object, material) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    Update = "UPDATE objects SET version = ?3, owner = ?4, object_type = ?5, state = ?6, due = ?7, \
         material_generation = ?8, sealed_by = ?9, indexed = ?10, object = ?11, material = ?12 \
         WHERE id = ?1 AND version = ?2";
    /// The same, where the material stays.
    UpdateRecord = "UPDATE objects SET version = ?3, owner = ?4, object_type = ?5, state = ?6, \
         due = ?7, sealed_by = ?8, indexed = ?9, object = ?10 WHERE id = ?1 AND version = ?2";
    /// Leaves nothing of an object but its identifier.
    Empty = "UPDATE objects SET version = -1, owner = '', object_type = 0, state = 'Removed', \
         due = NULL, material_generation = 0, sealed_by = 4294967296, indexed = '', object = '', \
         material = NULL WHERE id = ?1 AND version = ?2";
    PutGrant = concat!(
        "INSERT INTO read_access (", grant_columns!(), ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
         {upsert (id, userid) permissions, expires, note, mac, sealed_by}"
    );
    RemoveGrant = "DELETE FROM read_access WHERE id = ?1 AND userid = ?2";
    RemoveGrants = "DELETE FROM read_access WHERE id = ?1";
    AddUsage = "INSERT INTO \"usage\" (id, sealed, sealed_by) VALUES (?1, ?2, ?3)";
    PutUsage = "UPDATE \"usage\" SET sealed = ?2, sealed_by = ?3 \
         WHERE id = ?1 AND sealed = ?4";
    RemoveUsage = "DELETE FROM \"usage\" WHERE id = ?1";
    AddKeyring = "INSERT INTO keyring (generation, kind, slot) VALUES (?1, ?2, ?3)";
    PutKeyring = "UPDATE keyring SET kind = ?2, slot = ?3 WHERE generation = ?1 AND slot = ?4";
    /// Not one that still seals something.
    RemoveKeyring = "DELETE FROM keyring WHERE generation = ?1 AND slot = ?2 \
         AND NOT EXISTS (SELECT 1 FROM objects WHERE sealed_by = ?1) \
         AND NOT EXISTS (SELECT 1 FROM read_access WHERE sealed_by = ?1) \
         AND NOT EXISTS (SELECT 1 FROM \"usage\" WHERE sealed_by = ?1) \
         AND NOT EXISTS (SELECT 1 FROM api_tokens WHERE sealed_by = ?1) \
         AND NOT EXISTS (SELECT 1 FROM audit_epochs WHERE sealed_by = ?1) \
         AND NOT EXISTS (SELECT 1 FROM audit_heads WHERE sealed_by = ?1) \
         AND NOT EXISTS (SELECT 1 FROM audit_changes WHERE sealed_by = ?1)";
    AddMeta = "INSERT INTO meta (\"key\", \"value\") VALUES (?1, ?2)";
    PutMeta = "UPDATE meta SET \"value\" = ?2 WHERE \"key\" = ?1 AND \"value\" = ?3";
    AddApiToken = "INSERT INTO api_tokens (id, name, userid, hash, created, expires, revoked, mac, \
         sealed_by) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    PutApiToken = "UPDATE api_tokens SET name = ?2, userid = ?3, hash = ?4, created = ?5, \
         expires = ?6, revoked = ?7, mac = ?8, sealed_by = ?9 WHERE id = ?1";
    RemoveApiToken = "DELETE FROM api_tokens WHERE id = ?1";
    AddAuditChange = "INSERT INTO audit_changes (server, epoch, number, at, body, mac, sealed_by) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    RemoveAuditChanges = "DELETE FROM audit_changes \
         WHERE server = ?1 AND epoch = ?2 AND number BETWEEN ?3 AND ?4";
    AddAuditEpoch = "INSERT INTO audit_epochs (server, epoch, first, head, sealed, sealed_by) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    PutAuditHead = "INSERT INTO audit_heads (server, epoch, seq, chain, mac, sealed_by) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) {upsert (server) epoch, seq, chain, mac, sealed_by}";

    ResealAuditEpoch = "UPDATE audit_epochs SET sealed = ?3, sealed_by = ?4 \
         WHERE server = ?1 AND epoch = ?2 AND sealed = ?5";
    ResealAuditHead = "UPDATE audit_heads SET mac = ?2, sealed_by = ?3 \
         WHERE server = ?1 AND mac = ?4";
    ResealAuditChange = "UPDATE audit_changes SET mac = ?4, sealed_by = ?5 \
         WHERE server = ?1 AND epoch = ?2 AND number = ?3 AND mac = ?6";

    // Rows by the data key that seals them.
    /// By their places in the list of tables. What is left of removed objects is sealed by none.
    CountSealed = "SELECT 0 AS place, sealed_by, count(*) AS many FROM objects \
         WHERE sealed_by < 4294967296 GROUP BY sealed_by \
         UNION ALL SELECT 1, sealed_by, count(*) FROM read_access GROUP BY sealed_by \
         UNION ALL SELECT 2, sealed_by, count(*) FROM \"usage\" GROUP BY sealed_by \
         UNION ALL SELECT 3, sealed_by, count(*) FROM api_tokens GROUP BY sealed_by \
         UNION ALL SELECT 4, sealed_by, count(*) FROM audit_epochs GROUP BY sealed_by \
         UNION ALL SELECT 5, sealed_by, count(*) FROM audit_heads GROUP BY sealed_by \
         UNION ALL SELECT 6, sealed_by, count(*) FROM audit_changes GROUP BY sealed_by";
    SealedObjects = "SELECT seq, id, shard FROM objects WHERE sealed_by = ?1 AND seq > ?2 \
         ORDER BY seq LIMIT ?3";
    SealedGrants = concat!(
        "SELECT ", grant_columns!(), " FROM read_access WHERE sealed_by = ?1 LIMIT ?2"
    );
    SealedUsage = "SELECT id, sealed FROM \"usage\" WHERE sealed_by = ?1 LIMIT ?2";
    SealedEpochs =
        "SELECT server, epoch, first, head, sealed FROM audit_epochs WHERE sealed_by = ?1 LIMIT ?2";
    SealedHeads =
        "SELECT server, epoch, seq, chain, mac FROM audit_heads WHERE sealed_by = ?1 LIMIT ?2";
    SealedChanges = "SELECT server, epoch, number, at, body, mac FROM audit_changes \
         WHERE sealed_by = ?1 LIMIT ?2";

    // Where to begin a search; see the search itself. Each counts no further than its last value.
    CountEqual = "SELECT count(*) FROM (SELECT 1 AS one FROM object_index \
         WHERE kind = ?1 AND \"value\" = ?2 AND seq > ?3 LIMIT ?4) c";
    CountRange = "SELECT count(*) FROM (SELECT 1 AS one FROM object_index \
         WHERE kind = ?1 AND \"value\" >= ?2 AND \"value\" <= ?3 AND seq > ?4 LIMIT ?5) c";
    CountState = "SELECT count(*) FROM (SELECT 1 AS one FROM objects {index objects_state} \
         WHERE state = ?1 AND seq > ?2 LIMIT ?3) c";
    CountType = "SELECT count(*) FROM (SELECT 1 AS one FROM objects {index objects_type} \
         WHERE object_type = ?1 AND seq > ?2 LIMIT ?3) c";
    CountOwner = "SELECT count(*) FROM (SELECT 1 AS one FROM objects {index objects_owner} \
         WHERE owner = ?1 AND seq > ?2 LIMIT ?3) c";
    CountDue = "SELECT count(*) FROM (SELECT 1 AS one FROM objects {index objects_due} \
         WHERE due IS NOT NULL AND due <= ?1 AND seq + 0 > ?2 LIMIT ?3) c";
    CountGranted = "SELECT count(*) FROM (SELECT 1 AS one FROM (SELECT id FROM read_access \
         WHERE userid IN (?1, ?2) LIMIT 20001) g {join} objects o ON o.id = g.id \
         WHERE o.seq + 0 > ?3 LIMIT ?4) c";
}

impl Statement {
    /// The statement as it is written.
    pub(crate) fn template(self) -> &'static str {
        #[expect(clippy::indexing_slicing, reason = "there is a text for each")]
        Self::TEXTS[self as usize]
    }

    /// The statement as a database takes it.
    pub(crate) fn of(self, dialect: Dialect) -> &'static Sql {
        static POSTGRES: OnceLock<Vec<Sql>> = OnceLock::new();
        static MYSQL: OnceLock<Vec<Sql>> = OnceLock::new();
        let texts = match dialect {
            Dialect::Postgres => &POSTGRES,
            Dialect::MySql => &MYSQL,
        };
        let texts = texts.get_or_init(|| Self::TEXTS.iter().map(|it| dialect.spell(it)).collect());
        #[expect(clippy::indexing_slicing, reason = "there is a text for each")]
        &texts[self as usize]
    }
}
