//! What sets one build apart from another in whom it believes: one table.
//!
//! Everything that is not in it is the same in every build. Must not know how tokens are checked.

/// What a build does without an audience, while an authority is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAudience {
    /// It starts and warns, since tokens for the authority's other applications are accepted.
    Warns,
    /// It does not start.
    Refuses,
}

/// The rules of one build.
#[derive(Debug, PartialEq, Eq)]
pub struct Rules {
    /// The build's name.
    pub build: &'static str,
    /// Whether a token past its `exp` is refused; it must have one in every build.
    pub expiry_verified: bool,
    /// What the build does where no audience is configured.
    pub no_audience: NoAudience,
    /// Whether an authority on this machine may be reached over plain HTTP.
    pub plain_loopback: bool,
}

/// The builds. `docs/identity.md` has the same table.
pub static RULES: [Rules; 3] = [
    Rules {
        build: "dev",
        expiry_verified: false,
        no_audience: NoAudience::Warns,
        plain_loopback: true,
    },
    Rules {
        build: "staging",
        expiry_verified: false,
        no_audience: NoAudience::Warns,
        plain_loopback: false,
    },
    Rules {
        build: "production",
        expiry_verified: true,
        no_audience: NoAudience::Refuses,
        plain_loopback: false,
    },
];

/// The rules of the build of this name; of one that is not known, the strictest.
pub fn of(build: &str) -> &'static Rules {
    let [_, _, production] = &RULES;
    RULES.iter().find(|rules| rules.build == build).unwrap_or(production)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_are_as_documented() {
        let document = include_str!("../../../docs/identity.md");
        for rules in &RULES {
            let row = format!(
                "| `{}` | {} | {} | {} |",
                rules.build,
                if rules.expiry_verified { "refused" } else { "accepted" },
                match rules.no_audience {
                    NoAudience::Warns => "starts, and warns",
                    NoAudience::Refuses => "does not start",
                },
                if rules.plain_loopback { "on loopback" } else { "never" },
            );
            assert!(document.contains(&row), "docs/identity.md has no row {row}");
        }
    }

    #[test]
    fn a_build_that_is_not_known_is_strict() {
        assert_eq!(of("dev").build, "dev");
        assert_eq!(of("other").build, "production");
    }
}
