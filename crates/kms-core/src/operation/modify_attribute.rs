//! Modify Attribute (KMIP 2.1 section 6.1.34).

use kmip::Version;
use kmip::operation::{ModifyAttributeRequest, ModifyAttributeResponse};

use super::add_attribute::WRITE_ATTRIBUTES;
use super::{Operation, Target, subject};
use crate::access::{Grants, Needs, Row, role};
use crate::attribute_rules::{self, Which};
use crate::context::Context;
use crate::error::Result;
use crate::usage;

pub(super) struct ModifyAttribute;

impl Operation for ModifyAttribute {
    type Request = ModifyAttributeRequest;
    type Response = ModifyAttributeResponse;
    const NEEDS: Needs = Needs::Owner;
    const ROLES: &'static [Row] = WRITE_ATTRIBUTES;

    async fn targets(
        context: &mut Context<'_>,
        request: &ModifyAttributeRequest,
    ) -> Result<Vec<Target>> {
        subject(context, request.unique_identifier.as_ref()).await
    }

    async fn run(
        context: &mut Context<'_>,
        mut objects: Grants<Self>,
        request: ModifyAttributeRequest,
    ) -> Result<ModifyAttributeResponse> {
        let subject = objects.take::<role::Subject>()?;
        let mut record = subject.record().clone();
        let new = request.new_attribute;
        usage::may_change(context, subject.object(), &new.attribute.name()).await?;
        let which = match &request.current_attribute {
            Some(current) => Which::Value(&current.attribute),
            None if context.version < Version::V2_0 => Which::Index(index(new.index)),
            None => Which::All,
        };
        attribute_rules::modify(&mut record, &which, new.attribute.clone(), context.now)?;
        context.unit.update(subject.object(), record);
        Ok(ModifyAttributeResponse {
            unique_identifier: subject.id().to_owned(),
            attribute: Some(new),
        })
    }
}

/// The place that KMIP 1.x's Attribute Index names; a negative one names none.
pub(super) fn index(given: Option<i32>) -> usize {
    usize::try_from(given.unwrap_or(0)).unwrap_or(usize::MAX)
}
