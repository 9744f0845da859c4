// A table.
//! The commands of `kms-server` beside serving. To add one, add its row here; its words come before
//! the options, which mean for it what they mean for the server.

use std::collections::BTreeMap;

use crate::resolve::Problem;

/// What a command takes beside the options.
#[derive(Debug, PartialEq, Eq)]
pub struct Operand {
    /// Its name, and what stands for its value in the help text.
    pub name: &'static str,
    /// How it is introduced, such as `--user`; none for a bare word.
    pub argument: Option<&'static str>,
    /// Whether the command cannot do without it.
    pub required: bool,
    /// Whether it is there or not, and has no value.
    pub flag: bool,
    /// What it is for.
    pub help: &'static str,
}

/// A command, as it is documented.
#[derive(Debug, PartialEq, Eq)]
pub struct Command {
    /// Its words.
    pub name: &'static str,
    /// What it takes.
    pub operands: &'static [Operand],
    /// What it does, in one sentence.
    pub help: &'static str,
}

/// A command that was given, with its operands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// Which.
    pub command: &'static Command,
    /// Its operands by name.
    pub operands: BTreeMap<&'static str, String>,
}

impl Given {
    /// The operand of this name, where it was given.
    pub fn operand(&self, name: &str) -> Option<&str> {
        self.operands.get(name).map(String::as_str)
    }
}

const fn word(name: &'static str, help: &'static str) -> Operand {
    Operand { name, argument: None, required: true, flag: false, help }
}

const fn optional_word(name: &'static str, help: &'static str) -> Operand {
    Operand { name, argument: None, required: false, flag: false, help }
}

const fn needed(name: &'static str, argument: &'static str, help: &'static str) -> Operand {
    Operand { name, argument: Some(argument), required: true, flag: false, help }
}

const fn optional(name: &'static str, argument: &'static str, help: &'static str) -> Operand {
    Operand { name, argument: Some(argument), required: false, flag: false, help }
}

const fn flag(argument: &'static str, help: &'static str) -> Operand {
    Operand { name: argument, argument: Some(argument), required: false, flag: true, help }
}

/// The words of `token create`.
pub const TOKEN_CREATE: &str = "token create";
/// The words of `token list`.
pub const TOKEN_LIST: &str = "token list";
/// The words of `token revoke`.
pub const TOKEN_REVOKE: &str = "token revoke";
/// The words of `audit verify`.
pub const AUDIT_VERIFY: &str = "audit verify";

/// The words of `keyring show`.
pub const KEYRING_SHOW: &str = "keyring show";
/// The words of `keyring protect`.
pub const KEYRING_PROTECT: &str = "keyring protect";
/// The words of `keyring rotate`.
pub const KEYRING_ROTATE: &str = "keyring rotate";

/// The words of `migrate`.
pub const MIGRATE: &str = "migrate";
/// What makes `migrate` only look.
pub const CHECK: &str = "--check";

/// The words of `export`.
pub const EXPORT: &str = "export";
/// The words of `import`.
pub const IMPORT: &str = "import";
/// The words of `verify`.
pub const VERIFY: &str = "verify";
/// What makes `import` only say what it would do.
pub const DRY_RUN: &str = "--dry-run";
/// The operand that is an archive.
pub const ARCHIVE: &str = "ARCHIVE";
/// The operand that is a file with a key.
pub const KEY_FILE: &str = "KEY";
/// The operand that is a file with a passphrase.
pub const PASSPHRASE_FILE: &str = "PASSPHRASE";

const KEY: Operand =
    optional(KEY_FILE, "--key-file", "The file with the 32 bytes that the archive is encrypted to");
const PASSPHRASE: Operand = optional(
    PASSPHRASE_FILE,
    "--passphrase-file",
    "The file with the passphrase that the archive is encrypted to",
);

/// Every command.
pub static COMMANDS: &[Command] = &[
    Command {
        name: TOKEN_CREATE,
        operands: &[
            word("NAME", "The token's name; its user is `token:NAME` unless --as says otherwise"),
            optional("USER", "--as", "The user that a caller with this token is"),
            optional("TIME", "--expires", "When it ends: 2027-01-31, 2027-01-31T12:00:00Z or 90d"),
        ],
        help: "Makes an API token for a machine and prints it, once; only its hash is kept.",
    },
    Command {
        name: TOKEN_LIST,
        operands: &[],
        help: "Lists the API tokens, without their secrets.",
    },
    Command {
        name: TOKEN_REVOKE,
        operands: &[word("NAME", "The token's name")],
        help: "Revokes an API token for good.",
    },
    Command {
        name: AUDIT_VERIFY,
        operands: &[optional(
            "NUMBER",
            "--from",
            "The first record that is still there, the first of a file: older files were put away",
        )],
        help: "Checks the audit log: names the first record that was changed, removed or cut off.",
    },
    Command {
        name: KEYRING_SHOW,
        operands: &[],
        help: "Shows the data keys: what protects each, how many rows it seals, how far a rotation is.",
    },
    Command {
        name: KEYRING_PROTECT,
        operands: &[
            Operand {
                name: "KIND",
                argument: Some("--with"),
                required: true,
                flag: false,
                help: "file (a root key) or clear (nothing)",
            },
            optional(
                "FILE",
                "--new-root-key",
                "The root key from now on; else the server's own, which is made if it is not there",
            ),
        ],
        help: "Changes what protects the data keys; out of the clear, everything is sealed anew.",
    },
    Command {
        name: KEYRING_ROTATE,
        operands: &[],
        help: "Makes a new data key and seals everything anew with it, beside servers or alone.",
    },
    Command {
        name: MIGRATE,
        operands: &[flag(CHECK, "Changes nothing; ends with code 1 where steps are missing")],
        help: "Brings the database's schema up to date, as the server does at its start.",
    },
    Command {
        name: EXPORT,
        operands: &[
            needed(ARCHIVE, "--to", "The file that is made; it must not be there yet"),
            KEY,
            PASSPHRASE,
        ],
        help: "Writes all that the database holds at one moment into an encrypted archive.",
    },
    Command {
        name: IMPORT,
        operands: &[
            needed(ARCHIVE, "--from", "The archive"),
            KEY,
            PASSPHRASE,
            flag(DRY_RUN, "Says what it would do, and changes nothing"),
        ],
        help: "Brings all that is in an archive into the database, or nothing of it.",
    },
    Command {
        name: VERIFY,
        operands: &[optional_word(ARCHIVE, "The archive"), KEY, PASSPHRASE],
        help: "Checks that an archive is whole and that everything in it opens, without a database.",
    },
];

/// Takes the command's words off `arguments`, if they begin with one.
pub(crate) fn find(arguments: &[std::ffi::OsString]) -> Option<(&'static Command, usize)> {
    COMMANDS.iter().find_map(|command| {
        let count = command.name.split(' ').count();
        let given = arguments.get(..count)?.iter().map(|word| word.to_str());
        let same = given.eq(command.name.split(' ').map(Some));
        same.then_some((command, count))
    })
}

/// What is wrong with the operands of a command.
pub(crate) fn check(given: &Given, problems: &mut Vec<Problem>) {
    for operand in given.command.operands.iter().filter(|operand| operand.required) {
        if given.operand(operand.name).is_none() {
            problems.push(Problem::new(
                format!("{}: {} is missing", given.command.name, operand.name),
                format!("{}.", operand.help),
            ));
        }
    }
}
