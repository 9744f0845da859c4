//! A developer's database: it can be used as it says, and nothing of it is left behind.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use kms_testkit::database::{Kind, client};

/// Ends it as Ctrl-C does.
fn interrupt(child: &mut Child) {
    let kill = format!("kill -INT {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    assert!(child.wait().unwrap().success());
}

/// One statement by the URL that was printed, as a person would send it.
fn ask(kind: Kind, url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap();
    assert_eq!(rest.split_once('@').unwrap().0, "kms:kms");
    let (host, database) = rest.split_once('@').unwrap().1.split_once('/').unwrap();
    let (host, port) = host.split_once(':').unwrap();
    let mut command = Command::new(client(kind));
    if scheme == "postgresql" {
        command.args([url, "-XAtc", "SELECT 6 * 7"]);
    } else {
        command.args(["--no-defaults", "--batch", "--skip-column-names", "--user=kms"]);
        command.args([&format!("--host={host}"), &format!("--port={port}"), "--password=kms"]);
        command.args([database, "--execute", "SELECT 6 * 7"]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_database_runs_until_it_is_interrupted() {
    for (kind, word) in [(Kind::Postgres, "postgres"), (Kind::MariaDb, "mariadb")] {
        let home = tempfile::TempDir::new().unwrap();
        let directory = home.path().join("data");
        open_to_all(home.path());
        let mut child = Command::new(env!("CARGO_BIN_EXE_kms-lab"))
            .args(["db", word, "--directory"])
            .arg(&directory)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.map(Result::unwrap).find(|line| line.contains("_URL=")).unwrap();
        let (_, url) = line.split_once('=').unwrap();
        let url = url.split(' ').next().unwrap();
        assert!(directory.exists());
        assert_eq!(ask(kind, url), "42");
        // Two cannot have one port.
        let port = url.rsplit_once(':').unwrap().1.split('/').next().unwrap();
        let second = Command::new(env!("CARGO_BIN_EXE_kms-lab"))
            .args(["db", word, "--port", port])
            .output()
            .unwrap();
        let said = String::from_utf8(second.stderr).unwrap();
        assert!(!second.status.success() && said.contains(&format!("port {port}")), "{said}");
        interrupt(&mut child);
        assert!(!directory.exists());
    }
}

/// The account of the database passes through to its own directory.
fn open_to_all(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}
