// A table.
//! What this build is: one constant table, shown by `--version`, `/version` and the start-up
//! report.

use kms_config::Build;

/// What sets one build apart from another.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// Which build.
    pub build: Build,
    /// How callers reach it.
    pub transport: &'static str,
    /// Where its certificate comes from.
    pub certificate: &'static str,
    /// How the data key may rest.
    pub data_key: &'static str,
    /// What becomes of tokens that have expired.
    pub expired_tokens: &'static str,
    /// Who may read metrics and details.
    pub operators: &'static str,
    /// What a server of this build still lacks; it does not start while anything is here.
    pub missing: &'static [(&'static str, &'static str)],
}

/// What keeps the builds that serve HTTPS from starting.
const MISSING: &[(&str, &str)] = &[
    ("HTTPS", "this version serves plain HTTP only, and keys do not travel in the clear"),
    ("a certificate", "without HTTPS there is nothing to obtain one for"),
];

/// The builds.
pub const BUILDS: [Facts; 3] = [
    Facts {
        build: Build::Dev,
        transport: "HTTP",
        certificate: "none",
        data_key: "in the clear, unless a root key is named",
        expired_tokens: "accepted",
        operators: "anyone",
        missing: &[],
    },
    Facts {
        build: Build::Staging,
        transport: "HTTPS",
        certificate: "obtained and renewed by itself, from the staging directory",
        data_key: "protected by a root key",
        expired_tokens: "accepted",
        operators: "loopback",
        missing: MISSING,
    },
    Facts {
        build: Build::Production,
        transport: "HTTPS",
        certificate: "obtained and renewed by itself",
        data_key: "protected by a root key",
        expired_tokens: "refused",
        operators: "loopback",
        missing: MISSING,
    },
];

/// This build.
pub const FACTS: Facts = if cfg!(feature = "dev") {
    BUILDS[0]
} else if cfg!(feature = "staging") {
    BUILDS[1]
} else {
    BUILDS[2]
};

/// The version of the program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

impl Facts {
    /// The text of `--version`.
    pub fn version(&self) -> String {
        format!(
            "kms-server {VERSION}\nbuild: {}\ntransport: {}\ncertificate: {}\ndata key: {}\n\
             expired tokens: {}\nmetrics and details for: {}\n",
            self.build.name(),
            self.transport,
            self.certificate,
            self.data_key,
            self.expired_tokens,
            self.operators,
        )
    }

    /// The version in one line, as `/version` gives it.
    pub fn short(&self) -> String {
        format!("{VERSION} (AWS-LC, {})", self.build.name())
    }

    /// Why a build with something missing does not start.
    pub fn refusal(&self) -> String {
        let mut lines = String::new();
        for (what, why) in self.missing {
            lines.extend(["  ", what, ": ", why, "\n"]);
        }
        format!(
            "The {} build does not start: it is not yet safe to serve keys with it. Missing:\n\
             {lines}To try the server on this machine, start the dev build:\n  \
             cargo run --release --features dev\n",
            self.build.name()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_production_build_says_all_that_is_missing() {
        let text = BUILDS[2].refusal();
        assert!(text.contains("HTTPS:") && text.contains("a certificate:"));
        assert!(text.contains("cargo run --release --features dev"));
        assert!(BUILDS[0].missing.is_empty());
    }

    #[test]
    fn what_is_said_of_tokens_is_true() {
        for facts in BUILDS {
            let rules = kms_auth::rules::of(facts.build.name());
            assert_eq!(rules.build, facts.build.name());
            assert_eq!(rules.expiry_verified, facts.expired_tokens == "refused");
        }
    }

    #[test]
    fn the_version_says_what_the_build_is() {
        assert!(BUILDS[0].version().contains("build: dev\ntransport: HTTP\n"));
        assert!(BUILDS[2].version().contains("transport: HTTPS\n"));
    }
}
