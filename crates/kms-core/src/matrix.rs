//! The access table as text: every operation, role, caller, state and type of object, and what
//! [`decide`] says. Reviewers read it; a test compares it with the golden file, and another asks a
//! server all of it. It must never decide anything itself.

use std::fmt::Write as _;

use kmip::enumerations::{CryptographicUsageMask, ObjectType, State};

use crate::access::{
    ANY_STATE, ANY_TYPE, Makes, Needs, OperationRow, Permission, Refusal, Role, Row, Standing,
    decide,
};
use crate::lifecycle;
use crate::operation::ACCESS;

/// Somebody who asks, by what they have on an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Its owner.
    Owner,
    /// A user to whom one permission was granted.
    Holder(Permission),
    /// Anybody, where every permission was granted to everybody.
    Everybody,
    /// A user to whom every permission was granted until a time that has passed.
    Expired,
    /// A user to whom nothing was granted.
    Stranger,
    /// Somebody who does not say who they are.
    Nobody,
}

impl Who {
    /// Everyone that the matrix tells of.
    pub fn all() -> impl Iterator<Item = Self> {
        let holders = Permission::ALL.into_iter().map(Self::Holder);
        let others = [Self::Everybody, Self::Expired, Self::Stranger, Self::Nobody];
        [Self::Owner].into_iter().chain(holders).chain(others)
    }

    fn name(self) -> String {
        match self {
            Self::Owner => "owner".to_owned(),
            Self::Holder(permission) => permission.name().to_owned(),
            Self::Everybody => "`*`".to_owned(),
            Self::Expired => "expired".to_owned(),
            Self::Stranger => "stranger".to_owned(),
            Self::Nobody => "nobody".to_owned(),
        }
    }
}

/// What a cell of the matrix says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Let in; where the usage mask lacks a bit, refused for that.
    Allowed,
    /// Not authenticated.
    Unknown,
    /// Refused.
    Refused(Refusal),
}

/// What `who` gets in the role of `row` for an object of this type in this state, with a complete
/// usage mask.
pub fn cell(row: &Row, who: Who, object_type: ObjectType, state: State) -> Cell {
    cell_with(row, who, object_type, state, row.usage)
}

fn cell_with(row: &Row, who: Who, object_type: ObjectType, state: State, usage: u32) -> Cell {
    let one;
    let standing = match who {
        Who::Nobody => return Cell::Unknown,
        Who::Owner => Standing::Owner,
        Who::Holder(permission) => {
            one = [permission];
            Standing::Other(&one)
        }
        Who::Everybody => Standing::Other(&Permission::ALL),
        Who::Expired | Who::Stranger => Standing::Other(&[]),
    };
    match decide(row, standing, object_type, state, usage) {
        Ok(()) => Cell::Allowed,
        Err(refusal) => Cell::Refused(refusal),
    }
}

const HEAD: &str = "\
# Access matrix

<!-- Made by `cargo xtask codegen` from the rows in crates/kms-core/src/operation. -->

Who may do what with which object: for each operation, and for each part that an object plays in it.
Whatever says the same is one line, so that the page can be read to its end; a server is asked every
single cell (`crates/kms-server/tests/it/matrix`).

*Who*: the owner; a user who was granted the permission of this name, alone; `*`, where everything was
granted to everybody; a user whose every grant has expired; a stranger; and nobody, who does not say who
they are.

| Cell | Says |
|---|---|
| yes | let in; *yes, usage*: if the Cryptographic Usage Mask has the bits of the heading |
| – | the answer for an object that does not exist; to Import, the one for an identifier in use |
| type | not for this type of object |
| gone | the key material is gone |
| state | not in this state |
| 401 | who is calling? |
";

/// The whole matrix.
pub fn access_matrix() -> String {
    let mut text = HEAD.to_owned();
    for operation in ACCESS {
        if operation.roles.is_empty() {
            line(&mut text, &format!("\n## {}: {}\n", operation.name, operation.needs));
            line(&mut text, "It names no object. Nobody: 401.");
        }
        for row in operation.roles {
            line(&mut text, &format!("\n## {}\n", heading(operation, row)));
            table(&mut text, row);
        }
    }
    text
}

fn heading(operation: &OperationRow, row: &Row) -> String {
    let mut text = format!("{}, {:?}: {}", operation.name, row.role, row.needs);
    if row.usage != 0 {
        let usage = CryptographicUsageMask(row.usage);
        // Writing to a string cannot fail.
        write!(text, "; usage {usage:?}, dates of {:?}", row.window).unwrap_or_default();
    }
    if row.optional {
        text.push_str("; passed over where it cannot be had");
    }
    text
}

/// What one caller gets, by type and state.
type Cells = Vec<(ObjectType, Vec<&'static str>)>;

fn table(text: &mut String, row: &Row) {
    let states: Vec<_> = ANY_STATE.iter().map(|state| lifecycle::name(*state)).collect();
    line(text, &format!("| who | type | {} |", states.join(" | ")));
    line(text, &format!("|---|---|{}", "---|".repeat(states.len())));
    for (who, cells) in grouped(Who::all().map(|who| (who.name(), cells(row, who)))) {
        let by_cells = cells.into_iter().map(|(kind, cells)| (format!("{kind:?}"), cells));
        for (kinds, cells) in grouped(by_cells) {
            let kinds = if kinds.len() == ANY_TYPE.len() { "any".into() } else { kinds.join(", ") };
            line(text, &format!("| {} | {kinds} | {} |", who.join(", "), cells.join(" | ")));
        }
    }
}

fn cells(row: &Row, who: Who) -> Cells {
    let of = |object_type: ObjectType| {
        let cells = ANY_STATE.iter().map(|state| spell(row, who, object_type, *state)).collect();
        (object_type, cells)
    };
    ANY_TYPE.iter().copied().map(of).collect()
}

fn spell(row: &Row, who: Who, object_type: ObjectType, state: State) -> &'static str {
    match cell(row, who, object_type, state) {
        Cell::Allowed if cell_with(row, who, object_type, state, 0) != Cell::Allowed => {
            "yes, usage"
        }
        Cell::Allowed => "yes",
        Cell::Unknown => "401",
        Cell::Refused(Refusal::Hidden) => "–",
        Cell::Refused(Refusal::Type) => "type",
        Cell::Refused(Refusal::Destroyed) => "gone",
        Cell::Refused(Refusal::State) => "state",
        Cell::Refused(Refusal::Usage) => "usage",
        Cell::Refused(Refusal::Date) => "date",
    }
}

/// The names of all that have the same value, in the order of their first.
fn grouped<T: PartialEq>(all: impl Iterator<Item = (String, T)>) -> Vec<(Vec<String>, T)> {
    let mut groups: Vec<(Vec<String>, T)> = Vec::new();
    for (name, value) in all {
        match groups.iter_mut().find(|(_, known)| *known == value) {
            Some((names, _)) => names.push(name),
            None => groups.push((vec![name], value)),
        }
    }
    groups
}

/// What each operation asks, one line each.
pub fn permissions() -> String {
    let mut text = String::from(
        "# Permissions\n\n\
         <!-- Made by `cargo xtask codegen` from the rows in crates/kms-core/src/operation. -->\n\n\
         What each operation asks of its caller. An object's owner may do everything with it; others may\n\
         do what was granted to them, by name or as one of everybody (`*`), and has not ended. What a\n\
         state, a type, a usage mask or a date forbids, it forbids the owner too:\n\
         [access-matrix.md](access-matrix.md). What the words mean:\n\
         [../decisions/0015-grants.md](../decisions/0015-grants.md).\n\n\
         | Operation | Asks for | Makes objects | Of other objects that it names |\n|---|---|---|---|\n",
    );
    for operation in ACCESS {
        let makes = match operation.makes {
            Makes::Nothing => "–",
            Makes::Objects => "yes: Create",
            Makes::UnlessReplaced => "where it replaces none: Create",
        };
        let others: Vec<_> = operation
            .roles
            .iter()
            .filter(|row| row.role != Role::Subject)
            .map(|row| format!("{:?}: {}", row.role, row.needs))
            .collect();
        let others = if others.is_empty() { "–".to_owned() } else { others.join("; ") };
        let (name, needs) = (operation.name, operation.needs);
        line(&mut text, &format!("| {name} | {needs} | {makes} | {others} |"));
    }
    text
}

impl std::fmt::Display for Needs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Grant(permission) => permission.name(),
            Self::AnyGrant => "any one permission",
            Self::Owner => "the owner alone",
            Self::Anyone => "anyone who knows the server",
        })
    }
}

fn line(text: &mut String, line: &str) {
    // Writing to a string cannot fail.
    writeln!(text, "{line}").unwrap_or_default();
}
