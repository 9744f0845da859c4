//! What a credential calls its user becomes the one name that rights are held by.
//!
//! An e-mail address is a user by itself; whatever else a scheme vouches for stands in a scope of
//! its own (`cert:`, `token:`, `user:`, `client:`), so that no scheme can speak for another's users,
//! unless the operator's map says otherwise. The users of a further authority stand behind its
//! issuer. Must not know how a credential is judged.

use std::collections::HashMap;

use kms_core::{ADMIN, EVERYBODY, SCOPES, normal_user};

/// The scope of names in client certificates.
pub const CERTIFICATE: &str = "cert:";
/// The scope of API tokens.
pub const TOKEN: &str = "token:";
/// The scope of names that come with a password.
pub const USER: &str = "user:";
/// The scope of programs that an authority gave a token to.
pub const CLIENT: &str = "client:";

/// What stands between an issuer and its user.
const OF_ISSUER: char = '|';

/// How the names of further authorities' users begin.
const URLS: [&str; 2] = ["http://", "https://"];

/// Why a text names no user: for the caller and for the log, as it holds nothing of the text.
pub type Reason = &'static str;

/// Turns the names in credentials into users. Made once, from the options.
#[derive(Clone, Debug, Default)]
pub struct Names {
    map: HashMap<String, String>,
    certificate_emails: bool,
}

impl Names {
    /// The names of a server whose operator wrote `map` (pairs of a name in a scope and the user that
    /// it is) and said whether an e-mail address in a certificate is the user of that address. What is
    /// wrong with the map is said in a sentence.
    pub fn new(map: &[(String, String)], certificate_emails: bool) -> Result<Self, String> {
        let mut known = HashMap::new();
        for (name, user) in map {
            let key = key(name).map_err(|reason| format!("{name}: {reason}"))?;
            let user = normal_user(user).map_err(|reason| format!("{name}={user}: {reason}"))?;
            if user == EVERYBODY {
                return Err(format!("{name}={user}: a name is one user, not everybody"));
            }
            if known.insert(key, user).is_some() {
                return Err(format!("{name}: it is mapped twice"));
            }
        }
        Ok(Self { map: known, certificate_emails })
    }

    /// The user of an e-mail address: that address in its normal form.
    pub fn address(&self, text: &str) -> Result<String, Reason> {
        address(text)
    }

    /// The user of `text` in `scope`: `cert:NAME`, or what the map says.
    pub fn scoped(&self, scope: &'static str, text: &str) -> Result<String, Reason> {
        self.mapped(&format!("{scope}{text}"))
    }

    /// The user of an address or another name in a certificate. Whatever has an `@` is an address,
    /// in whichever field it stands.
    pub fn certificate(&self, text: &str) -> Result<String, Reason> {
        if !text.contains('@') {
            return self.scoped(CERTIFICATE, text);
        }
        let address = address(text)?;
        let name = format!("{CERTIFICATE}{address}");
        match self.map.get(&name) {
            Some(user) => Ok(user.clone()),
            None if self.certificate_emails => Ok(address),
            None => normal_user(&name),
        }
    }

    /// The user `user` of a further authority, which must be what [`Names::address`] returned:
    /// `ISSUER|user`, or what the map says of that.
    pub fn of_issuer(&self, issuer: &str, user: &str) -> Result<String, Reason> {
        if issuer.contains(OF_ISSUER) || !begins_with_any(issuer, &URLS) {
            return Err("an issuer is a URL without |");
        }
        self.mapped(&format!("{issuer}{OF_ISSUER}{user}"))
    }

    /// The program `id` of an authority: `client:ID`, or `ISSUER|client:ID` where the authority is a
    /// further one; or what the map says of that.
    pub fn client(&self, issuer: Option<&str>, id: &str) -> Result<String, Reason> {
        match issuer {
            None => self.scoped(CLIENT, id),
            Some(issuer) if !id.is_empty() => self.of_issuer(issuer, &format!("{CLIENT}{id}")),
            Some(_) => Err(NO_NAME),
        }
    }

    /// The user that an operator has named, once more through the map: its sides are names too.
    pub(crate) fn mapped(&self, name: &str) -> Result<String, Reason> {
        if let Some(user) = self.map.get(name) {
            return Ok(user.clone());
        }
        if SCOPES.contains(&name) {
            return Err(NO_NAME);
        }
        normal_user(name)
    }
}

const NO_NAME: Reason = "there is no name behind the scope";

/// The left side of the map, as it is looked up. A name may have blanks there, and nowhere else.
fn key(name: &str) -> Result<String, Reason> {
    if begins_with_any(name, &URLS) {
        return normal_user(name);
    }
    if SCOPES.contains(&name) {
        return Err(NO_NAME);
    }
    match name.strip_prefix(CERTIFICATE) {
        // Addresses have one form here too.
        Some(text) if text.contains('@') => {
            address(text).map(|address| format!("{CERTIFICATE}{address}"))
        }
        _ if begins_with_any(name, &SCOPES) => Ok(name.to_owned()),
        _ => Err("only names in a scope (cert:, token:, user:, client:) \
                  and those of a further authority (ISSUER|USER) can be mapped"),
    }
}

fn address(text: &str) -> Result<String, Reason> {
    let user = normal_user(text)?;
    // All of these are other users' names, and would be even if they had an @.
    if user == ADMIN
        || user == EVERYBODY
        || begins_with_any(&user, &SCOPES)
        || begins_with_any(&user, &URLS)
    {
        return Err("an e-mail address does not begin like another kind of name");
    }
    if user.contains(OF_ISSUER) {
        return Err("an e-mail address of a user has no |");
    }
    match user.split_once('@') {
        Some((local, domain))
            if !local.is_empty() && !domain.is_empty() && !domain.contains('@') =>
        {
            Ok(user)
        }
        _ => Err("an e-mail address has one @, with something on both sides"),
    }
}

fn begins_with_any(text: &str, starts: &[&str]) -> bool {
    starts.iter().any(|start| text.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(map: &[(&str, &str)], certificate_emails: bool) -> Result<Names, String> {
        let own = |(name, user): &(&str, &str)| ((*name).to_owned(), (*user).to_owned());
        Names::new(&map.iter().map(own).collect::<Vec<_>>(), certificate_emails)
    }

    #[test]
    fn addresses_have_one_form() {
        let names = Names::default();
        for (text, user) in [
            ("bob@example.com", "bob@example.com"),
            ("Bob.Smith+x@Example.COM", "bob.smith+x@example.com"),
            ("admin@example.com", "admin@example.com"),
            ("*@example.com", "*@example.com"),
            ("cert@example.com", "cert@example.com"),
        ] {
            assert_eq!(names.address(text).as_deref(), Ok(user), "{text}");
        }
        for text in [
            "",
            "bob",
            "@example.com",
            "bob@",
            "@",
            "bob@a@b",
            "admin",
            "ADMIN",
            "*",
            "cert:bob@example.com",
            "CERT:bob@example.com",
            "token:bob@example.com",
            "User:bob@example.com",
            "client:bob@example.com",
            "https://id.example/|bob@example.com",
            "HTTP://id.example/|bob@example.com",
            "https://bob@example.com",
            "a|bob@example.com",
            " bob@example.com",
            "bob@example.com\n",
            "bob@ex\u{e4}mple.com",
            "b\u{43e}b@example.com",
            "bob@example.com\0",
        ] {
            assert!(names.address(text).is_err(), "{text:?}");
        }
        assert!(names.address(&format!("{}@b", "a".repeat(253))).is_ok());
        assert!(names.address(&format!("{}@b", "a".repeat(254))).is_err());
    }

    #[test]
    fn names_stand_in_their_scope_unless_the_map_says_otherwise() {
        let map = [("cert:backup-01", "Backup@Example.com"), ("token:root", "admin")];
        let names = names(&map, false).unwrap();
        for (scope, text, user) in [
            (CERTIFICATE, "Backup-01", Ok("cert:Backup-01")),
            (CERTIFICATE, "backup-01", Ok("backup@example.com")),
            (TOKEN, "backup-01", Ok("token:backup-01")),
            (TOKEN, "root", Ok("admin")),
            (USER, "admin", Ok("user:admin")),
            (CLIENT, "*", Ok("client:*")),
            (USER, "", Err(())),
            (USER, "a b", Err(())),
        ] {
            let found = names.scoped(scope, text);
            assert_eq!(found.as_deref().map_err(drop), user, "{scope}{text}");
        }
    }

    #[test]
    fn an_address_in_a_certificate_is_the_user_of_that_address_by_option_only() {
        let map = [("cert:Eve@example.com", "admin")];
        let (separate, same) = (names(&map, false).unwrap(), names(&map, true).unwrap());
        for (text, apart, together) in [
            ("Bob@example.com", Ok("cert:bob@example.com"), Ok("bob@example.com")),
            ("eve@Example.com", Ok("admin"), Ok("admin")),
            ("Backup", Ok("cert:Backup"), Ok("cert:Backup")),
            ("admin", Ok("cert:admin"), Ok("cert:admin")),
            ("token:a@b", Err(()), Err(())),
            ("a@b@c", Err(()), Err(())),
        ] {
            assert_eq!(separate.certificate(text).as_deref().map_err(drop), apart, "{text}");
            assert_eq!(same.certificate(text).as_deref().map_err(drop), together, "{text}");
        }
    }

    #[test]
    fn users_of_further_authorities_stand_behind_their_issuer() {
        let map = [("https://b.example/|bob@x.org", "bob@x.org"), ("client:ci", "admin")];
        let names = names(&map, false).unwrap();
        let of = |issuer, user| names.of_issuer(issuer, user);
        assert_eq!(of("https://a.example/", "bob@x.org").unwrap(), "https://a.example/|bob@x.org");
        assert_eq!(of("https://b.example/", "bob@x.org").unwrap(), "bob@x.org");
        assert!(of("https://a.example/|x", "bob@x.org").is_err());
        assert!(of("a.example", "bob@x.org").is_err());
        // What is said of one authority's program is not said of another's.
        assert_eq!(names.client(None, "ci").unwrap(), "admin");
        let other = names.client(Some("https://a.example/"), "ci").unwrap();
        assert_eq!(other, "https://a.example/|client:ci");
        assert!(names.client(Some("https://a.example/"), "").is_err());
        assert!(names.client(None, "").is_err());
    }

    #[test]
    fn a_map_that_cannot_be_meant_is_refused() {
        for (map, says) in [
            (&[("bob@example.com", "admin")][..], "only names in a scope"),
            (&[("Cert:a", "admin")], "only names in a scope"),
            (&[("cert:", "admin")], "no name behind"),
            (&[("cert:a", "*")], "not everybody"),
            (&[("cert:a", "b c")], "without blanks"),
            (&[("cert:a", "b"), ("cert:a", "c")], "mapped twice"),
            (&[("cert:A@b", "b"), ("cert:a@b", "c")], "mapped twice"),
            (&[("https://a.example/", "b")], "after an issuer"),
        ] {
            let error = names(map, false).unwrap_err();
            assert!(error.contains(says), "{map:?}: {error}");
        }
        assert!(names(&[("cert:John Smith", "john@example.com")], false).is_ok());
    }
}
