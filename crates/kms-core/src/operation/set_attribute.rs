//! Set Attribute (KMIP 2.1 section 6.1.51).

use kmip::operation::{SetAttributeRequest, SetAttributeResponse};

use super::add_attribute::WRITE_ATTRIBUTES;
use super::{Operation, Target, subject};
use crate::access::{Grants, Needs, Row, role};
use crate::attribute_rules;
use crate::context::Context;
use crate::error::Result;
use crate::usage;

pub(super) struct SetAttribute;

impl Operation for SetAttribute {
    type Request = SetAttributeRequest;
    type Response = SetAttributeResponse;
    const NEEDS: Needs = Needs::Owner;
    const ROLES: &'static [Row] = WRITE_ATTRIBUTES;

    async fn targets(
        context: &mut Context<'_>,
        request: &SetAttributeRequest,
    ) -> Result<Vec<Target>> {
        subject(context, request.unique_identifier.as_ref()).await
    }

    async fn run(
        context: &mut Context<'_>,
        mut objects: Grants<Self>,
        request: SetAttributeRequest,
    ) -> Result<SetAttributeResponse> {
        let subject = objects.take::<role::Subject>()?;
        let attribute = request.new_attribute.attribute;
        usage::may_change(context, subject.object(), &attribute.name()).await?;
        let mut record = subject.record().clone();
        attribute_rules::set(&mut record, attribute, context.now)?;
        context.unit.update(subject.object(), record);
        Ok(SetAttributeResponse { unique_identifier: subject.id().to_owned() })
    }
}
