//! Where the server's certificate comes from, and which clients it accepts.
//!
//! A [`Source`] is files of the operator's or an authority that speaks ACME (RFC 8555). Started, it
//! gives a [`Resolver`], which handshakes ask; a [`Status`], which people ask; and a [`Task`], which
//! renews. Clock, HTTP, randomness and the sealing of keys are inputs ([`World`]). Must not know
//! KMIP, users' rights, options, or the server.

mod acme;
mod client_ca;
mod clock;
mod identity;
mod place;
mod resolver;
mod server;
mod source;
mod status;
mod world;

pub use acme::challenge::{Responder, ResponderError};
pub use acme::problem::{Problem, Verdict, problems};
pub use acme::schedule::{History, Window, pause, renew_at};
pub use acme::transport::{Outbound, Reply, Sending, Transport};
pub use acme::{ExternalAccount, Settings};
pub use client_ca::{Absence, Authorities, AuthoritiesError};
pub use clock::{Clock, SystemClock, Waiting};
pub use identity::{Facts, Identity, IdentityError, RenewalId};
pub use place::{KeySealer, PlainFiles, SealError};
pub use resolver::Resolver;
pub use server::{Clients, MinVersion, Server, ServerError};
pub use source::files::Files;
pub use source::{Control, End, Source, StartError, Started, Task};
pub use status::{Failure, Origin, Phase, Status};
pub use world::{Step, World};
