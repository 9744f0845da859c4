//! A developer's database: it can be used as it says, and nothing of it is left behind.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
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
    let (host, port) = host.split(',').next_back().unwrap().split_once(':').unwrap();
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
        let mut child = lab().args(["db", word, "--directory"]).arg(&directory).spawn().unwrap();
        let (url, directories) = what_it_says(&mut child);
        assert!(directories.iter().eq([&directory]));
        assert_eq!(ask(kind, &url), "42");
        // Two cannot have one port.
        let port = url.rsplit_once(':').unwrap().1.split('/').next().unwrap();
        let second = lab().args(["db", word, "--port", port]).output().unwrap();
        let said = String::from_utf8(second.stderr).unwrap();
        assert!(!second.status.success() && said.contains(&format!("port {port}")), "{said}");
        interrupt(&mut child);
        assert!(!directory.exists());
    }
}

#[test]
fn a_cluster_runs_until_it_is_interrupted() {
    let mut child = lab().args(["db", "galera"]).spawn().unwrap();
    let (url, directories) = what_it_says(&mut child);
    assert_eq!((url.matches("127.0.0.1:").count(), directories.len()), (3, 3), "{url}");
    assert_eq!(ask(Kind::MariaDb, &url), "42");
    interrupt(&mut child);
    assert!(directories.iter().all(|directory| !directory.exists()));
}

fn lab() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kms-lab"));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The URL and the directories that are printed when it is ready.
fn what_it_says(child: &mut Child) -> (String, Vec<PathBuf>) {
    let mut directories = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap) {
        if let Some((_, directory)) = line.split_once(" is ready in ") {
            assert!(Path::new(directory).exists());
            directories.push(directory.into());
        }
        if let Some((_, url)) = line.split_once("_URL=") {
            return (url.split(' ').next().unwrap().to_owned(), directories);
        }
    }
    panic!("no URL was printed")
}

/// The account of the database passes through to its own directory.
fn open_to_all(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}
