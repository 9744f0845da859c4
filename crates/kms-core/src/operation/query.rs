//! Query: what this server can do (KMIP 2.1 section 6.1.38). Everything is told from the tables.

use kmip::enumerations::{
    DestroyAction, ProfileName, ProtectionStorageMask, QueryFunction, RNGMode,
    ShreddingAlgorithm, UnwrapMode,
};
use kmip::operation::{
    ALL as SPOKEN, CapabilityInformation, ProfileInformation, ProfileVersion, ProtectionStorageMasks,
    QueryRequest, QueryResponse, ServerInformation,
};

use super::{Operation, Target};
use crate::access::{ANY_TYPE, Grants, Needs, Row};
use crate::context::Context;
use crate::error::Result;
use crate::mechanism;

pub(super) struct Query;

/// Whom the answer names as the maker.
const VENDOR: &str = "Open KMS";

impl Operation for Query {
    type Request = QueryRequest;
    type Response = QueryResponse;
    const NEEDS: Needs = Needs::Anyone;
    const ROLES: &'static [Row] = &[];
    const WRITES: bool = false;

    async fn targets(_: &mut Context<'_>, _: &QueryRequest) -> Result<Vec<Target>> {
        Ok(Vec::new())
    }

    async fn run(
        context: &mut Context<'_>,
        _: Grants<Self>,
        request: QueryRequest,
    ) -> Result<QueryResponse> {
        let mut response = QueryResponse::default();
        for function in request.query_functions {
            answer(context, function, &mut response);
        }
        Ok(response)
    }
}

fn answer(context: &Context<'_>, function: QueryFunction, response: &mut QueryResponse) {
    match function {
        QueryFunction::QueryOperations => {
            let spoken = SPOKEN.iter().filter(|(_, since)| *since <= context.version);
            response.operations = spoken.map(|(operation, _)| *operation).collect();
        }
        QueryFunction::QueryObjects => response.object_types = ANY_TYPE.to_vec(),
        QueryFunction::QueryServerInformation => {
            response.vendor_identification = Some(VENDOR.to_owned());
            response.server_information = Some(Box::new(ServerInformation {
                server_name: Some("kms-server".to_owned()),
                server_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
                product_name: Some(VENDOR.to_owned()),
                ..ServerInformation::default()
            }));
        }
        QueryFunction::QueryRNGs => response.rng_parameters = vec![mechanism::generator()],
        QueryFunction::QueryProfiles => response.profile_information = profiles(),
        QueryFunction::QueryCapabilities => {
            response.capability_information = vec![CapabilityInformation {
                streaming_capability: Some(true),
                asynchronous_capability: Some(false),
                attestation_capability: Some(false),
                batch_undo_capability: Some(true),
                batch_continue_capability: Some(true),
                unwrap_mode: Some(UnwrapMode::Processed),
                destroy_action: Some(DestroyAction::KeyMaterialDeleted),
                shredding_algorithm: Some(ShreddingAlgorithm::Unsupported),
                rng_mode: Some(RNGMode::NonSharedInstantiation),
                quantum_safe_capability: Some(false),
            }];
        }
        QueryFunction::QueryStorageProtectionMasks => {
            response.protection_storage_masks =
                Some(ProtectionStorageMasks { masks: vec![ProtectionStorageMask::Software] });
        }
        // Namespaces, extensions, attestation, validations, registration, defaults: none.
        _ => {}
    }
}

/// The profiles whose mandatory test cases are run against every change.
fn profiles() -> Vec<ProfileInformation> {
    let profiles = [
        ProfileName::BaselineServer,
        ProfileName::SymmetricKeyLifecycleServer,
        ProfileName::AsymmetricKeyLifecycleServer,
        ProfileName::BasicCryptographicServer,
    ];
    profiles
        .into_iter()
        .map(|profile_name| ProfileInformation {
            profile_name,
            profile_version: Some(ProfileVersion {
                profile_version_major: 2,
                profile_version_minor: 1,
            }),
            server_uri: None,
            server_port: None,
        })
        .collect()
}
