//! Why input is not an item, or an item cannot be written.
//!
//! Must never hold a value of the input: it may be a key. Names of tags, types and enumerations
//! are held, cut to a length that a log can bear.

use crate::{ItemType, Tag};

/// Why bytes or text are not a well-formed item, or an item cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The input is longer than [`Limits::bytes`](crate::Limits::bytes).
    #[error("the message has {bytes} bytes, and at most {limit} are accepted")]
    TooLarge {
        /// What it has.
        bytes: usize,
        /// What is accepted.
        limit: usize,
    },
    /// Nested deeper than [`Limits::depth`](crate::Limits::depth).
    #[error("items are nested deeper than the {limit} levels that are accepted")]
    TooDeep {
        /// What is accepted.
        limit: usize,
    },
    /// More items than [`Limits::items`](crate::Limits::items).
    #[error("the message has more than the {limit} items that are accepted")]
    TooManyItems {
        /// What is accepted.
        limit: usize,
    },
    /// The input ends before the item does.
    #[error("the message ends in the middle of an item")]
    Truncated,
    /// There is more input than the item takes.
    #[error("something follows the message's end")]
    TrailingData,
    /// Not an item type.
    #[error("unknown item type {0}")]
    UnknownType(Box<str>),
    /// Not a tag that has a name here.
    #[error("unknown tag {0}")]
    UnknownTag(Box<str>),
    /// Not a value of its type.
    #[error("tag {tag}, {item_type}: {why}")]
    BadValue {
        /// Where.
        tag: Tag,
        /// What it claims to be.
        item_type: ItemType,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Only the name of a number is known, and this encoding writes codes.
    #[error("tag {tag}: {name} has no known code")]
    UnresolvedName {
        /// Where.
        tag: Tag,
        /// The name.
        name: Box<str>,
    },
    /// Not well-formed in the text encoding's own syntax.
    #[error("byte {at}: {why}")]
    Syntax {
        /// How many bytes of the input come before the place.
        at: usize,
        /// What is wrong there.
        why: &'static str,
    },
}

/// At most this much of a name from the input is repeated in an error.
const NAME_MAX: usize = 64;

/// `name` as an error may repeat it.
pub(crate) fn shown(name: &str) -> Box<str> {
    name.chars().take(NAME_MAX).map(|c| if c.is_control() { '?' } else { c }).collect()
}
