//! Add Attribute (KMIP 2.1 section 6.1.2).

use kmip::operation::{AddAttributeRequest, AddAttributeResponse};

use super::{Operation, Target, subject};
use crate::access::{ANY_STATE, Grants, Needs, Role, Row, role};
use crate::attribute_rules;
use crate::context::Context;
use crate::error::Result;

pub(super) struct AddAttribute;

/// What is said about an object is its owner's to say.
pub(super) const WRITE_ATTRIBUTES: &[Row] =
    &[Row::new(Role::Subject, Needs::Owner).states(ANY_STATE)];

impl Operation for AddAttribute {
    type Request = AddAttributeRequest;
    type Response = AddAttributeResponse;
    const NEEDS: Needs = Needs::Owner;
    const ROLES: &'static [Row] = WRITE_ATTRIBUTES;

    async fn targets(
        context: &mut Context<'_>,
        request: &AddAttributeRequest,
    ) -> Result<Vec<Target>> {
        subject(context, request.unique_identifier.as_ref()).await
    }

    async fn run(
        context: &mut Context<'_>,
        mut objects: Grants<Self>,
        request: AddAttributeRequest,
    ) -> Result<AddAttributeResponse> {
        let subject = objects.take::<role::Subject>()?;
        let mut record = subject.record().clone();
        let mut attribute = request.attribute;
        attribute_rules::add(&mut record, attribute.attribute.clone(), context.now)?;
        let name = attribute.attribute.name();
        let last = record.attributes.named(&name).count().saturating_sub(1);
        attribute.index = i32::try_from(last).ok().filter(|index| *index > 0);
        context.unit.update(subject.object(), record);
        Ok(AddAttributeResponse {
            unique_identifier: subject.id().to_owned(),
            attribute: Some(attribute),
        })
    }
}
