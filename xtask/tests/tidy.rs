//! What a reader must be able to rely on and a reviewer should not have to look for: the rules of
//! the tree, as a test.
#![expect(clippy::unwrap_used, clippy::string_slice, clippy::panic, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The most lines of a file that is not a table.
const LINES_MAX: usize = 800;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every file below `directory` that ends in one of `endings`, without what is built.
fn files(directory: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(directory) else { return found };
    for entry in entries {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !matches!(
                name.as_str(),
                "target" | "node_modules" | ".git" | "corpus" | "artifacts" | "work"
            ) {
                found.extend(files(&path, endings));
            }
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().to_string_lossy().into_owned()
}

fn crates() -> BTreeMap<String, PathBuf> {
    let mut crates = BTreeMap::new();
    for entry in std::fs::read_dir(root().join("crates")).unwrap() {
        let path = entry.unwrap().path();
        if path.join("Cargo.toml").exists() {
            crates.insert(path.file_name().unwrap().to_string_lossy().into_owned(), path);
        }
    }
    crates.insert("xtask".to_owned(), root().join("xtask"));
    crates
}

/// The names in a section of a manifest, such as `dependencies`.
fn section(manifest: &str, wanted: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut inside = false;
    for line in manifest.lines() {
        if let Some(header) = line.strip_prefix('[') {
            let header = header.trim_end_matches(']');
            inside = header == wanted || header.ends_with(&format!(".{wanted}"));
            if let Some(name) = header.strip_prefix(&format!("{wanted}.")) {
                names.insert(name.to_owned());
            }
        } else if inside && line.starts_with(|first: char| first.is_ascii_alphabetic()) {
            let end = line.find(['.', ' ', '=']).unwrap();
            names.insert(line[..end].to_owned());
        }
    }
    names
}

/// Collects what is wrong, so that one run shows all of it.
#[derive(Default)]
struct Faults(String);

impl Faults {
    fn add(&mut self, fault: impl std::fmt::Display) {
        writeln!(self.0, "- {fault}").unwrap();
    }

    fn none(self, rule: &str) {
        assert!(self.0.is_empty(), "{rule}\n{}", self.0);
    }
}

#[test]
fn the_crates_depend_on_each_other_as_architecture_says() {
    let document = read(&root().join("ARCHITECTURE.md"));
    let crates = crates();
    let mut allowed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in document.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let name = cells[1].trim_matches('`').to_owned();
        let depends = cells[3].split(',').map(|cell| cell.trim().trim_matches('`').to_owned());
        allowed.insert(name, depends.filter(|name| name != "–").collect());
    }
    let mut faults = Faults::default();
    for (name, path) in &crates {
        let Some(allowed) = allowed.get(name) else {
            faults.add(format_args!("{name} has no row in ARCHITECTURE.md"));
            continue;
        };
        for dependency in section(&read(&path.join("Cargo.toml")), "dependencies") {
            if crates.contains_key(&dependency) && !allowed.contains(&dependency) {
                faults.add(format_args!("{name} depends on {dependency}, which its row forbids"));
            }
        }
    }
    for name in allowed.keys().filter(|name| !crates.contains_key(*name)) {
        faults.add(format_args!("ARCHITECTURE.md has a row for {name}, which is not there"));
    }
    faults.none("the graph of the crates is the table in ARCHITECTURE.md");
}

#[test]
fn every_path_in_architecture_exists() {
    let document = read(&root().join("ARCHITECTURE.md"));
    let mut faults = Faults::default();
    let mut seen = 0;
    for quoted in document.split('`').skip(1).step_by(2) {
        if !quoted.contains('/') || quoted.contains([' ', '<', '#']) {
            continue;
        }
        seen += 1;
        if !root().join(quoted).exists() {
            faults.add(quoted);
        }
    }
    assert!(seen > 5, "the paths are no longer found in ARCHITECTURE.md");
    faults.none("a path named in ARCHITECTURE.md does not exist");
}

#[test]
fn sql_and_http_stay_where_they_belong() {
    let homes: &[(&[&str], &[&str])] = &[
        (&["rusqlite", "sqlx", "libsqlite3-sys"], &["kms-store"]),
        (&["axum", "tower", "tower-http"], &["kms-server"]),
        (&["hyper", "hyper-util"], &["kms-server", "kms-client", "kms-tls"]),
        (&["reqwest"], &["kms-outbound"]),
        (&["jsonwebtoken"], &["kms-auth"]),
        (&["aws-lc-sys"], &["kms-crypto"]),
        // The test kit signs tokens as an identity provider would, and the store encrypts its password to
        // a database as the protocol of MySQL says.
        (&["aws-lc-rs"], &["kms-crypto", "kms-store", "kms-testkit"]),
        (&["clap", "dotenvy"], &["kms-config", "kms-cli"]),
    ];
    let mut faults = Faults::default();
    for (name, path) in crates() {
        let manifest = read(&path.join("Cargo.toml"));
        for (dependencies, homes) in homes {
            for dependency in *dependencies {
                if section(&manifest, "dependencies").contains(*dependency)
                    && !homes.contains(&name.as_str())
                {
                    faults.add(format_args!("{name} depends on {dependency}; only {homes:?} may"));
                }
            }
        }
    }
    faults.none("a driver or framework is used outside its home");
}

#[test]
fn every_crate_takes_the_workspace_s_lints() {
    let mut faults = Faults::default();
    for (name, path) in crates() {
        let manifest = read(&path.join("Cargo.toml"));
        if !manifest.contains("[lints]\nworkspace = true") {
            faults.add(&name);
        }
        if !manifest.contains("publish.workspace = true") {
            faults.add(format_args!("{name}: publish.workspace = true is missing"));
        }
    }
    faults.none("a manifest lacks what all have");
}

#[test]
fn every_module_says_what_it_is() {
    let mut faults = Faults::default();
    for path in sources() {
        let text = read(&path);
        let first = text.lines().find(|line| !line.trim().is_empty() && *line != "// A table.");
        if !first.unwrap_or_default().starts_with("//!") {
            faults.add(relative(&path));
        }
    }
    faults.none("a module does not open with //!");
}

#[test]
fn no_file_is_long_unless_it_is_a_table() {
    let mut faults = Faults::default();
    for path in sources() {
        let text = read(&path);
        let lines = text.lines().count();
        if lines > LINES_MAX && text.lines().next() != Some("// A table.") {
            faults.add(format_args!("{}: {lines} lines", relative(&path)));
        }
    }
    faults.none("a file is too long; split it, or open a flat table with `// A table.`");
}

#[test]
fn no_crate_hands_on_the_items_of_another() {
    let mut faults = Faults::default();
    for path in sources() {
        for line in read(&path).lines() {
            let Some(used) = line.trim_start().strip_prefix("pub use ") else { continue };
            let text = read(&path);
            let first = used.split("::").next().unwrap().trim_end_matches(';');
            let own = matches!(first, "crate" | "self" | "super")
                || text.contains(&format!("mod {first};"))
                || text.contains(&format!("mod {first} {{"));
            if !own {
                faults.add(format_args!("{}: {line}", relative(&path)));
            }
        }
    }
    faults.none("`pub use` of another crate's items: import from where they live");
}

#[test]
fn no_source_file_is_left_out_of_the_build() {
    let mut faults = Faults::default();
    for (_, path) in crates() {
        let sources = files(&path.join("src"), &[".rs"]);
        let all: String = sources.iter().map(|path| read(path)).collect();
        for source in sources {
            let stem = source.file_stem().unwrap().to_string_lossy().into_owned();
            let folder =
                source.parent().unwrap().file_name().unwrap().to_string_lossy().into_owned();
            let name = if stem == "mod" { folder.clone() } else { stem };
            let is_root = matches!(name.as_str(), "lib" | "main") || folder == "bin";
            let declared = ["mod ", "path = \""].iter().any(|before| {
                all.contains(&format!("{before}{name};"))
                    || all.contains(&format!("{before}{name}.rs\""))
                    || all.contains(&format!("/{name}.rs\""))
            });
            // A table of modules, as of operations or commands, may declare them by a macro.
            if !is_root && !declared && !all.contains(&format!("{name},")) && !all.contains(&name) {
                faults.add(relative(&source));
            }
        }
    }
    faults.none("a file is no module of its crate");
}

#[test]
fn nothing_is_left_to_do_and_nothing_names_one_machine() {
    // Spelt so that this file does not find itself.
    let words = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X:"),
        concat!("HA", "CK:"),
        concat!("\"/", "root/"),
        concat!("/wo", "rk/"),
        concat!("the iss", "ue"),
        concat!("this iss", "ue"),
        concat!("iss", "ue #"),
        concat!("Clau", "de"),
        concat!("as an A", "I"),
    ];
    // Who makes tokens is no note to oneself.
    let others = [concat!("iss", "uer"), concat!("iss", "ued")];
    let mut paths = files(&root(), &[".rs", ".md", ".toml", ".sh", ".sql", ".txt", ".yml", ".mjs"]);
    paths.push(root().join(".ci/run"));
    let mut faults = Faults::default();
    for path in paths {
        for (number, line) in read(&path).lines().enumerate() {
            let line = others.iter().fold(line.to_owned(), |line, other| line.replace(other, ""));
            if let Some(word) = words.iter().find(|word| line.contains(**word)) {
                faults.add(format_args!("{}:{}: {word}", relative(&path), number + 1));
            }
        }
    }
    faults.none("a note to oneself, or a path or word of where this was written");
}

#[test]
fn no_test_is_ignored() {
    let mut faults = Faults::default();
    for path in files(&root(), &[".rs"]) {
        for line in read(&path).lines() {
            if line.trim_start().starts_with("#[ignore") {
                faults.add(relative(&path));
            }
        }
    }
    faults.none("a test is ignored: mend it or take it away");
}

#[test]
fn every_route_is_in_the_documentation() {
    let table = read(&root().join("crates/kms-server/src/http/mod.rs"));
    let document = read(&root().join("docs/protocol.md"));
    let rows = table.split_once("\nroutes! {").expect("the table of routes").1;
    let rows = rows.split_once("\n}").expect("its end").0;
    let mut faults = Faults::default();
    for row in rows.lines().filter(|row| !row.trim().is_empty()) {
        let path = row.split('"').nth(1).expect("a path in each row");
        let method = row.split_whitespace().next().expect("a method");
        let method = if method == "@kmip" { "POST" } else { method };
        if !document.contains(&format!("`{method} {path}`")) {
            faults.add(format_args!("`{method} {path}`"));
        }
    }
    faults.none("a route is not in docs/protocol.md");
}

#[test]
fn released_migrations_do_not_change() {
    let listed = read(&root().join("xtask/tests/migrations.txt"));
    let mut expected: BTreeMap<&str, &str> = BTreeMap::new();
    for line in listed.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (hash, path) = line.split_once("  ").expect("a hash and a path");
        expected.insert(path, hash);
    }
    let mut faults = Faults::default();
    for path in files(&root().join("crates/kms-store/migrations"), &[".sql"]) {
        let name = relative(&path);
        let hash = format!("{:032x}", fnv(read(&path).as_bytes()));
        match expected.remove(name.as_str()) {
            None => faults.add(format_args!("not listed: {hash}  {name}")),
            Some(listed) if listed != hash => faults.add(format_args!(
                "changed: {name}; write a new migration instead (its hash is {hash})"
            )),
            Some(_) => {}
        }
    }
    for name in expected.keys() {
        faults.add(format_args!("gone: {name}"));
    }
    faults.none("migrations only ever get more: xtask/tests/migrations.txt");
}

/// FNV-1a of 128 bits: enough against a change that nobody meant.
fn fnv(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, |hash, byte| {
        (hash ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    })
}

#[test]
fn the_unsupported_cases_each_have_a_reason() {
    let mut faults = Faults::default();
    for line in read(&root().join("xtask/conformance/unsupported.txt")).lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match line.split_once(": ") {
            Some((case, reason)) if case.contains(".xml") && reason.len() > 10 => {}
            _ => faults.add(line),
        }
    }
    faults.none("`path/of/case.xml: why it is not supported`");
}

/// All Rust files that are built as part of the workspace.
fn sources() -> Vec<PathBuf> {
    let mut sources = Vec::new();
    for (_, path) in crates() {
        for folder in ["src", "tests", "examples", "benches"] {
            sources.extend(files(&path.join(folder), &[".rs"]));
        }
    }
    sources
}
