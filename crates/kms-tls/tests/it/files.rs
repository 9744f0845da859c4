//! Certificates in files: what is taken, what is refused with a reason, and what changes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use kms_crypto::Secret;
use kms_outbound::{Caller, Trust};
use kms_testkit::certificates::{Authority, Identity};
use kms_tls::{Clock as _, Files, Origin, Outbound, Source, StartError, Started, World};
use tempfile::TempDir;

use crate::setup::{DAY_S, StandingClock, leaf, until};

struct Place {
    directory: TempDir,
    clock: Arc<StandingClock>,
}

impl Place {
    fn new() -> Self {
        Self { directory: TempDir::new().unwrap(), clock: StandingClock::new() }
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.directory.path().join(name);
        // As people do it: beside it, and renamed.
        let beside = path.with_extension("new");
        std::fs::write(&beside, text).unwrap();
        std::fs::rename(&beside, &path).unwrap();
        path
    }

    fn world(&self) -> World {
        let transport = Arc::new(Outbound(Caller::new(Trust::system(), false)));
        let clock = Arc::<StandingClock>::clone(&self.clock);
        World { clock, ..World::system(transport) }
    }

    async fn start(&self, files: Files) -> Result<Started, StartError> {
        Source::Files(files).start(self.world()).await
    }

    async fn refused(&self, files: Files) -> String {
        let error = self.start(files).await.unwrap_err();
        assert!(matches!(error, StartError::Files(_)) && !error.is_passing());
        error.to_string()
    }
}

fn plain(certificate: &Path, key: Option<&Path>) -> Files {
    Files { certificate: certificate.into(), key: key.map(Into::into), password: None }
}

#[tokio::test]
async fn pem_in_one_file_or_two_is_served() {
    let place = Place::new();
    let Identity { certificate, key, .. } = Authority::new("servers").server();
    let both = place.write("both.pem", format!("{certificate}{key}"));
    let own = place.write("own.pem", &certificate);
    let key = place.write("own.key", &key);
    let one = place.start(plain(&both, None)).await.unwrap();
    let two = place.start(plain(&own, Some(&key))).await.unwrap();
    assert_eq!(leaf(&one.resolver), leaf(&two.resolver));
    let status = one.status.borrow().clone();
    assert_eq!((status.origin, status.renew_at), (Origin::Files, None));
    assert!(status.is_good(place.clock.now()));
    assert_eq!(status.certificate.unwrap().names, ["localhost"]);
}

#[tokio::test]
async fn pkcs12_is_served_with_its_password_alone() {
    let place = Place::new();
    let Identity { certificate, key, .. } = Authority::new("servers").server();
    place.write("own.pem", format!("{certificate}{key}"));
    let export = |arguments: &[&str], name: &str| {
        let made = Command::new("openssl")
            .args(["pkcs12", "-export", "-in", "own.pem", "-out", name])
            .args(arguments)
            .current_dir(place.directory.path())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        place.directory.path().join(name)
    };
    let good = export(&["-passout", "pass:secret"], "own.p12");
    let bare = export(&["-passout", "pass:secret", "-nomac"], "bare.p12");
    let with = |path: &Path, password: &str| Files {
        password: Some(Arc::new(Secret::from(password.as_bytes()))),
        ..plain(path, None)
    };
    let started = place.start(with(&good, "secret")).await.unwrap();
    assert!(started.status.borrow().is_good(place.clock.now()));
    let wrong = place.refused(with(&good, "other")).await;
    assert!(wrong.contains("check its password") && !wrong.contains("other"), "{wrong}");
    let bare = place.refused(with(&bare, "secret")).await;
    assert!(bare.contains("no MAC"), "{bare}");
}

#[tokio::test]
async fn what_clients_would_refuse_is_refused_with_the_reason() {
    let place = Place::new();
    let authority = Authority::new("servers");
    let (own, other) = (authority.server(), authority.server());
    let expired = authority.expired_client("server");
    let version1 = version1(&place);
    for (certificate, key, says) in [
        (own.certificate.as_str(), other.key.as_str(), "not of this key"),
        (&expired.certificate, &expired.key, "has expired"),
        (&version1.0, &version1.1, "version 1"),
        ("", &own.key, "no certificate in PEM"),
        (&own.certificate, "", "no private key in PEM"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n", &own.key, "broken"),
    ] {
        let certificate = place.write("some.pem", certificate);
        let key = place.write("some.key", key);
        let refused = place.refused(plain(&certificate, Some(&key))).await;
        assert!(refused.contains(says) && refused.contains("some.pem"), "{says}: {refused}");
    }
    let nowhere = place.directory.path().join("nowhere.pem");
    let refused = place.refused(plain(&nowhere, None)).await;
    assert!(refused.contains("nowhere.pem"), "{refused}");
}

/// A certificate as `openssl x509 -req` makes it without extensions.
fn version1(place: &Place) -> (String, String) {
    let script = "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
                  -subj /CN=localhost -keyout v1.key -out v1.csr && \
                  openssl x509 -req -in v1.csr -signkey v1.key -out v1.pem";
    let mut shell = Command::new("sh");
    let made = shell.args(["-c", script]).current_dir(place.directory.path()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let read = |name: &str| std::fs::read_to_string(place.directory.path().join(name)).unwrap();
    (read("v1.pem"), read("v1.key"))
}

#[tokio::test]
async fn changed_files_are_served_and_broken_ones_change_nothing() {
    let place = Place::new();
    let authority = Authority::new("servers");
    let [first, second] = [authority.server(), authority.server()];
    let certificate = place.write("own.pem", &first.certificate);
    let key = place.write("own.key", &first.key);
    let mut started = place.start(plain(&certificate, Some(&key))).await.unwrap();
    let before = leaf(&started.resolver);
    let task = tokio::spawn(started.task.run());

    // The certificate comes before its key; between the two, nothing fits.
    place.write("own.pem", &second.certificate);
    tokio::task::yield_now().await;
    place.clock.advance(10);
    let status = until(&mut started.status, |it| it.failures == 1).await;
    assert!(status.last_failure.unwrap().what.contains("not of this key"));
    assert_eq!(leaf(&started.resolver), before);
    place.write("own.key", &second.key);
    started.control.reload();
    until(&mut started.status, |it| it.failures == 0).await;
    assert_ne!(leaf(&started.resolver), before);

    // That it is over is seen by whoever looks.
    place.clock.advance(4_000_000 * DAY_S);
    assert!(started.status.borrow().days_left(place.clock.now()).unwrap() < 0);
    assert!(!started.status.borrow().is_good(place.clock.now()));
    task.abort();
}
