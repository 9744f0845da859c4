//! All of a database out and into another one: between any two kinds, and not at all where anything is
//! wrong.

use std::collections::BTreeSet;
use std::io::{Cursor, Read, Seek};
use std::sync::Arc;

use kmip::attribute::{Attribute, Attributes, RevocationReason, UsageLimits};
use kmip::enumerations::{
    CertificateType, CryptographicAlgorithm, CryptographicUsageMask, KeyFormatType, ObjectType,
    OpaqueDataType, ResultReason, RevocationReasonCode, SecretDataType, UsageLimitsUnit,
};
use kmip::object::{Certificate, KeyBlock, KeyMaterial, KeyValue, Object, OpaqueObject};
use kmip::operation::{
    CreateKeyPairRequest, DestroyRequest, EncryptRequest, GetRequest, RegisterRequest, Request,
    Response, RevokeRequest,
};
use kmip::stored::StoredRecord;
use kmip::wire::{Bytes, DateTime, SecretBytes};
use kms_archive::{Key, Reader, Writer};
use kms_core::{
    ArchiveError, Contents, Export, ManualClock, Permission, Plan, Policy, Principal, Service,
    Terms, Vault, import_archive, plan_import, verify_archive,
};
use kms_crypto::Secret;
use kms_seal::Clear;
use kms_store::{Address, Config, Product, Remote, Store};
use kms_testkit::database::{Database, Kind, database};
use tempfile::TempDir;

use super::{START, create};

/// Where a database is.
enum Place {
    Directory(TempDir),
    Server {
        /// Goes away with this.
        _database: Database,
    },
}

/// The kinds of databases; none is the one in files.
const PLACES: [Option<Kind>; 3] = [None, Some(Kind::Postgres), Some(Kind::MariaDb)];

/// A database with a server.
struct Site {
    service: Service,
    store: Store,
    vault: Vault,
    clock: Arc<ManualClock>,
    place: Place,
}

impl Site {
    async fn new(kind: Option<Kind>) -> Self {
        let (place, config) = match kind {
            None => {
                let directory = TempDir::new().unwrap();
                let config = Config::directory(directory.path());
                (Place::Directory(directory), config)
            }
            Some(kind) => {
                let database = database(kind);
                let product =
                    if kind == Kind::Postgres { Product::Postgres } else { Product::MySql };
                let address = Address::parse(product, &database.url()).unwrap();
                (Place::Server { _database: database }, Config::server(address, Remote::default()))
            }
        };
        let store = Store::open(config).await.unwrap();
        let clock = Arc::new(ManualClock::new(START));
        let creators = Some(vec!["ann".to_owned()]);
        let policy = Policy { creators, ..Policy::default() };
        let told = Arc::clone(&clock) as Arc<dyn kms_core::Clock>;
        let service = Service::open(store.clone(), &Clear, policy, told).await.unwrap();
        let vault = Vault::open(&store, &Clear).await.unwrap();
        Self { service, store, vault, clock, place }
    }

    async fn ask(&self, user: &str, request: Request) -> Result<Response, ResultReason> {
        let principal = Principal::new(user);
        Box::pin(self.service.perform(&principal, request)).await.map_err(|error| error.reason)
    }

    async fn do_all(&self, requests: Vec<Request>) {
        for request in requests {
            let named = format!("{request:?}");
            let done = self.ask("ann", request).await;
            assert!(done.is_ok(), "{named}: {:?}", done.err());
        }
    }

    async fn export(&self, key: &Key) -> (Contents, Vec<u8>) {
        let export = Export::begin(&self.store, &self.vault, &*self.clock).await.unwrap();
        export.write(Vec::new(), key, &mut |_| {}).await.unwrap()
    }

    async fn plan(&self, archive: &[u8]) -> Result<Plan, ArchiveError> {
        plan_import(Some(&self.store), archive, &key(), &mut |_| {}).await
    }

    async fn take(
        &self,
        plan: &Plan,
        mut archive: impl Read + Seek + Send,
    ) -> Result<(), ArchiveError> {
        let (to, from) = ((&self.store, &self.vault), (&mut archive, &key()));
        import_archive(plan, to, &*self.clock, from, &mut |_| {}).await
    }

    async fn import(&self, archive: &[u8]) -> Result<(), ArchiveError> {
        let plan = self.plan(archive).await?;
        self.take(&plan, Cursor::new(archive)).await
    }

    /// What is in the database, in words that depend neither on its keys nor on its kind.
    async fn all(&self) -> Vec<String> {
        let (_, archive) = self.export(&key()).await;
        let mut reader = Reader::new(archive.as_slice(), &key()).unwrap();
        let (mut words, mut removed) = (Vec::new(), BTreeSet::new());
        while let Some(frame) = reader.next_frame().unwrap() {
            let item = frame.item.expose();
            match item[0] {
                // Where it comes from, and how much there is.
                1 | 6 => {}
                2 => words.push(object(item)),
                4 => removed.extend(texts(&item[5..])),
                _ => words.push(format!("{:?}", String::from_utf8_lossy(item))),
            }
        }
        words.push(format!("removed {removed:?}"));
        words
    }

    async fn is_empty(&self) -> bool {
        self.all().await == ["removed {}"]
    }
}

fn key() -> Key {
    Key::file(Secret::new(vec![5; 32])).unwrap()
}

fn texts(mut bytes: &[u8]) -> Vec<String> {
    let mut texts = Vec::new();
    while !bytes.is_empty() {
        texts.push(String::from_utf8(take(&mut bytes).to_vec()).unwrap());
    }
    texts
}

/// Bytes behind their length.
fn take<'a>(bytes: &mut &'a [u8]) -> &'a [u8] {
    let (length, rest) = bytes.split_first_chunk().unwrap();
    let (taken, rest) = rest.split_at(usize::try_from(u32::from_be_bytes(*length)).unwrap());
    *bytes = rest;
    taken
}

/// An object without the tag of its sealed material, which each database has of its own.
fn object(item: &[u8]) -> String {
    let mut rest = &item[1..];
    let id = String::from_utf8(take(&mut rest).to_vec()).unwrap();
    let (numbers, mut rest) = rest.split_at(16);
    let mut record = StoredRecord::from_bytes(take(&mut rest)).unwrap();
    record.material_tag = None;
    format!("{id:?} {numbers:?} {record:?} {rest:?}")
}

fn revoke(id: &str, code: RevocationReasonCode) -> Request {
    let reason = RevocationReason { revocation_reason_code: code, revocation_message: None };
    Request::Revoke(RevokeRequest {
        unique_identifier: Some(id.into()),
        revocation_reason: reason,
        compromise_occurrence_date: None,
        cascade: None,
    })
}

fn destroy(id: &str, remove: bool) -> Request {
    Request::Destroy(DestroyRequest {
        unique_identifier: Some(id.into()),
        remove: Some(remove),
        ..DestroyRequest::default()
    })
}

fn get(id: &str) -> Request {
    Request::Get(GetRequest { unique_identifier: Some(id.into()), ..GetRequest::default() })
}

fn encrypt(id: &str) -> Request {
    Request::Encrypt(EncryptRequest {
        unique_identifier: Some(id.into()),
        data: Some(Bytes(vec![1; 16])),
        ..EncryptRequest::default()
    })
}

fn register(id: &str, object: Object) -> Request {
    Request::Register(RegisterRequest {
        object_type: object.object_type(),
        attributes: Attributes(vec![Attribute::UniqueIdentifier(id.to_owned())]),
        object,
        protection_storage_masks: None,
    })
}

fn opaque(length: usize) -> Object {
    Object::OpaqueObject(OpaqueObject {
        opaque_data_type: OpaqueDataType(0x8000_0001),
        opaque_data_value: vec![7; length].into(),
    })
}

fn password() -> Object {
    let material = KeyMaterial::Bytes(SecretBytes::from(b"correct horse".to_vec()));
    let block = KeyBlock {
        key_format_type: KeyFormatType::Raw,
        key_compression_type: None,
        key_value: Some(KeyValue::plain(material)),
        cryptographic_algorithm: None,
        cryptographic_length: None,
        key_wrapping_data: None,
    };
    Object::from_key_block(ObjectType::SecretData, Some(SecretDataType::Password), block).unwrap()
}

fn certificate() -> Object {
    let text = include_bytes!("../../../kms-crypto/tests/data/certificate-p256.pem");
    let (_, der) = kms_crypto::format::pem::decode(text).unwrap();
    Object::Certificate(Certificate {
        certificate_type: CertificateType::X_509,
        certificate_value: Bytes(der.expose().to_vec()),
    })
}

/// A key that may be used so often.
fn limited(id: &str, total: i64) -> Request {
    let Request::Create(mut request) = create(id, true) else { unreachable!() };
    request.attributes.add(Attribute::UsageLimits(UsageLimits {
        usage_limits_total: total,
        usage_limits_count: None,
        usage_limits_unit: UsageLimitsUnit::Object,
    }));
    Request::Create(request)
}

fn create_pair(id: &str) -> Request {
    Request::CreateKeyPair(CreateKeyPairRequest {
        common_attributes: Some(Attributes(vec![
            Attribute::CryptographicAlgorithm(CryptographicAlgorithm::Ed25519),
            Attribute::CryptographicUsageMask(CryptographicUsageMask::Sign),
            Attribute::ActivationDate(DateTime(START)),
        ])),
        private_key_attributes: Some(Attributes(vec![Attribute::UniqueIdentifier(id.to_owned())])),
        public_key_attributes: Some(Attributes(vec![Attribute::UniqueIdentifier(format!(
            "{id}_pk"
        ))])),
        ..CreateKeyPairRequest::default()
    })
}

const SUPERSEDED: RevocationReasonCode = RevocationReasonCode::Superseded;
const COMPROMISE: RevocationReasonCode = RevocationReasonCode::KeyCompromise;

/// Objects of every type and in every state, shared, used, removed; tokens; who may create.
async fn fill(site: &Site) {
    let made = ["pre-active", "active", "deactivated", "compromised", "destroyed", "both", "gone"]
        .map(|id| create(id, id != "pre-active"));
    site.do_all(made.into()).await;
    site.do_all(vec![
        revoke("deactivated", SUPERSEDED),
        revoke("compromised", COMPROMISE),
        revoke("destroyed", SUPERSEDED),
        destroy("destroyed", false),
        revoke("both", COMPROMISE),
        destroy("both", false),
        revoke("gone", SUPERSEDED),
        destroy("gone", true),
        create_pair("pair"),
        register("secret", password()),
        register("certificate", certificate()),
        register("opaque", opaque(9)),
        register("large", opaque(300_000)),
        limited("limited", 3),
        encrypt("limited"),
        encrypt("active"),
    ])
    .await;
    let ann = Principal::new("ann");
    let until = Terms {
        permissions: &[Permission::Get, Permission::Encrypt],
        expires: Some(START + 10),
        note: Some("for the night"),
    };
    site.service.grant_on(&ann, Some("active"), "bob", until).await.unwrap();
    site.service.grant(&ann, Some("active"), "*", &[Permission::Locate]).await.unwrap();
    for user in ["carol", "dave"] {
        site.service.grant(&ann, Some("active"), user, &[Permission::Get]).await.unwrap();
    }
    site.service.withdraw(&ann, Some("active"), "carol", &[Permission::Get]).await.unwrap();
    site.service.grant(&ann, None, "erin", &[Permission::Create]).await.unwrap();
    let tokens = site.service.api_tokens();
    for name in ["night", "day"] {
        tokens.create(name, None, Some(START + 1000)).await.unwrap();
    }
    tokens.revoke("night").await.unwrap();
}

/// More than a page, and more grants than an item lists.
async fn fill_up(site: &Site) {
    for number in 0..600 {
        site.do_all(vec![create(&format!("key-{number}"), true)]).await;
    }
    let ann = Principal::new("ann");
    for number in 0..300 {
        let user = format!("user{number}");
        site.service.grant(&ann, Some("key-0"), &user, &[Permission::Get]).await.unwrap();
    }
}

async fn moves(from: Option<Kind>, to: &[Option<Kind>]) {
    let source = Site::new(from).await;
    fill(&source).await;
    fill_up(&source).await;
    let token = source.service.api_tokens().create("moved", None, None).await.unwrap();
    let before = source.all().await;
    let (contents, archive) = source.export(&key()).await;
    assert_eq!(verify_archive(archive.as_slice(), &key(), &mut |_| {}).unwrap(), contents);
    assert_eq!(contents.total(), 613);
    assert_eq!((contents.grants, contents.removed, contents.api_tokens), (304, 1, 3));
    assert!(contents.register && contents.counters == 2);
    for to in to {
        let what = format!("{from:?} to {to:?}");
        let target = Site::new(*to).await;
        let plan = target.plan(&archive).await.unwrap();
        assert!(plan.contents == contents && plan.conflicts.is_empty(), "{what}");
        assert!(target.is_empty().await, "{what}: a plan changes nothing");
        target.import(&archive).await.unwrap();
        assert_eq!(target.all().await, before, "{what}");
        // It is used as it was.
        let here = source.ask("ann", get("active")).await.unwrap();
        let there = target.ask("ann", get("active")).await.unwrap();
        assert_eq!(format!("{here:?}"), format!("{there:?}"), "{what}");
        for (user, request, expected) in [
            ("bob", get("active"), None),
            ("dave", get("active"), None),
            ("carol", get("active"), Some(ResultReason::ObjectNotFound)),
            ("user299", get("key-0"), None),
            ("erin", create("erins", true), None),
            ("bob", create("bobs", true), Some(ResultReason::PermissionDenied)),
            ("ann", create("gone", true), Some(ResultReason::ObjectAlreadyExists)),
            ("ann", encrypt("limited"), None),
            ("ann", encrypt("limited"), None),
            ("ann", encrypt("limited"), Some(ResultReason::PermissionDenied)),
            ("ann", encrypt("deactivated"), Some(ResultReason::WrongKeyLifecycleState)),
        ] {
            let named = format!("{what}: {user} {request:?}");
            assert_eq!(target.ask(user, request).await.err(), expected, "{named}");
        }
        target.clock.set(START + 10);
        assert!(target.ask("bob", get("active")).await.is_err(), "{what}");
        let tokens = target.service.api_tokens();
        assert_eq!(tokens.verify(token.expose()).await.unwrap().user, "token:moved", "{what}");
        assert_eq!(tokens.list().await.unwrap().len(), 3);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_moves_anywhere() {
    Box::pin(moves(None, &PLACES)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_moves_anywhere() {
    Box::pin(moves(Some(Kind::Postgres), &PLACES)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_moves_anywhere() {
    Box::pin(moves(Some(Kind::MariaDb), &PLACES)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_is_of_one_moment() {
    for kind in PLACES {
        let site = Site::new(kind).await;
        fill(&site).await;
        let before = site.all().await;
        let export = Export::begin(&site.store, &site.vault, &*site.clock).await.unwrap();
        // One page is read ahead at most, and this is in none.
        site.do_all(vec![
            create("later", true),
            revoke("active", SUPERSEDED),
            destroy("active", true),
        ])
        .await;
        site.service.api_tokens().revoke("day").await.unwrap();
        let (_, archive) = export.write(Vec::new(), &key(), &mut |_| {}).await.unwrap();
        let target = Site::new(None).await;
        target.import(&archive).await.unwrap();
        assert_eq!(target.all().await, before, "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_there_is_not_replaced() {
    for kind in PLACES {
        let source = Site::new(None).await;
        fill(&source).await;
        let (_, archive) = source.export(&key()).await;
        for (request, named) in [
            (vec![create("active", true)], "the object \"active\""),
            (vec![create("gone", true)], "the object \"gone\""),
            (vec![create("opaque", false), destroy("opaque", true)], "the object \"opaque\""),
            (vec![], "the API token \"day\""),
        ] {
            let target = Site::new(kind).await;
            let no_objects = request.is_empty();
            target.do_all(request).await;
            if no_objects {
                target.service.api_tokens().create("day", None, None).await.unwrap();
            }
            let before = target.all().await;
            let plan = target.plan(&archive).await.unwrap();
            assert_eq!(plan.conflicts.named, [named], "{kind:?}");
            let refusal = target.import(&archive).await.unwrap_err();
            assert!(refusal.to_string().contains(named), "{kind:?}: {refusal}");
            assert_eq!(target.all().await, before, "{kind:?}");
        }
        // Beside others, and not twice; what was removed there too is no reason.
        let target = Site::new(kind).await;
        target
            .do_all(vec![create("other", true), create("gone", false), destroy("gone", true)])
            .await;
        let plan = target.plan(&archive).await.unwrap();
        assert_eq!((plan.removed_here, plan.conflicts.is_empty()), (1, true));
        target.import(&archive).await.unwrap();
        assert!(target.ask("ann", encrypt("other")).await.is_ok());
        let again = target.plan(&archive).await.unwrap().conflicts;
        assert_eq!((again.named.len(), again.more), (16, 0), "{again:?}");
    }
}

/// What comes to be used after the database was compared ends all of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_between_is_not_replaced() {
    for kind in PLACES {
        let source = Site::new(None).await;
        fill(&source).await;
        let (_, archive) = source.export(&key()).await;
        let target = Site::new(kind).await;
        let plan = target.plan(&archive).await.unwrap();
        target.do_all(vec![create("limited", true)]).await;
        let before = target.all().await;
        let refusal = target.take(&plan, Cursor::new(&archive)).await.unwrap_err();
        assert!(refusal.to_string().contains("\"limited\""), "{kind:?}: {refusal}");
        assert_eq!(target.all().await, before, "{kind:?}");
    }
}

/// A file that cannot be read any more.
struct Failing<'a>(Cursor<&'a [u8]>);

impl Read for Failing<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        match self.0.read(buf)? {
            0 => Err(std::io::Error::other("the disk is broken")),
            count => Ok(count),
        }
    }
}

impl Seek for Failing<'_> {
    fn seek(&mut self, pos: std::io::SeekFrom) -> std::io::Result<u64> {
        self.0.seek(pos)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_ends_early_has_done_nothing() {
    let source = Site::new(None).await;
    fill(&source).await;
    fill_up(&source).await;
    let (_, archive) = source.export(&key()).await;
    let (_, other) = source.export(&key()).await;
    for kind in PLACES {
        let target = Site::new(kind).await;
        let plan = target.plan(&archive).await.unwrap();
        let cut = &archive[..archive.len() - 100];
        for (what, refused) in [
            ("cut", target.take(&plan, Cursor::new(cut)).await),
            ("unreadable", target.take(&plan, Failing(Cursor::new(cut))).await),
            ("another", target.take(&plan, Cursor::new(&other)).await),
        ] {
            assert!(refused.is_err(), "{kind:?} {what}");
        }
        assert!(target.is_empty().await, "{kind:?}");
        // The database is as good as before.
        target.take(&plan, Cursor::new(&archive)).await.unwrap();
        assert_eq!(target.all().await, source.all().await, "{kind:?}");
    }
}

/// Items under the right key that no export writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_are_in_their_order_and_all_there() {
    let site = Site::new(None).await;
    fill(&site).await;
    let (_, archive) = site.export(&key()).await;
    let mut reader = Reader::new(archive.as_slice(), &key()).unwrap();
    let mut items = Vec::new();
    while let Some(frame) = reader.next_frame().unwrap() {
        items.push(frame.item.expose().to_vec());
    }
    let check = |what: String, items: Vec<&Vec<u8>>| {
        let mut writer = Writer::new(Vec::new(), &key()).unwrap();
        let (last, rest) = items.split_last().unwrap();
        for item in rest {
            writer.add(item).unwrap();
        }
        let bytes = writer.finish(last).unwrap();
        let refused = verify_archive(bytes.as_slice(), &key(), &mut |_| {});
        assert!(matches!(refused, Err(ArchiveError::Unfit { .. })), "{what}: {refused:?}");
    };
    for (at, item) in items.iter().enumerate() {
        let mut left = items.iter().collect::<Vec<_>>();
        left.remove(at);
        check(format!("without {at}"), left);
        let mut twice = items.iter().collect::<Vec<_>>();
        twice.insert(at, item);
        check(format!("{at} twice"), twice);
        let mut longer = item.clone();
        longer.push(0);
        let mut changed = items.iter().collect::<Vec<_>>();
        changed[at] = &longer;
        check(format!("{at} longer"), changed);
    }
    for (a, b) in [(0, 1), (1, items.len() - 1), (1, items.len() - 2), (1, items.len() - 3)] {
        let mut swapped = items.iter().collect::<Vec<_>>();
        swapped.swap(a, b);
        check(format!("{a} and {b} swapped"), swapped);
    }
}

/// Whatever is done to the file, it is refused before anything is stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_archive_changes_nothing() {
    let source = Site::new(None).await;
    fill(&source).await;
    let (_, archive) = source.export(&key()).await;
    let (_, other) = source.export(&key()).await;
    let target = Site::new(None).await;
    let half = archive.len() / 2;
    let mut broken = vec![
        Vec::new(),
        archive[..half].to_vec(),
        archive[..archive.len() - 1].to_vec(),
        [&archive[..], b"\0"].concat(),
        [&archive[..], &archive[..]].concat(),
        [&archive[..half], &other[half..]].concat(),
        [&other[..kms_archive::HEADER_LENGTH], &archive[kms_archive::HEADER_LENGTH..]].concat(),
    ];
    for at in (0..archive.len()).step_by(archive.len() / 150) {
        let mut changed = archive.clone();
        changed[at] ^= 0x10;
        broken.push(changed);
    }
    for (number, bytes) in broken.iter().enumerate() {
        let verified = verify_archive(bytes.as_slice(), &key(), &mut |_| {});
        assert!(matches!(verified, Err(ArchiveError::Archive(_))), "{number}: {verified:?}");
        let refused = target.import(bytes).await;
        assert!(matches!(refused, Err(ArchiveError::Archive(_))), "{number}: {refused:?}");
    }
    let wrong = Key::file(Secret::new(vec![6; 32])).unwrap();
    assert!(verify_archive(archive.as_slice(), &wrong, &mut |_| {}).is_err());
    assert!(target.is_empty().await);
}

/// What is not sound does not leave.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_was_altered_is_not_exported() {
    for (change, says) in [
        ("UPDATE objects SET owner = 'bob' WHERE id = 'active'", "the object \"active\""),
        ("UPDATE objects SET material = NULL WHERE id = 'active'", "the object \"active\""),
        ("UPDATE \"usage\" SET sealed = object FROM objects", "was altered"),
        ("UPDATE read_access SET expires = NULL WHERE userid = 'bob'", "to \"bob\""),
        ("UPDATE api_tokens SET revoked = NULL", "API token \"night\""),
    ] {
        let site = Site::new(None).await;
        fill(&site).await;
        let Place::Directory(directory) = &site.place else { unreachable!() };
        let connection = rusqlite::Connection::open(directory.path().join("kms.db")).unwrap();
        connection.execute_batch(change).unwrap();
        let export = Export::begin(&site.store, &site.vault, &*site.clock).await.unwrap();
        let refused = export.write(Vec::new(), &key(), &mut |_| {}).await.err().unwrap();
        assert!(matches!(refused, ArchiveError::Unsound(_)), "{change}: {refused}");
        assert!(refused.to_string().contains(says), "{change}: {refused}");
    }
}
