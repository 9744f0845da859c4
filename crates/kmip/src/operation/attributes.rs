//! The operations on attributes: Get Attributes, Get Attribute List, Add, Set, Modify and Delete
//! Attribute (2.1 specification, sections 6.1.2, 6.1.14, 6.1.23, 6.1.24, 6.1.33, 6.1.53).
//!
//! Must not know who may change which.

use kmip_derive::Wire;

use crate::attribute::{AttributeName, Attributes, Indexed};
use crate::identifier::UniqueIdentifier;

/// Asks for attributes.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct GetAttributesRequest {
    /// The object; the batch's placeholder where absent.
    pub unique_identifier: Option<UniqueIdentifier>,
    /// Which; all where none is named.
    #[kmip(tag(AttributeName, until = "1.4"), tag(AttributeReference, since = "2.0"))]
    pub names: Vec<AttributeName>,
}

/// The attributes.
#[derive(Clone, Debug, PartialEq, Wire)]
pub struct GetAttributesResponse {
    /// The object.
    pub unique_identifier: String,
    /// Its attributes.
    #[kmip(spread)]
    pub attributes: Attributes,
}

/// Asks which attributes an object has.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct GetAttributeListRequest {
    /// The object; the batch's placeholder where absent.
    pub unique_identifier: Option<UniqueIdentifier>,
}

/// The names of the attributes.
#[derive(Clone, Debug, PartialEq, Wire)]
pub struct GetAttributeListResponse {
    /// The object.
    pub unique_identifier: String,
    /// The names.
    #[kmip(tag(AttributeName, until = "1.4"), tag(AttributeReference, since = "2.0"))]
    pub names: Vec<AttributeName>,
}

/// Gives an object one more attribute.
#[derive(Clone, Debug, PartialEq, Wire)]
pub struct AddAttributeRequest {
    /// The object; the batch's placeholder where absent.
    pub unique_identifier: Option<UniqueIdentifier>,
    /// The attribute.
    #[kmip(tag(Attribute, until = "1.4"), tag(NewAttribute, since = "2.0"))]
    pub attribute: Indexed,
}

/// What was added.
#[derive(Clone, Debug, PartialEq, Wire)]
pub struct AddAttributeResponse {
    /// The object.
    pub unique_identifier: String,
    /// The attribute.
    #[kmip(until = "1.4")]
    pub attribute: Option<Indexed>,
}

/// Gives an object an attribute in the place of the one it has, if it has one.
#[derive(Clone, Debug, PartialEq, Wire)]
pub struct SetAttributeRequest {
    /// The object; the batch's placeholder where absent.
    pub unique_identifier: Option<UniqueIdentifier>,
    /// The attribute.
    pub new_attribute: Indexed,
}

/// Names the object.
#[derive(Clone, Debug, PartialEq, Wire)]
pub struct SetAttributeResponse {
    /// The object.
    pub unique_identifier: String,
}

/// Changes an attribute.
#[derive(Clone, Debug, PartialEq, Wire)]
pub struct ModifyAttributeRequest {
    /// The object; the batch's placeholder where absent.
    pub unique_identifier: Option<UniqueIdentifier>,
    /// Which of several; KMIP 1.x says so by index.
    #[kmip(since = "2.0")]
    pub current_attribute: Option<Indexed>,
    /// The attribute as it is to be.
    #[kmip(tag(Attribute, until = "1.4"), tag(NewAttribute, since = "2.0"))]
    pub new_attribute: Indexed,
}

/// What was changed.
#[derive(Clone, Debug, PartialEq, Wire)]
pub struct ModifyAttributeResponse {
    /// The object.
    pub unique_identifier: String,
    /// The attribute as it is now.
    #[kmip(until = "1.4")]
    pub attribute: Option<Indexed>,
}

/// Takes an attribute away.
#[derive(Clone, Debug, Default, PartialEq, Wire)]
pub struct DeleteAttributeRequest {
    /// The object; the batch's placeholder where absent.
    pub unique_identifier: Option<UniqueIdentifier>,
    /// The attribute, by its value.
    #[kmip(since = "2.0")]
    pub current_attribute: Option<Indexed>,
    /// The attribute, by its name: all of this name in KMIP 2.x.
    #[kmip(tag(AttributeName, until = "1.4"), tag(AttributeReference, since = "2.0"))]
    pub name: Option<AttributeName>,
    /// Which of those of this name; the first where absent.
    #[kmip(until = "1.4")]
    pub attribute_index: Option<i32>,
}

/// What was taken away.
#[derive(Clone, Debug, PartialEq, Wire)]
pub struct DeleteAttributeResponse {
    /// The object.
    pub unique_identifier: String,
    /// The attribute as it was.
    #[kmip(until = "1.4")]
    pub attribute: Option<Indexed>,
}
