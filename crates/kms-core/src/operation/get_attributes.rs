//! Get Attributes (KMIP 2.1 section 6.1.22).

use kmip::attribute::AttributeName;
use kmip::operation::{GetAttributesRequest, GetAttributesResponse};

use super::{Operation, Target, subject};
use crate::access::{ANY_STATE, Grants, Needs, Role, Row, role};
use crate::attribute_rules::{OWN_VENDOR, chosen, meant, owner_attribute};
use crate::context::Context;
use crate::error::Result;
use crate::usage;

pub(super) struct GetAttributes;

/// Whoever may do anything with an object may read what is said about it.
pub(super) const READ_ATTRIBUTES: &[Row] =
    &[Row::new(Role::Subject, Needs::AnyGrant).states(ANY_STATE)];

impl Operation for GetAttributes {
    type Request = GetAttributesRequest;
    type Response = GetAttributesResponse;
    const NEEDS: Needs = Needs::AnyGrant;
    const ROLES: &'static [Row] = READ_ATTRIBUTES;
    const WRITES: bool = false;

    async fn targets(
        context: &mut Context<'_>,
        request: &GetAttributesRequest,
    ) -> Result<Vec<Target>> {
        subject(context, request.unique_identifier.as_ref()).await
    }

    async fn run(
        context: &mut Context<'_>,
        mut objects: Grants<Self>,
        request: GetAttributesRequest,
    ) -> Result<GetAttributesResponse> {
        let subject = objects.take::<role::Subject>()?;
        let mut all = usage::view(context, subject.object()).await?;
        let attributes = if request.names.is_empty() {
            all
        } else {
            let names: Vec<_> = request.names.into_iter().map(meant).collect();
            if names.iter().any(is_own) {
                all.add(owner_attribute(subject.record()));
            }
            chosen(&all, &names)?
        };
        Ok(GetAttributesResponse { unique_identifier: subject.id().to_owned(), attributes })
    }
}

fn is_own(name: &AttributeName) -> bool {
    matches!(name, AttributeName::Vendor { vendor, .. } if vendor == OWN_VENDOR)
}
