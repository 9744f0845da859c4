//! Activate: Pre-Active becomes Active (KMIP 2.1 section 6.1.1).

use kmip::enumerations::State;
use kmip::operation::{ActivateRequest, ActivateResponse};

use super::{Operation, Target, subject};
use crate::access::{Grants, Needs, Role, Row, role};
use crate::attribute_rules;
use crate::context::Context;
use crate::error::Result;
use crate::lifecycle;

pub(super) struct Activate;

impl Operation for Activate {
    type Request = ActivateRequest;
    type Response = ActivateResponse;
    const NEEDS: Needs = Needs::Owner;
    const ROLES: &'static [Row] =
        &[Row::new(Role::Subject, Self::NEEDS).states(&[State::PreActive])];

    async fn targets(
        context: &mut Context<'_>,
        request: &ActivateRequest,
    ) -> Result<Vec<Target>> {
        subject(context, request.unique_identifier.as_ref()).await
    }

    async fn run(
        context: &mut Context<'_>,
        mut objects: Grants<Self>,
        _request: ActivateRequest,
    ) -> Result<ActivateResponse> {
        let subject = objects.take::<role::Subject>()?;
        let mut record = subject.record().clone();
        lifecycle::activate(&mut record, context.now)?;
        attribute_rules::changed(&mut record, context.now);
        context.unit.update(subject.object(), record);
        Ok(ActivateResponse { unique_identifier: subject.id().to_owned() })
    }
}
