// A table.
//! The exit codes of the server: one for each cause that a supervisor may want to tell apart.

macro_rules! exits {
    ($($name:ident = $code:literal, $meaning:literal, $remedy:literal;)*) => {
        /// Why the server ended.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Exit {
            $(#[doc = $meaning] $name = $code,)*
        }

        /// Every exit code: the code, what happened, what to do.
        pub static EXITS: &[(Exit, &str, &str)] = &[$((Exit::$name, $meaning, $remedy),)*];
    };
}

exits! {
    Success = 0, "The server was told to stop and stopped.", "Nothing.";
    Failure = 1, "Something that has no code of its own, or a second signal that cut running requests off.", "Read the last lines of the log.";
    Configuration = 2, "An option is wrong or missing, or the address cannot be used.", "The message lists every problem with what is allowed; nothing was touched.";
    Database = 3, "The database cannot be opened, read or written.", "The message names the file or address and the command that mends it.";
    Certificate = 4, "The TLS certificate or its key cannot be obtained or read.", "Check the paths, the domain name and the certificate authority's answer in the log.";
    Keyring = 5, "The keyring or a sealed file cannot be opened, or is sealed for another place or in another way.", "Start the server with the protection under which the keyring was made.";
    Held = 6, "Another server holds the database.", "Stop the other server, or give this one another `KMS_ROOT_DIR`.";
    Future = 7, "The database was written by a newer version of the server.", "Start the newer version; an older one never touches the file.";
    DemoExpired = 8, "The demonstration build is past its last day.", "Build the server again, without the demonstration's time limit.";
    Attestation = 9, "The place where the server runs could not be proven.", "Check that the enclave, its measurement and its policy are those expected.";
    Audit = 10, "The audit log cannot be opened, read or written.", "The message names the file or directory and what is wrong with it.";
    Altered = 11, "`audit verify` found that the audit log was altered (a record was changed, removed, moved, put in or cut off), `verify` or `import` that an archive was, or `export` that a row of the database was.", "The message names the first such record, frame or row. Keep the files and the database as they are, and find out who could write them.";
}

impl Exit {
    /// The code that the process ends with.
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// The page `docs/reference/exit-codes.md`.
pub fn reference() -> String {
    let line = |(exit, meaning, remedy): &(Exit, &str, &str)| {
        format!("| {} | {meaning} | {remedy} |\n", exit.code())
    };
    let lines: String = EXITS.iter().map(line).collect();
    format!(
        "# Exit codes of `kms-server`\n\n\
         <!-- Made by `cargo xtask codegen` from crates/kms-config/src/exit.rs. -->\n\n\
         | Code | What happened | What to do |\n|---|---|---|\n{lines}"
    )
}
