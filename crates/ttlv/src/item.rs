//! Items: what the encodings spell.
//!
//! Must not know how any encoding spells them.

use std::borrow::Cow;
use std::fmt;

/// A tag: its number on the wire. Names belong to whoever defines the tags; see [`TagNames`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(pub u32);

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:06X}", self.0)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The names that text encodings use for tags. Both look-ups are on the path of every request.
pub trait TagNames {
    /// The name of `tag`, if it has one.
    fn name(&self, tag: Tag) -> Option<&'static str>;
    /// The tag called `name`, if there is one.
    fn tag(&self, name: &str) -> Option<Tag>;
}

/// One node of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Item<'a> {
    /// What the value means.
    pub tag: Tag,
    /// The value.
    pub value: Value<'a>,
}

impl<'a> Item<'a> {
    /// An item.
    pub fn new(tag: Tag, value: Value<'a>) -> Self {
        Self { tag, value }
    }

    /// An item that holds items.
    pub fn structure(tag: Tag, items: Vec<Item<'a>>) -> Self {
        Self { tag, value: Value::Structure(items) }
    }

    /// The items inside; none if this is no structure.
    pub fn children(&self) -> &[Item<'a>] {
        match &self.value {
            Value::Structure(items) => items,
            _ => &[],
        }
    }

    /// The first item inside with this tag.
    pub fn child(&self, tag: Tag) -> Option<&Item<'a>> {
        self.children().iter().find(|item| item.tag == tag)
    }

    /// The same item, borrowing nothing.
    pub fn into_owned(self) -> Item<'static> {
        Item { tag: self.tag, value: self.value.into_owned() }
    }
}

/// The value of an item, one variant per KMIP item type.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// Items in the order of the wire.
    Structure(Vec<Item<'a>>),
    /// Also carries bit masks, which text encodings may spell as names. A negative integer is its
    /// two's complement.
    Integer(Number<'a>),
    /// A 64-bit signed integer.
    LongInteger(i64),
    /// Big-endian two's complement. Decoders give a multiple of eight bytes; encoders extend the
    /// sign to one.
    BigInteger(Cow<'a, [u8]>),
    /// An enumerated code, which text encodings spell as a name.
    Enumeration(Number<'a>),
    /// A boolean.
    Boolean(bool),
    /// UTF-8 text.
    TextString(Cow<'a, str>),
    /// Bytes.
    ByteString(Cow<'a, [u8]>),
    /// Seconds since the Unix epoch.
    DateTime(i64),
    /// Seconds.
    Interval(u32),
    /// Microseconds since the Unix epoch.
    DateTimeExtended(i64),
    /// An object's identifier, from KMIP 3.0.
    Identifier(Cow<'a, str>),
    /// A reference, from KMIP 3.0.
    Reference(Cow<'a, str>),
    /// A reference by name, from KMIP 3.0.
    NameReference(Cow<'a, str>),
}

impl Value<'_> {
    /// Which type the value has.
    pub fn item_type(&self) -> ItemType {
        match self {
            Self::Structure(_) => ItemType::Structure,
            Self::Integer(_) => ItemType::Integer,
            Self::LongInteger(_) => ItemType::LongInteger,
            Self::BigInteger(_) => ItemType::BigInteger,
            Self::Enumeration(_) => ItemType::Enumeration,
            Self::Boolean(_) => ItemType::Boolean,
            Self::TextString(_) => ItemType::TextString,
            Self::ByteString(_) => ItemType::ByteString,
            Self::DateTime(_) => ItemType::DateTime,
            Self::Interval(_) => ItemType::Interval,
            Self::DateTimeExtended(_) => ItemType::DateTimeExtended,
            Self::Identifier(_) => ItemType::Identifier,
            Self::Reference(_) => ItemType::Reference,
            Self::NameReference(_) => ItemType::NameReference,
        }
    }

    /// The same value, borrowing nothing.
    pub fn into_owned(self) -> Value<'static> {
        fn owned<T: ToOwned + ?Sized>(value: Cow<'_, T>) -> Cow<'static, T> {
            Cow::Owned(value.into_owned())
        }
        match self {
            Self::Structure(items) => {
                Value::Structure(items.into_iter().map(Item::into_owned).collect())
            }
            Self::Integer(v) => Value::Integer(v.into_owned()),
            Self::LongInteger(v) => Value::LongInteger(v),
            Self::BigInteger(v) => Value::BigInteger(owned(v)),
            Self::Enumeration(v) => Value::Enumeration(v.into_owned()),
            Self::Boolean(v) => Value::Boolean(v),
            Self::TextString(v) => Value::TextString(owned(v)),
            Self::ByteString(v) => Value::ByteString(owned(v)),
            Self::DateTime(v) => Value::DateTime(v),
            Self::Interval(v) => Value::Interval(v),
            Self::DateTimeExtended(v) => Value::DateTimeExtended(v),
            Self::Identifier(v) => Value::Identifier(owned(v)),
            Self::Reference(v) => Value::Reference(owned(v)),
            Self::NameReference(v) => Value::NameReference(owned(v)),
        }
    }
}

/// A number that text encodings may spell as a name.
///
/// Binary knows only the code; text may know only the name. Whoever knows the *type* of the field
/// resolves one from the other, so no codec needs a registry of enumerations.
///
/// The name of a mask is the names of its bits with one or more spaces between them, whichever
/// encoding it came from; a part may also be `0x` and eight digits.
#[derive(Clone, Debug, PartialEq)]
pub enum Number<'a> {
    /// As the binary encoding gives it.
    Code(u32),
    /// As a text encoding gives it.
    Name(Cow<'a, str>),
    /// As the typed layer gives it, so that every encoding can write it.
    Both(u32, Cow<'a, str>),
}

impl Number<'_> {
    /// The code, where known.
    pub fn code(&self) -> Option<u32> {
        match self {
            Self::Code(code) | Self::Both(code, _) => Some(*code),
            Self::Name(_) => None,
        }
    }

    /// The name, where known.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Name(name) | Self::Both(_, name) => Some(name),
            Self::Code(_) => None,
        }
    }

    /// The same number, borrowing nothing.
    pub fn into_owned(self) -> Number<'static> {
        match self {
            Self::Code(code) => Number::Code(code),
            Self::Name(name) => Number::Name(Cow::Owned(name.into_owned())),
            Self::Both(code, name) => Number::Both(code, Cow::Owned(name.into_owned())),
        }
    }
}

/// The types of items, with their codes on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ItemType {
    /// [`Value::Structure`]
    Structure = 1,
    /// [`Value::Integer`]
    Integer = 2,
    /// [`Value::LongInteger`]
    LongInteger = 3,
    /// [`Value::BigInteger`]
    BigInteger = 4,
    /// [`Value::Enumeration`]
    Enumeration = 5,
    /// [`Value::Boolean`]
    Boolean = 6,
    /// [`Value::TextString`]
    TextString = 7,
    /// [`Value::ByteString`]
    ByteString = 8,
    /// [`Value::DateTime`]
    DateTime = 9,
    /// [`Value::Interval`]
    Interval = 10,
    /// [`Value::DateTimeExtended`]
    DateTimeExtended = 11,
    /// [`Value::Identifier`]
    Identifier = 12,
    /// [`Value::Reference`]
    Reference = 13,
    /// [`Value::NameReference`]
    NameReference = 14,
}

impl ItemType {
    /// The code on the wire.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The type with this code.
    pub fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Structure,
            2 => Self::Integer,
            3 => Self::LongInteger,
            4 => Self::BigInteger,
            5 => Self::Enumeration,
            6 => Self::Boolean,
            7 => Self::TextString,
            8 => Self::ByteString,
            9 => Self::DateTime,
            10 => Self::Interval,
            11 => Self::DateTimeExtended,
            12 => Self::Identifier,
            13 => Self::Reference,
            14 => Self::NameReference,
            _ => return None,
        })
    }

    /// The name in the text encodings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Structure => "Structure",
            Self::Integer => "Integer",
            Self::LongInteger => "LongInteger",
            Self::BigInteger => "BigInteger",
            Self::Enumeration => "Enumeration",
            Self::Boolean => "Boolean",
            Self::TextString => "TextString",
            Self::ByteString => "ByteString",
            Self::DateTime => "DateTime",
            Self::Interval => "Interval",
            Self::DateTimeExtended => "DateTimeExtended",
            Self::Identifier => "Identifier",
            Self::Reference => "Reference",
            Self::NameReference => "NameReference",
        }
    }

    /// The type with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "Structure" => Self::Structure,
            "Integer" => Self::Integer,
            "LongInteger" => Self::LongInteger,
            "BigInteger" => Self::BigInteger,
            "Enumeration" => Self::Enumeration,
            "Boolean" => Self::Boolean,
            "TextString" => Self::TextString,
            "ByteString" => Self::ByteString,
            "DateTime" => Self::DateTime,
            "Interval" => Self::Interval,
            "DateTimeExtended" => Self::DateTimeExtended,
            "Identifier" => Self::Identifier,
            "Reference" => Self::Reference,
            "NameReference" => Self::NameReference,
            _ => return None,
        })
    }
}

impl fmt::Display for ItemType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
