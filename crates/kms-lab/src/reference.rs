//! The reference pages that are made from the tables in the code.

use std::fmt::Write as _;

use kmip::Version;

use crate::Result;

/// What writes a page.
type Page = fn() -> String;

/// A page by its name, and what writes it.
const PAGES: &[(&str, Page)] = &[
    ("configuration", kms_config::document::reference),
    ("exit-codes", kms_config::exit::reference),
    ("operations", operations),
];

pub(crate) fn task(arguments: &[String]) -> Result<bool> {
    let name = arguments.first().map_or("", String::as_str);
    let (_, page) = PAGES.iter().find(|(page, _)| *page == name).ok_or("no such page")?;
    print!("{}", page());
    Ok(true)
}

fn operations() -> String {
    let mut page = "# Operations\n\n<!-- Made by `cargo xtask codegen` from crates/kmip/src/operation/mod.rs. -->\n\n\
        Which operation is spoken in which version of KMIP.\n\n| Operation |"
        .to_owned();
    for version in Version::ALL {
        _ = write!(page, " {version} |");
    }
    page.push_str("\n|---|");
    page.push_str(&"---|".repeat(Version::ALL.len()));
    for (operation, since) in kmip::operation::ALL {
        _ = write!(page, "\n| {} |", operation.name().unwrap_or_default());
        for version in Version::ALL {
            page.push_str(if version >= *since { " yes |" } else { " – |" });
        }
    }
    page.push('\n');
    page
}
