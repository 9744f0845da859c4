//! The access table as text: every operation, role, standing, state and type of object, and what
//! [`decide`](crate::access::decide) says. Reviewers read it; a test compares it with the golden
//! file. It must never decide anything itself.

use std::fmt::Write as _;

use kmip::enumerations::{ObjectType, State};

use crate::access::{ANY_STATE, ANY_TYPE, Needs, Refusal, Row, Standing, decide};
use crate::lifecycle;
use crate::operation::ACCESS;

/// The whole matrix: one line per role, standing and object type, one column per state.
pub fn access_matrix() -> String {
    let mut text = String::from(
        "# Access matrix\n\n\
         `yes`: allowed. `-`: the answer for an object that does not exist. `type`, `gone`, `state`,\n\
         `usage`: refused, and why. `granted` is a user who was granted the permission of the row.\n\
         The usage mask is complete in these rows; `usage` shows what an empty one does to an owner.\n\n",
    );
    let states: Vec<_> = ANY_STATE.iter().map(|state| lifecycle::name(*state)).collect();
    for (operation, rows) in ACCESS {
        if rows.is_empty() {
            line(&mut text, &format!("## {operation}: names no object\n"));
        }
        for row in *rows {
            line(&mut text, &format!("## {operation}, {:?}: {}\n", row.role, needs(row)));
            line(&mut text, &format!("| who | type | {} |", states.join(" | ")));
            line(&mut text, &format!("|---|---|{}", "---|".repeat(states.len())));
            for standing in [Standing::Owner, Standing::Granted, Standing::Stranger] {
                for object_type in ANY_TYPE {
                    line(&mut text, &cells(row, standing, *object_type));
                }
            }
            text.push('\n');
        }
    }
    text
}

fn needs(row: &Row) -> String {
    let permission = match row.needs {
        Needs::Grant(permission) => format!("permission {}", permission.name()),
        Needs::Owner => "the owner alone".to_owned(),
    };
    let usage = match row.usage {
        0 => String::new(),
        usage => format!(", usage {:?}", kmip::enumerations::CryptographicUsageMask(usage)),
    };
    let optional = if row.optional { ", passed over where it cannot be had" } else { "" };
    format!("{permission}{usage}, dates {:?}{optional}", row.window)
}

fn cells(row: &Row, standing: Standing, object_type: ObjectType) -> String {
    let cell = |state: &State| match decide(row, standing, object_type, *state, row.usage) {
        Ok(()) if decide(row, standing, object_type, *state, 0).is_err() => "yes (usage)",
        Ok(()) => "yes",
        Err(Refusal::Hidden) => "-",
        Err(Refusal::Type) => "type",
        Err(Refusal::Destroyed) => "gone",
        Err(Refusal::State) => "state",
        Err(Refusal::Usage) => "usage",
        Err(Refusal::Date) => "date",
    };
    let cells: Vec<_> = ANY_STATE.iter().map(cell).collect();
    format!("| {standing:?} | {object_type:?} | {} |", cells.join(" | "))
}

fn line(text: &mut String, line: &str) {
    // Writing to a string cannot fail.
    writeln!(text, "{line}").unwrap_or_default();
}
