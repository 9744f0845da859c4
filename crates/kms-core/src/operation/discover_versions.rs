//! Discover Versions: which versions of the protocol are spoken (KMIP 2.1 section 6.1.18).

use kmip::Version;
use kmip::message::ProtocolVersion;
use kmip::operation::{DiscoverVersionsRequest, DiscoverVersionsResponse};

use super::{Operation, Target};
use crate::access::{Grants, Needs, Row};
use crate::context::Context;
use crate::error::Result;

pub(super) struct DiscoverVersions;

impl Operation for DiscoverVersions {
    type Request = DiscoverVersionsRequest;
    type Response = DiscoverVersionsResponse;
    const NEEDS: Needs = Needs::Anyone;
    const ROLES: &'static [Row] = &[];
    const WRITES: bool = false;

    async fn targets(_: &mut Context<'_>, _: &DiscoverVersionsRequest) -> Result<Vec<Target>> {
        Ok(Vec::new())
    }

    async fn run(
        _: &mut Context<'_>,
        _: Grants<Self>,
        request: DiscoverVersionsRequest,
    ) -> Result<DiscoverVersionsResponse> {
        let asked = request.protocol_versions;
        let ours = Version::ALL.iter().rev().map(|version| ProtocolVersion::from(*version));
        let protocol_versions =
            ours.filter(|version| asked.is_empty() || asked.contains(version)).collect();
        Ok(DiscoverVersionsResponse { protocol_versions })
    }
}
