//! A real identity provider, a server that believes it, and users who log in.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStderr};
use std::sync::Arc;

use kms_testkit::provider::{AUDIENCE, CLIENT, Provider};
use kms_testkit::server::Server;

use crate::user::{Ran, User};

/// A provider, and a server that believes it.
pub(crate) struct World {
    pub(crate) provider: Provider,
    pub(crate) server: Arc<Server>,
}

impl World {
    pub(crate) fn new() -> Self {
        let provider = Provider::start();
        let server = Server::builder()
            .environment("KMS_DELEGATED_AUTHORITY_DOMAIN", provider.issuer())
            .environment("KMS_JWT_AUDIENCE", AUDIENCE)
            .start();
        Self { provider, server: Arc::new(server) }
    }

    pub(crate) fn user(&self) -> User {
        User::of(&self.server)
    }

    /// `kms login` with these arguments, to the point where the user has to do something.
    #[track_caller]
    pub(crate) fn begin(&self, user: &User, more: &[&str]) -> Login {
        let issuer = self.provider.issuer();
        let mut arguments = vec!["login", "--no-browser", "--issuer", issuer];
        arguments.extend(["--client-id", CLIENT, "--audience", AUDIENCE]);
        arguments.extend(more);
        Login::begin(user, &arguments)
    }

    /// A user who is logged in under this name.
    #[track_caller]
    pub(crate) fn logged_in(&self, name: &str) -> User {
        let user = self.user();
        self.log_in(&user, name);
        user
    }

    #[track_caller]
    pub(crate) fn log_in(&self, user: &User, name: &str) {
        let login = self.begin(user, &[]);
        Provider::visit_as(name, &login.url);
        let ended = login.end();
        assert_eq!(ended.code, 0, "{}", ended.stderr);
    }

    /// What the provider says to a refresh token.
    pub(crate) fn refresh(&self, token: &str) -> u16 {
        let fields =
            [("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", CLIENT)];
        self.provider.post("/token", &fields).status
    }
}

/// A `kms login` that waits for its user.
pub(crate) struct Login {
    pub(crate) child: Child,
    stderr: BufReader<ChildStderr>,
    said: String,
    /// Where the user logs in.
    pub(crate) url: String,
}

impl Login {
    #[track_caller]
    pub(crate) fn begin(user: &User, arguments: &[&str]) -> Self {
        let mut child = user.command(arguments).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let (mut said, mut url) = (String::new(), String::new());
        while !said.contains("waiting for the login") {
            let mut line = String::new();
            assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "it does not wait: {said}");
            if line.starts_with("  http") {
                line.trim().clone_into(&mut url);
            }
            said.push_str(&line);
        }
        Self { child, stderr, said, url }
    }

    /// The code that it shows.
    pub(crate) fn code(&self) -> String {
        let mut lines = self.said.lines().filter(|line| line.starts_with("  "));
        lines.nth(1).unwrap().trim().to_owned()
    }

    pub(crate) fn end(mut self) -> Ran {
        self.stderr.read_to_string(&mut self.said).unwrap();
        let output = self.child.wait_with_output().unwrap();
        let code = output.status.code().unwrap();
        Ran { code, stdout: output.stdout, stderr: self.said }
    }
}
