//! Export: the object with its attributes, in whatever state (KMIP 2.1 section 6.1.19).

use kmip::operation::{ExportRequest, ExportResponse};

use super::get::{TAKE_OUT, opened, targets};
use super::{Operation, Target};
use crate::access::{Grants, Needs, Permission, Row, role};
use crate::context::Context;
use crate::deliver::{Wanted, deliver};
use crate::error::Result;
use crate::usage;

pub(super) struct Export;

impl Operation for Export {
    type Request = ExportRequest;
    type Response = ExportResponse;
    const NEEDS: Needs = Needs::Grant(Permission::Get);
    const ROLES: &'static [Row] = TAKE_OUT;
    const WRITES: bool = false;

    async fn targets(context: &mut Context<'_>, request: &ExportRequest) -> Result<Vec<Target>> {
        let id = context.resolve(request.unique_identifier.as_ref()).await?;
        let wrapping = request.key_wrapping_specification.as_deref();
        targets(context, id, request.key_wrap_type, wrapping).await
    }

    async fn run(
        context: &mut Context<'_>,
        mut objects: Grants<Self>,
        request: ExportRequest,
    ) -> Result<ExportResponse> {
        let subject = objects.take::<role::Subject>()?;
        let wanted = Wanted {
            format: request.key_format_type,
            wrap_type: request.key_wrap_type,
            compression: request.key_compression_type,
            wrapping: request.key_wrapping_specification.as_deref(),
            wrapping_key: opened(context, objects.maybe::<role::WrappingKey>())?,
            unwrapping_key: opened(context, objects.maybe::<role::UnwrappingKey>())?,
        };
        let material = subject.open(context.vault())?;
        let (id, record) = (subject.id(), subject.record());
        let object = deliver(context, id, record, material, &wanted)?;
        context.service.count_wrapping(wanted.wrapping_key.as_ref(), &object).await?;
        Ok(ExportResponse {
            object_type: record.object_type,
            unique_identifier: id.to_owned(),
            attributes: usage::view(context, subject.object()).await?,
            object,
        })
    }
}
