//! Why an archive is not written, or not believed.

use std::io;

/// What is wrong. None of these holds anything of an item or a key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be read or written.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It begins with something else.
    #[error("it is not an archive of this server, or its beginning was altered")]
    Foreign,
    /// It is of a later version.
    #[error("it has format {0}, and this version reads format 1; use the version that wrote it")]
    Newer(u16),
    /// It was encrypted to something else than what was given.
    #[error("it is encrypted to a {0}; name it with --{0}-file")]
    OtherKey(&'static str),
    /// The key is not the one, or the header is not as it was written.
    #[error("the key does not open it (or its header was altered)")]
    WrongKey,
    /// A frame is not the one that was written in this place.
    #[error("frame {0} was altered, moved, or is of another archive")]
    Altered(u64),
    /// The file ends before the last frame does.
    #[error("it ends in the middle of frame {0}: it was cut off, or never finished")]
    Cut(u64),
    /// The file goes on behind the last frame.
    #[error("something was appended to it behind its last frame, {0}")]
    Appended(u64),
    /// An item has more bytes than a frame may have.
    #[error("an item has more than {limit} bytes", limit = crate::ITEM_MAX)]
    TooLong,
    /// The cryptographic library refused.
    #[error("{0}")]
    Crypto(#[from] kms_crypto::Error),
}
