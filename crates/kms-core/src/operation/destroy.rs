//! Destroy: the key material is wiped, the metadata stays (KMIP 2.1 section 6.1.17).
//!
//! `Remove`, the field's own addition, takes the metadata away too; what is left is the identifier,
//! which is never used again.

use kmip::enumerations::ResultReason;
use kmip::operation::{DestroyRequest, DestroyResponse};

use super::{Operation, Target};
use crate::access::{ALIVE, ANY_STATE, Grants, Needs, Permission, Role, Row, role};
use crate::attribute_rules;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::lifecycle;
use crate::object::Object;

pub(super) struct Destroy;


impl Operation for Destroy {
    type Request = DestroyRequest;
    type Response = DestroyResponse;
    const NEEDS: Needs = Needs::Grant(Permission::Destroy);
    const ROLES: &'static [Row] = &[
        Row::new(Role::Subject, Self::NEEDS).states(ANY_STATE),
        Row::new(Role::PairHalf, Self::NEEDS).states(ALIVE).optional(),
    ];

    async fn targets(context: &mut Context<'_>, request: &DestroyRequest) -> Result<Vec<Target>> {
        let id = context.resolve(request.unique_identifier.as_ref()).await?;
        Ok(vec![Target {
            cascade: request.cascade == Some(true),
            ..Target::new(Role::Subject, id)
        }])
    }

    async fn run(
        context: &mut Context<'_>,
        mut objects: Grants<Self>,
        request: DestroyRequest,
    ) -> Result<DestroyResponse> {
        let subject = objects.take::<role::Subject>()?;
        let found = subject.record().object_type;
        if request.expected_object_type.is_some_and(|expected| expected != found) {
            return Err(Error::new(
                ResultReason::InvalidObjectType,
                format!("the object is a {found:?}, not what the request expects"),
            ));
        }
        let remove = request.remove == Some(true);
        destroy(context, subject.object(), remove)?;
        while let Some(half) = objects.maybe::<role::PairHalf>() {
            // The other half follows where its own life allows it.
            match destroy(context, half.object(), remove) {
                Ok(()) => {}
                Err(error) => tracing::debug!(object = half.id(), %error, "cascade passed over"),
            }
        }
        Ok(DestroyResponse { unique_identifier: subject.id().to_owned() })
    }
}

fn destroy(context: &mut Context<'_>, object: &Object, remove: bool) -> Result<()> {
    let mut record = object.record().clone();
    let already = lifecycle::is_destroyed(lifecycle::effective(&record, context.now));
    // What is destroyed already can still be removed.
    if !(already && remove) {
        lifecycle::destroy(&mut record, context.now)?;
    }
    if remove {
        context.unit.remove(object);
    } else {
        attribute_rules::changed(&mut record, context.now);
        context.unit.wipe(object, record);
    }
    Ok(())
}
