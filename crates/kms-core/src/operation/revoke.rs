//! Revoke: an object is not to be used any more, or is in others' hands (KMIP 2.1 section 6.1.46).

use kmip::attribute::Attribute;
use kmip::enumerations::State;
use kmip::operation::{RevokeRequest, RevokeResponse};

use super::{Operation, Target};
use crate::access::{ANY_STATE, Grants, Needs, Permission, Role, Row, role};
use crate::attribute_rules;
use crate::context::Context;
use crate::error::Result;
use crate::lifecycle;
use crate::object::Object;

pub(super) struct Revoke;


impl Operation for Revoke {
    type Request = RevokeRequest;
    type Response = RevokeResponse;
    // Which states depends on the reason; `lifecycle` knows.
    const NEEDS: Needs = Needs::Grant(Permission::Revoke);
    const ROLES: &'static [Row] = &[
        Row::new(Role::Subject, Self::NEEDS).states(ANY_STATE),
        Row::new(Role::PairHalf, Self::NEEDS).states(&[State::PreActive, State::Active]).optional(),
    ];

    async fn targets(context: &mut Context<'_>, request: &RevokeRequest) -> Result<Vec<Target>> {
        let id = context.resolve(request.unique_identifier.as_ref()).await?;
        Ok(vec![Target {
            cascade: request.cascade == Some(true),
            ..Target::new(Role::Subject, id)
        }])
    }

    async fn run(
        context: &mut Context<'_>,
        mut objects: Grants<Self>,
        request: RevokeRequest,
    ) -> Result<RevokeResponse> {
        let subject = objects.take::<role::Subject>()?;
        revoke(context, subject.object(), &request)?;
        while let Some(half) = objects.maybe::<role::PairHalf>() {
            // The other half follows where its own life allows it.
            match revoke(context, half.object(), &request) {
                Ok(()) => {}
                Err(error) => tracing::debug!(object = half.id(), %error, "cascade passed over"),
            }
        }
        Ok(RevokeResponse { unique_identifier: subject.id().to_owned() })
    }
}

fn revoke(context: &mut Context<'_>, object: &Object, request: &RevokeRequest) -> Result<()> {
    let mut record = object.record().clone();
    let reason = &request.revocation_reason;
    let occurred = request.compromise_occurrence_date;
    lifecycle::revoke(&mut record, reason.revocation_reason_code, occurred, context.now)?;
    record.attributes.set(Attribute::RevocationReason(reason.clone()));
    attribute_rules::changed(&mut record, context.now);
    context.unit.update(object, record);
    Ok(())
}
