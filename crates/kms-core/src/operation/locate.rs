//! Locate: identifiers by attributes (KMIP 2.1 section 6.1.32).

use kmip::enumerations::{ObjectGroupMember, ResultReason};
use kmip::operation::{LocateRequest, LocateResponse};

use super::{Operation, Target};
use crate::access::{ANY_STATE, Grants, Needs, Permission, Role, Row};
use crate::attribute_rules::check_wanted;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::locate::{Filter, find};

pub(super) struct Locate;

/// What a search comes upon must be found by this row.
const FOUND: Row = Row::new(Role::Subject, Needs::Grant(Permission::Locate)).states(ANY_STATE);

impl Operation for Locate {
    type Request = LocateRequest;
    type Response = LocateResponse;
    const NEEDS: Needs = Needs::Grant(Permission::Locate);
    const ROLES: &'static [Row] = &[FOUND];
    const WRITES: bool = false;

    async fn targets(_: &mut Context<'_>, _: &LocateRequest) -> Result<Vec<Target>> {
        Ok(Vec::new())
    }

    async fn run(
        context: &mut Context<'_>,
        _: Grants<Self>,
        request: LocateRequest,
    ) -> Result<LocateResponse> {
        let max = context.service.policy.located_max;
        let limit = match request.maximum_items {
            None => max,
            Some(items) => count(items, "Maximum Items")?.min(max),
        };
        let offset = count(request.offset_items.unwrap_or(0), "Offset Items")?;
        let mut attributes = request.attributes;
        check_wanted(&attributes)?;
        if request.object_group_member == Some(ObjectGroupMember::GroupMemberFresh) {
            attributes.add(kmip::attribute::Attribute::Fresh(true));
        }
        let filter = Filter::new(attributes, request.storage_status_mask);
        // Counting goes on past what is answered, so that the count is exact where it is given.
        let enough = max.max(offset.saturating_add(limit));
        let found = find(context, &FOUND, &filter, (offset, limit, enough)).await?;
        Ok(LocateResponse {
            located_items: found.count.and_then(|count| i32::try_from(count).ok()),
            unique_identifiers: found.ids,
        })
    }
}

fn count(items: i32, field: &str) -> Result<usize> {
    usize::try_from(items).map_err(|_negative| {
        Error::new(ResultReason::InvalidField, format!("{field} must not be negative"))
    })
}
