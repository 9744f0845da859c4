//! Which response belongs to which request.
//!
//! It must not know how either travels.

use kmip::operation as op;
use kmip::operation::{Request, Response};

/// A request whose response has a type of its own.
pub trait Call: Into<Request> {
    /// What the server answers.
    type Response;

    /// Takes it out of the enumeration; `None` where it is another's.
    fn response(response: Response) -> Option<Self::Response>;
}

macro_rules! calls {
    ($($operation:ident: $request:ident => $response:ident,)*) => {
        $(impl Call for op::$request {
            type Response = op::$response;

            fn response(response: Response) -> Option<Self::Response> {
                match response {
                    Response::$operation(response) => Some(response),
                    _ => None,
                }
            }
        })*

        #[cfg(test)]
        const CALLS: usize = [$(stringify!($operation)),*].len();
    };
}

calls! {
    Activate: ActivateRequest => ActivateResponse,
    AddAttribute: AddAttributeRequest => AddAttributeResponse,
    Create: CreateRequest => CreateResponse,
    CreateKeyPair: CreateKeyPairRequest => CreateKeyPairResponse,
    Decrypt: DecryptRequest => DecryptResponse,
    DeleteAttribute: DeleteAttributeRequest => DeleteAttributeResponse,
    Destroy: DestroyRequest => DestroyResponse,
    DiscoverVersions: DiscoverVersionsRequest => DiscoverVersionsResponse,
    Encrypt: EncryptRequest => EncryptResponse,
    Export: ExportRequest => ExportResponse,
    Get: GetRequest => GetResponse,
    GetAttributeList: GetAttributeListRequest => GetAttributeListResponse,
    GetAttributes: GetAttributesRequest => GetAttributesResponse,
    Import: ImportRequest => ImportResponse,
    Locate: LocateRequest => LocateResponse,
    ModifyAttribute: ModifyAttributeRequest => ModifyAttributeResponse,
    Query: QueryRequest => QueryResponse,
    Register: RegisterRequest => RegisterResponse,
    Rekey: RekeyRequest => RekeyResponse,
    RekeyKeyPair: RekeyKeyPairRequest => RekeyKeyPairResponse,
    Revoke: RevokeRequest => RevokeResponse,
    SetAttribute: SetAttributeRequest => SetAttributeResponse,
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_operation_of_the_table_can_be_called() {
        assert_eq!(super::CALLS, kmip::operation::ALL.len());
    }
}
