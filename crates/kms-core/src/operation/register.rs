//! Register: an object that was made elsewhere (KMIP 2.1 section 6.1.43).

use kmip::enumerations::ResultReason;
use kmip::operation::{RegisterRequest, RegisterResponse};

use super::{Operation, Target};
use crate::access::{Grants, Makes, Needs, Permission, Row};
use crate::attribute_rules::{Origin, admit, take_chosen_id};
use crate::context::{Context, new_id};
use crate::error::{Error, Result};
use crate::material::new_object;

pub(super) struct Register;

impl Operation for Register {
    type Request = RegisterRequest;
    type Response = RegisterResponse;
    const NEEDS: Needs = Needs::Grant(Permission::Create);
    const ROLES: &'static [Row] = &[];
    const MAKES: Makes = Makes::Objects;

    async fn targets(_: &mut Context<'_>, _: &RegisterRequest) -> Result<Vec<Target>> {
        Ok(Vec::new())
    }

    async fn run(
        context: &mut Context<'_>,
        _: Grants<Self>,
        request: RegisterRequest,
    ) -> Result<RegisterResponse> {
        let object_type = request.object.object_type();
        if object_type != request.object_type {
            return Err(Error::new(
                ResultReason::InvalidField,
                format!("Object Type says {:?}; {object_type:?} follows", request.object_type),
            ));
        }
        let mut attributes = admit(object_type, request.attributes, Origin::New)?;
        let id = new_id(take_chosen_id(&mut attributes))?;
        let new = new_object(context, request.object, attributes, None)?;
        context.unit.insert(&id, new.record, new.material)?;
        Ok(RegisterResponse { unique_identifier: id, attributes: None })
    }
}
