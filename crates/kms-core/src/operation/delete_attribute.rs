//! Delete Attribute (KMIP 2.1 section 6.1.15).

use kmip::Version;
use kmip::attribute::Indexed;
use kmip::enumerations::ResultReason;
use kmip::operation::{DeleteAttributeRequest, DeleteAttributeResponse};

use super::add_attribute::WRITE_ATTRIBUTES;
use super::modify_attribute::index;
use super::{Operation, Target, subject};
use crate::access::{Grants, Needs, Row, role};
use crate::attribute_rules::{self, Which};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::usage;

pub(super) struct DeleteAttribute;

impl Operation for DeleteAttribute {
    type Request = DeleteAttributeRequest;
    type Response = DeleteAttributeResponse;
    const NEEDS: Needs = Needs::Owner;
    const ROLES: &'static [Row] = WRITE_ATTRIBUTES;

    async fn targets(
        context: &mut Context<'_>,
        request: &DeleteAttributeRequest,
    ) -> Result<Vec<Target>> {
        subject(context, request.unique_identifier.as_ref()).await
    }

    async fn run(
        context: &mut Context<'_>,
        mut objects: Grants<Self>,
        request: DeleteAttributeRequest,
    ) -> Result<DeleteAttributeResponse> {
        let subject = objects.take::<role::Subject>()?;
        let mut record = subject.record().clone();
        let current = request.current_attribute;
        let (name, which) = match (&current, request.name.map(attribute_rules::meant)) {
            (Some(current), None) => (current.attribute.name(), Which::Value(&current.attribute)),
            (None, Some(name)) if context.version < Version::V2_0 => {
                (name, Which::Index(index(request.attribute_index)))
            }
            (None, Some(name)) => (name, Which::All),
            _ => {
                return Err(Error::new(
                    ResultReason::InvalidMessage,
                    "name the attribute either by Current Attribute or by Attribute Reference",
                ));
            }
        };
        usage::may_change(context, subject.object(), &name).await?;
        let removed = removed(&record, &name, &which);
        attribute_rules::delete(&mut record, &name, &which, context.now)?;
        context.unit.update(subject.object(), record);
        Ok(DeleteAttributeResponse {
            unique_identifier: subject.id().to_owned(),
            attribute: removed,
        })
    }
}

/// What KMIP 1.x answers with: the attribute that was taken away.
fn removed(
    record: &kmip::stored::StoredRecord,
    name: &kmip::attribute::AttributeName,
    which: &Which<'_>,
) -> Option<Indexed> {
    let Which::Index(place) = which else { return None };
    let attribute = record.attributes.named(name).nth(*place)?.clone();
    Some(Indexed { index: i32::try_from(*place).ok().filter(|index| *index > 0), attribute })
}
