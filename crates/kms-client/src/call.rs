//! Which response belongs to which request.

use kmip::operation::{Request, Response};

/// A request whose response has a type of its own.
pub trait Call: Into<Request> {
    /// What the server answers.
    type Response;

    /// Takes it out of the enumeration; `None` where it is another's.
    fn response(response: Response) -> Option<Self::Response>;
}
