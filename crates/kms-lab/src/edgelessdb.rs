//! `kms-lab edgelessdb DIR`: what an operator of an `EdgelessDB` needs, from its first start to the
//! server's: authority, client certificate, manifest, recovery key, and the commands in their order.
//! `docs/edgelessdb.md` prints the same commands. It must not talk to a database.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use p12_keystore::{KeyStore, KeyStoreEntry, PrivateKey, PrivateKeyChain};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256, RsaKeySize,
    date_time_ymd,
};
use serde_json::json;

use crate::Result;

/// The name of the authority, which the database compares as text.
const AUTHORITY: &str = "KMS database CA";
/// The user of the database, and the name in its certificate.
const USER: &str = "kms";
/// How long the certificates last, in years: the manifest's authority can never be replaced.
const YEARS: i32 = 25;

pub(crate) fn task(arguments: &[String]) -> Result<bool> {
    let [directory] = arguments else { return Err("a new directory for the material".into()) };
    make(Path::new(directory))?;
    println!("Made in {directory}, readable by you alone:\n");
    for (file, what) in FILES {
        println!("  {file:<18}{what}");
    }
    println!("\nNext, each of these (docs/edgelessdb.md says more):");
    for (what, command) in commands(&shown(directory)) {
        println!("\n# {what}\n{command}");
    }
    Ok(true)
}

/// What is made, and what for.
const FILES: [(&str, &str); 7] = [
    ("manifest.json", "who may come in: posted once, unchangeable then; keep exactly these bytes"),
    ("cert.p12", "the server's client certificate with its key, without a password"),
    ("client.pem", "the same certificate, for the mysql client"),
    ("client-key.pem", "its key"),
    ("ca.pem", "the authority of client certificates, which the manifest names"),
    ("ca-key.pem", "its key: whoever has it is let in; keep it offline, for renewing"),
    (
        "recovery-key.pem",
        "opens the database's key after a move to another machine; keep it offline",
    ),
];

fn make(directory: &Path) -> Result<()> {
    if directory.exists() && directory.read_dir()?.next().is_some() {
        return Err(format!("{} is not empty; name a new directory", directory.display()).into());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let authority = authority()?;
    let (certificate, key) = client(&authority)?;
    let recovery = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_3072)?;
    let manifest = json!({
        "sql": [
            format!("CREATE USER {USER} REQUIRE ISSUER '/CN={AUTHORITY}' SUBJECT '/CN={USER}'"),
            format!("CREATE DATABASE {USER} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"),
            format!("GRANT ALL ON {USER}.* TO {USER}"),
        ],
        "ca": authority.pem(),
        "recovery": recovery.public_key_pem(),
    });
    for (name, bytes) in [
        ("manifest.json", serde_json::to_vec_pretty(&manifest)?),
        ("cert.p12", pkcs12(certificate.der(), &key)?),
        ("client.pem", certificate.pem().into_bytes()),
        ("client-key.pem", key.serialize_pem().into_bytes()),
        ("ca.pem", authority.pem().into_bytes()),
        ("ca-key.pem", authority.key().serialize_pem().into_bytes()),
        ("recovery-key.pem", recovery.serialize_pem().into_bytes()),
    ] {
        write(&directory.join(name), &bytes)?;
    }
    Ok(())
}

/// A new file of this user alone.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    Ok(file.write_all(bytes)?)
}

fn authority() -> Result<CertifiedIssuer<'static, KeyPair>> {
    let mut wish = named(AUTHORITY)?;
    wish.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    wish.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(CertifiedIssuer::self_signed(wish, KeyPair::generate()?)?)
}

/// Version 3, as every TLS of today wants it: `openssl x509 -req` without extensions makes version 1.
fn client(authority: &CertifiedIssuer<'_, KeyPair>) -> Result<(rcgen::Certificate, KeyPair)> {
    let mut wish = named(USER)?;
    wish.is_ca = IsCa::ExplicitNoCa;
    wish.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    wish.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate()?;
    let certificate = wish.signed_by(&key, authority)?;
    Ok((certificate, key))
}

fn named(name: &str) -> Result<CertificateParams> {
    let mut wish = CertificateParams::new(Vec::new())?;
    wish.distinguished_name = DistinguishedName::new();
    wish.distinguished_name.push(DnType::CommonName, name);
    // From last year on: clocks differ.
    let year = this_year()? - 1;
    wish.not_before = date_time_ymd(year, 1, 1);
    wish.not_after = date_time_ymd(year + YEARS, 1, 1);
    Ok(wish)
}

fn this_year() -> Result<i32> {
    const SECONDS_OF_A_YEAR: u64 = 31_556_952;
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    Ok(1970 + i32::try_from(seconds / SECONDS_OF_A_YEAR)?)
}

/// The form in which the seed of this project wanted it: without a password.
fn pkcs12(certificate: &[u8], key: &KeyPair) -> Result<Vec<u8>> {
    let certificate = p12_keystore::Certificate::from_der(certificate)?;
    let key = PrivateKey::from_der(key.serialized_der())?;
    let mut store = KeyStore::new();
    let chain = PrivateKeyChain::new(USER, key, [certificate]);
    store.add_entry(USER, KeyStoreEntry::PrivateKeyChain(chain));
    Ok(store.writer("").write()?)
}

/// A path as a shell reads it.
fn shown(path: &str) -> String {
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "/._-+".contains(it);
    if path.chars().all(is_plain) {
        return path.to_owned();
    }
    format!("'{}'", path.replace('\'', r"'\''"))
}

/// What is to be done, and by which command.
fn commands(directory: &str) -> Vec<(&'static str, String)> {
    vec![
        (
            "Start it, here in simulation, on a machine without SGX.",
            "docker run --detach --tty --name kms-edgelessdb --volume kms-edgelessdb:/data \\\n  \
             --publish 127.0.0.1:3306:3306 --publish 127.0.0.1:8080:8080 --env OE_SIMULATION=1 \\\n  \
             ghcr.io/edgelesssys/edgelessdb-sgx-1gb"
                .to_owned(),
        ),
        (
            "Take the certificate that it shows. In simulation nothing proves that it is the right one.",
            format!(
                "curl --silent --insecure --retry 60 --retry-all-errors https://localhost:8080/quote |\n  \
                 sed 's/\"Cert\":\"/\\n/; s/\\\\n/\\n/g' |\n  \
                 awk '/BEGIN CERT/ {{ pem = \"\" }} {{ pem = pem $0 \"\\n\" }} /END CERT/ {{ last = pem }} \
                 END {{ printf \"%s\", last }}' \\\n  > {directory}/root.pem"
            ),
        ),
        (
            "Post the manifest. The answer is the database's key, for the recovery key alone; keep it.",
            format!(
                "curl --silent --show-error --fail --cacert {directory}/root.pem \\\n  \
                 --data-binary @{directory}/manifest.json --output {directory}/recovery-data \\\n  \
                 https://localhost:8080/manifest"
            ),
        ),
        (
            "Wait until it runs with exactly this manifest.",
            format!(
                "until curl --silent --cacert {directory}/root.pem https://localhost:8080/signature |\n  \
                 grep --quiet \"$(sha256sum < {directory}/manifest.json | cut -c 1-64)\"; do sleep 1; done"
            ),
        ),
        (
            "See whether the certificate is let in.",
            format!(
                "mysql --protocol=tcp --host=localhost --port=3306 --user={USER} \\\n  \
                 --ssl-ca={directory}/root.pem --ssl-cert={directory}/client.pem \
                 --ssl-key={directory}/client-key.pem \\\n  \
                 --execute='SHOW GRANTS' {USER}"
            ),
        ),
        (
            "Start the server.",
            format!(
                "KMS_MYSQL_URL=mysql://{USER}@localhost:3306/{USER} KMS_USER_CERT_PATH={directory}/cert.p12 \\\n  \
                 KMS_DATABASE_CA_PATH={directory}/root.pem cargo run --release --features dev"
            ),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_prints_the_commands() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
        let page = std::fs::read_to_string(format!("{root}/docs/edgelessdb.md")).unwrap();
        for (what, command) in commands("edgelessdb") {
            assert!(page.contains(&format!("# {what}\n{command}\n")), "{command}");
        }
        for (file, _) in FILES {
            assert!(page.contains(&format!("`{file}`")), "{file}");
        }
    }

    #[test]
    fn paths_are_spelled_for_a_shell() {
        for (path, shell) in
            [("a/b-1.c", "a/b-1.c"), ("a b", "'a b'"), ("it's", r"'it'\''s'"), ("$x", "'$x'")]
        {
            assert_eq!(shown(path), shell);
        }
    }
}
