//! Get Attribute List (KMIP 2.1 section 6.1.21).

use kmip::attribute::AttributeName;
use kmip::operation::{GetAttributeListRequest, GetAttributeListResponse};

use super::get_attributes::READ_ATTRIBUTES;
use super::{Operation, Target, subject};
use crate::access::{Grants, Needs, Row, role};
use crate::attribute_rules::view;
use crate::context::Context;
use crate::error::Result;

pub(super) struct GetAttributeList;

impl Operation for GetAttributeList {
    type Request = GetAttributeListRequest;
    type Response = GetAttributeListResponse;
    const NEEDS: Needs = Needs::AnyGrant;
    const ROLES: &'static [Row] = READ_ATTRIBUTES;
    const WRITES: bool = false;

    async fn targets(
        context: &mut Context<'_>,
        request: &GetAttributeListRequest,
    ) -> Result<Vec<Target>> {
        subject(context, request.unique_identifier.as_ref()).await
    }

    async fn run(
        context: &mut Context<'_>,
        mut objects: Grants<Self>,
        _request: GetAttributeListRequest,
    ) -> Result<GetAttributeListResponse> {
        let subject = objects.take::<role::Subject>()?;
        let mut names: Vec<AttributeName> = Vec::new();
        for attribute in &view(subject.id(), subject.record(), context.now) {
            let name = attribute.name();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Ok(GetAttributeListResponse { unique_identifier: subject.id().to_owned(), names })
    }
}
