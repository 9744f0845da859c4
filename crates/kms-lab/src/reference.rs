//! The reference pages that are made from the tables in the code.

use std::fmt::Write as _;

use kmip::Version;
use kmip::enumerations::{BlockCipherMode, PaddingMethod};
use kms_crypto::asymmetric::ec::Curve;

use crate::Result;

/// What writes a page.
type Page = fn() -> String;

/// A page by its name, and what writes it.
const PAGES: &[(&str, Page)] = &[
    ("configuration", kms_config::document::reference),
    ("exit-codes", kms_config::exit::reference),
    ("operations", operations),
    ("algorithms", algorithms),
    ("permissions", kms_core::permissions),
    ("access-matrix", kms_core::access_matrix),
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

fn algorithms() -> String {
    let mut page = "# Algorithms\n\n<!-- Made by `cargo xtask codegen` from crates/kms-core/src/mechanism/mod.rs. -->\n\n\
        ## Encryption and wrapping\n\n\
        Cryptographic Parameters, of the request or else of the key, choose the first row that fits; a\n\
        dash stands for leaving the field out. What is in no row is refused.\n\n\
        | Mechanism | Key | Block Cipher Mode | Padding Method | FIPS 140-3 | Known answers |\n\
        |---|---|---|---|---|---|\n"
        .to_owned();
    for row in kms_core::MECHANISMS {
        let modes = row.modes.iter().map(|mode| mode.and_then(BlockCipherMode::name));
        let paddings = row.paddings.iter().map(|padding| padding.and_then(PaddingMethod::name));
        _ = writeln!(
            page,
            "| {} | {} | {} | {} | {} | {} |",
            row.name,
            row.algorithm.name().unwrap_or_default(),
            list(modes),
            list(paddings),
            if row.fips { "yes" } else { "no" },
            row.vectors.join(", "),
        );
    }
    page.push_str("\n## Key pairs\n\nRSA of 2048, 3072 and 4096 bits; the curves");
    for (number, curve) in Curve::ALL.iter().enumerate() {
        page.push_str(if number == 0 { " " } else { ", " });
        page.push_str(curve.name());
    }
    page.push_str(".\n");
    page
}

fn list(names: impl Iterator<Item = Option<&'static str>>) -> String {
    names.map(|name| name.unwrap_or("–")).collect::<Vec<_>>().join(", ")
}
