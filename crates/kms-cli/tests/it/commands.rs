//! Every command: alone, and against a server where everybody is one user.

use std::io::Write as _;

use serde_json::json;

use crate::user::{User, mode, ran, text};

// Alone.

#[test]
fn without_a_command_there_is_help() {
    let user = User::alone();
    let ran = user.run(&[]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("Exit codes:"), "{}", ran.stderr);
    assert!(user.ok(&["--help"]).contains("kms keys create --name backup"));
    assert!(user.ok(&["--version"]).starts_with("kms "));
    assert!(user.fails(&["keys", "create", "--size", "3"], 2).contains("--size"));
}

#[test]
fn a_server_that_is_not_there_is_told_with_what_to_do() {
    let user = User::alone();
    let told = user.fails(&["keys", "list", "--url", "http://127.0.0.1:1"], 3);
    assert!(told.starts_with("error: no connection to 127.0.0.1:1: "), "{told}");
    assert!(told.contains("\nhint: start a server with `cargo run"), "{told}");
}

#[test]
fn addresses_that_cannot_be_used_are_told() {
    let user = User::alone();
    let told = user.fails(&["server", "info", "--url", "https://kms"], 2);
    assert!(told.contains("this build speaks http:// only"), "{told}");
    let told = user.fails(&["server", "info", "--url", "kms"], 2);
    assert!(told.contains("http://localhost:9998"), "{told}");
}

#[test]
fn profiles_name_servers() {
    let user = User::alone();
    assert!(user.ok(&["profiles", "list"]).contains(".config/kms/config.toml"));
    user.ok(&["profiles", "set", "a", "http://127.0.0.1:1"]);
    user.ok(&["profiles", "set", "b", "http://127.0.0.1:2"]);
    let expected = json!([
        {"name": "a", "url": "http://127.0.0.1:1", "default": "yes"},
        {"name": "b", "url": "http://127.0.0.1:2", "default": ""},
    ]);
    assert_eq!(user.json(&["profiles", "list"]), expected);
    assert!(user.fails(&["server", "health"], 3).contains("127.0.0.1:1"));
    assert!(user.fails(&["server", "health", "--profile", "b"], 3).contains("127.0.0.1:2"));
    let told = user.fails(&["server", "health", "--profile", "c"], 2);
    assert!(told.contains("kms profiles list"), "{told}");
    user.ok(&["profiles", "remove", "a"]);
    assert_eq!(user.json(&["profiles", "list"]).as_array().unwrap().len(), 1);
    assert_eq!(mode(&user.path(".config/kms/config.toml")), 0o600);
}

#[test]
fn what_is_typed_counts_before_the_environment() {
    let user = User::alone();
    user.ok(&["profiles", "set", "b", "http://127.0.0.1:2"]);
    let told = |arguments: &[&str]| {
        let mut command = user.command(arguments);
        command.env("KMS_URL", "http://127.0.0.1:3");
        ran(command, b"").stderr
    };
    assert!(told(&["server", "health"]).contains("127.0.0.1:3"));
    assert!(told(&["server", "health", "--profile", "b"]).contains("127.0.0.1:2"));
    assert!(told(&["server", "health", "--url", "http://127.0.0.1:4"]).contains("127.0.0.1:4"));
}

#[test]
fn shells_are_completed() {
    let user = User::alone();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        assert!(user.ok(&["completions", shell]).contains("kms"), "{shell}");
    }
}

#[test]
fn files_are_looked_at_before_the_server_is_asked() {
    let user = User::alone();
    user.write("plain", b"text");
    let told = user.fails(&["decrypt", "plain", "-o", "out"], 7);
    assert!(told.contains("not a file that `kms encrypt` wrote"), "{told}");
    let told = user.fails(&["decrypt", "plain"], 2);
    assert!(told.contains("-o OUT"), "{told}");
    user.write("plain.kms", b"there");
    let told = user.fails(&["encrypt", "plain", "--key", "k"], 8);
    assert!(told.contains("--force"), "{told}");
    assert!(user.fails(&["encrypt", "missing", "--key", "k"], 8).contains("missing"));
    assert_eq!(user.read("plain.kms"), b"there");
    assert_eq!(user.names(), ["plain", "plain.kms"]);
}

// With a server.

#[test]
fn a_key_is_made_shown_and_found() {
    let user = User::with_server();
    let id = user.key(&["--name", "backup", "--tag", "blue", "--tag", "sky"]);
    let shown = user.json(&["keys", "show", &id]);
    assert_eq!(shown["UniqueIdentifier"], json!(id));
    assert_eq!(shown["State"], "Active");
    assert_eq!(shown["CryptographicAlgorithm"], "AES");
    assert_eq!(shown["CryptographicLength"], 256);
    assert_eq!(shown["Name"], "backup");
    let usage = json!(["Encrypt", "Decrypt", "WrapKey", "UnwrapKey"]);
    assert_eq!(shown["CryptographicUsageMask"], usage);
    assert!(user.ok(&["keys", "show", &id]).contains("CryptographicLength"));
    let other = user.key(&["--algorithm", "chacha20", "--id", "mine"]);
    assert_eq!(other, "mine");
    let ids = |arguments: &[&str]| {
        let found = user.json(arguments);
        let rows = found.as_array().unwrap().clone();
        let mut ids: Vec<String> =
            rows.iter().map(|row| row["identifier"].as_str().unwrap().to_owned()).collect();
        ids.sort();
        ids
    };
    let mut both = vec![id.clone(), other];
    both.sort();
    assert_eq!(ids(&["keys", "list"]), both);
    for by in [
        ["--name", "backup"],
        ["--tag", "sky"],
        ["--algorithm", "AES"],
        ["--attribute", "Name=backup"],
    ] {
        assert_eq!(ids(&["locate", by[0], by[1]]), std::slice::from_ref(&id), "{by:?}");
    }
    assert_eq!(ids(&["locate", "--state", "Deactivated"]), Vec::<String>::new());
    let by_tags = user.json(&["keys", "show", "--tag", "blue", "--tag", "sky"]);
    assert_eq!(by_tags["UniqueIdentifier"], json!(id));
    let by_tags = user.json(&["keys", "show", "[\"blue\",\"sky\"]"]);
    assert_eq!(by_tags["UniqueIdentifier"], json!(id));
}

#[test]
fn files_of_any_size_come_back() {
    let user = User::with_server();
    let id = user.key(&[]);
    for size in [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20] {
        let plain = text(size);
        user.write("plain", &plain);
        assert_eq!(user.ok(&["encrypt", "plain", "--key", &id, "--force"]), "plain.kms");
        user.ok(&["decrypt", "plain.kms", "-o", "back", "--force"]);
        assert!(user.read("back") == plain, "{size}");
    }
    assert_eq!(mode(&user.path("back")), 0o600);
    assert_eq!(user.names(), ["back", "plain", "plain.kms"]);
}

#[test]
fn pipes_work() {
    let user = User::with_server();
    let id = user.key(&["--tag", "pipe"]);
    let plain = text((2 << 20) + 7);
    let encrypted = user.feed(&["encrypt", "-", "--key", "[\"pipe\"]"], &plain);
    assert_eq!(encrypted.code, 0, "{}", encrypted.stderr);
    let decrypted = user.feed(&["decrypt", "-"], &encrypted.stdout);
    assert_eq!(decrypted.code, 0, "{}", decrypted.stderr);
    assert!(decrypted.stdout == plain);
    // What a chunk later is wrong fails, whatever came before it.
    let mut altered = encrypted.stdout.clone();
    *altered.last_mut().unwrap() ^= 1;
    let decrypted = user.feed(&["decrypt", "-"], &altered);
    assert_eq!(decrypted.code, 7);
    assert!(decrypted.stdout == plain[..2 << 20], "only whole chunks come out");
    user.key(&["--id", "second"]);
    let wrong = user.feed(&["decrypt", "-", "--key", "second"], &encrypted.stdout);
    assert_eq!(wrong.code, 7, "{}", wrong.stderr);
    assert!(wrong.stdout.is_empty());
    assert!(!id.is_empty());
}

#[test]
fn an_altered_file_leaves_nothing_behind() {
    let user = User::with_server();
    let id = user.key(&[]);
    user.write("plain", &text(2 << 20));
    user.ok(&["encrypt", "plain", "--key", &id]);
    let whole = user.read("plain.kms");
    let middle = whole.len() / 2;
    let mut flipped = whole.clone();
    flipped[middle] ^= 1;
    let mut renamed = whole.clone();
    renamed[12] ^= 1;
    for altered in
        [&whole[..middle], &whole[..whole.len() - 1], &flipped, &[&whole[..], b"x"].concat()]
    {
        user.write("altered.kms", altered);
        user.fails(&["decrypt", "altered.kms"], 7);
        assert_eq!(user.names(), ["altered.kms", "plain", "plain.kms"]);
    }
    // The header names another key now: there is none of this name.
    user.write("altered.kms", &renamed);
    user.fails(&["decrypt", "altered.kms"], 5);
    user.write("plain.kms", &whole);
    user.ok(&["decrypt", "plain.kms", "--force"]);
}

#[test]
fn an_interruption_leaves_nothing_behind() {
    let user = User::with_server();
    let id = user.key(&[]);
    let mut child = user.command(&["encrypt", "-", "--key", &id, "-o", "out"]).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&text(3 << 20)).unwrap();
    // The file is there, under another name, and grows.
    let begun = |user: &User| {
        let names = user.names();
        let name = names.first().filter(|name| *name != "out");
        name.is_some_and(|name| user.path(name).metadata().is_ok_and(|it| it.len() > 1 << 20))
    };
    while !begun(&user) {
        kms_testkit::server::pause();
    }
    let process = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(user.names(), Vec::<String>::new());
}

#[test]
fn other_kinds_of_keys_encrypt_files() {
    let user = User::with_server();
    user.write("plain", b"for the private key alone");
    let (private, public) = user.pair(&["--algorithm", "rsa", "--length", "2048"]);
    user.ok(&["encrypt", "plain", "--key", &public]);
    user.ok(&["decrypt", "plain.kms", "-o", "back"]);
    assert_eq!(user.read("back"), user.read("plain"));
    let told = user.fails(&["encrypt", "plain", "--key", &private, "--force"], 2);
    assert!(told.contains("PublicKeyLink"), "{told}");
    let (_, public) = user.pair(&["--algorithm", "ed25519"]);
    let told = user.fails(&["encrypt", "plain", "--key", &public, "--force"], 2);
    assert!(told.contains("kms keys create"), "{told}");
    let chacha = user.key(&["--algorithm", "chacha20"]);
    user.ok(&["encrypt", "plain", "--key", &chacha, "--force"]);
    user.ok(&["decrypt", "plain.kms", "-o", "back", "--force"]);
    assert_eq!(user.read("back"), user.read("plain"));
}

#[test]
fn a_life_is_lived() {
    let user = User::with_server();
    let id = user.key(&["--pre-active"]);
    user.write("plain", b"text");
    let told = user.fails(&["encrypt", "plain", "--key", &id], 6);
    assert!(told.contains(&format!("kms keys activate {id}")), "{told}");
    assert_eq!(user.ok(&["keys", "activate", &id]), format!("{id} is active"));
    let told = user.fails(&["keys", "activate", &id], 6);
    assert!(!told.contains("makes it work"), "it is active already: {told}");
    user.ok(&["encrypt", "plain", "--key", &id]);
    let told = user.fails(&["keys", "destroy", &id], 6);
    assert!(told.contains(&format!("kms keys revoke {id}")), "{told}");
    let new = user.ok(&["keys", "rekey", &id]);
    assert_ne!(new, id);
    user.ok(&["encrypt", "plain", "--key", &new, "-o", "new.kms"]);
    user.ok(&["keys", "revoke", &id, "--message", "done"]);
    assert_eq!(user.json(&["attributes", "get", &id, "State"]), json!({"State": "Deactivated"}));
    user.fails(&["encrypt", "plain", "--key", &id, "-o", "late.kms"], 6);
    user.ok(&["decrypt", "plain.kms", "-o", "back"]);
    user.ok(&["keys", "destroy", &id]);
    assert_eq!(user.json(&["attributes", "get", &id, "State"]), json!({"State": "Destroyed"}));
    user.fails(&["decrypt", "plain.kms", "-o", "gone"], 6);
    let told = user.fails(&["keys", "destroy", &id], 6);
    assert!(!told.contains("revoke it first"), "it is destroyed already: {told}");
    assert_eq!(user.names(), ["back", "new.kms", "plain", "plain.kms"]);
    user.ok(&["keys", "revoke", &new, "--reason", "key-compromise"]);
    assert_eq!(user.json(&["attributes", "get", &new, "State"]), json!({"State": "Compromised"}));
    user.ok(&["keys", "destroy", &new, "--remove"]);
    user.fails(&["keys", "show", &new], 5);
}

#[test]
fn a_pair_lives_together() {
    let user = User::with_server();
    let (private, public) = user.pair(&["--algorithm", "ec", "--curve", "p384", "--id", "pair"]);
    assert_eq!((private.as_str(), public.as_str()), ("pair", "pair_pk"));
    let renewed = user.json(&["keys", "rekey", "pair"]);
    assert_ne!(renewed["private_key"], "pair");
    user.ok(&["keys", "revoke", "pair"]);
    let state = json!({"State": "Deactivated"});
    assert_eq!(user.json(&["attributes", "get", "pair_pk", "State"]), state);
    for algorithm in ["rsa", "ed25519", "x25519"] {
        user.pair(&["--algorithm", algorithm]);
    }
    user.fails(&["keys", "create-pair", "--algorithm", "ec", "--length", "2"], 2);
    user.fails(&["keys", "create-pair", "--algorithm", "rsa", "--curve", "p256"], 2);
}

#[test]
fn what_is_not_there_is_told() {
    let user = User::with_server();
    for command in [
        &["keys", "show", "nobody"][..],
        &["keys", "activate", "nobody"],
        &["keys", "export", "nobody"],
        &["attributes", "list", "nobody"],
    ] {
        let told = user.fails(command, 5);
        assert!(told.contains("`kms locate`"), "{told}");
    }
    let told = user.fails(&["access", "list", "nobody"], 5);
    assert!(told.contains("kms access owned"), "{told}");
}

#[test]
fn keys_leave_and_come_back_in_every_form() {
    let user = User::with_server();
    let aes = user.key(&[]);
    let (rsa, rsa_public) = user.pair(&["--algorithm", "rsa", "--length", "2048"]);
    let (ec, ec_public) = user.pair(&["--algorithm", "ec"]);
    let cases = [
        (&aes, "raw", "symmetric"),
        (&aes, "base64", "symmetric"),
        (&aes, "hex", "symmetric"),
        (&aes, "json-ttlv", ""),
        (&rsa, "pem", ""),
        (&rsa, "pkcs1", "private"),
        (&rsa, "pkcs8", "private"),
        (&rsa, "json-ttlv", ""),
        (&rsa_public, "pem", ""),
        (&rsa_public, "pkcs1", "public"),
        (&rsa_public, "spki", "public"),
        (&ec, "pem", ""),
        (&ec, "sec1", "private"),
        (&ec, "pkcs8", "private"),
        (&ec_public, "spki", "public"),
    ];
    for (id, form, kind) in cases {
        let name = format!("{form}-{kind}");
        user.ok(&["keys", "export", id, "-o", &name, "--format", form, "--force"]);
        assert_eq!(mode(&user.path(&name)), 0o600);
        let mut import = vec!["keys", "import", &name];
        if !kind.is_empty() {
            import.extend(["--format", form, "--type", kind]);
        }
        let copy = user.ok(&import);
        assert_ne!(&copy, id);
        user.ok(&["keys", "export", &copy, "-o", "copy", "--format", form, "--force"]);
        assert!(user.read("copy") == user.read(&name), "{name}");
        let facts = |id: &str| {
            let shown = user.json(&["keys", "show", id]);
            let fields = ["State", "ObjectType", "CryptographicAlgorithm", "CryptographicLength"];
            fields.map(|field| shown[field].clone())
        };
        assert_eq!(facts(&copy), facts(id), "{name}");
    }
    let told = user.fails(&["keys", "export", &aes, "-o", "copy"], 8);
    assert!(told.contains("--force"), "{told}");
    assert!(String::from_utf8(user.read("pem-")).unwrap().starts_with("-----BEGIN P"));
}

#[test]
fn keys_travel_wrapped() {
    let user = User::with_server();
    let kek = user.key(&["--id", "kek"]);
    let (private, public) = user.pair(&["--algorithm", "rsa", "--length", "2048", "--id", "rsa"]);
    let aes = user.key(&["--id", "aes"]);
    user.ok(&["keys", "export", &aes, "-o", "plain"]);
    for (key, method) in
        [(&kek, "key-wrap-padded"), (&kek, "key-wrap"), (&kek, "aes-gcm"), (&public, "rsa-oaep")]
    {
        let wrap = ["--wrap-key", key, "--wrap-method", method];
        user.ok(&[&["keys", "export", &aes, "-o", "wrapped", "--force"][..], &wrap].concat());
        let wrapped = user.read("wrapped");
        let plain = user.read("plain");
        assert!(!wrapped.windows(plain.len()).any(|window| window == plain));
        let copy = if method == "rsa-oaep" {
            // The file names the public key, which wrapped it.
            let told = user.fails(&["keys", "import", "wrapped"], 6);
            assert!(told.contains("--wrap-key"), "{told}");
            user.ok(&["keys", "import", "wrapped", "--wrap-key", &private])
        } else {
            user.ok(&["keys", "import", "wrapped"])
        };
        user.ok(&["keys", "export", &copy, "-o", "copy", "--force"]);
        assert!(user.read("copy") == plain, "{method}");
    }
    let wrap = ["--wrap-key", &kek, "--format", "raw"];
    user.ok(&[&["keys", "export", &aes, "-o", "raw"][..], &wrap].concat());
    let copy = user.ok(&["keys", "import", "raw", "--wrap-key", &kek, "--format", "raw"]);
    user.ok(&["keys", "export", &copy, "-o", "copy", "--force"]);
    assert!(user.read("copy") == user.read("plain"));
    let lossy = ["--wrap-key", &kek, "--wrap-method", "aes-gcm", "--format", "raw"];
    user.fails(&[&["keys", "export", &aes, "-o", "lossy"][..], &lossy].concat(), 2);
}

#[test]
fn other_objects_are_kept() {
    let user = User::with_server();
    user.write("secret", b"correct horse");
    for kind in ["secret", "opaque"] {
        let id = user.ok(&["keys", "import", "secret", "--type", kind, "--name", kind]);
        user.ok(&["keys", "export", &id, "-o", "back", "--force"]);
        assert_eq!(user.read("back"), b"correct horse");
    }
    let from_stdin = user.feed(&["keys", "import", "-", "--type", "secret"], b"battery");
    assert_eq!(from_stdin.code, 0, "{}", from_stdin.stderr);
    assert_eq!(user.ok(&["keys", "export", &from_stdin.text()]), "battery");
}

#[test]
fn import_chooses_and_replaces() {
    let user = User::with_server();
    user.write("one", &[1; 32]);
    user.write("two", &[2; 32]);
    assert_eq!(user.ok(&["keys", "import", "one", "--id", "mine"]), "mine");
    user.fails(&["keys", "import", "two", "--id", "mine"], 6);
    assert_eq!(user.ok(&["keys", "import", "two", "--id", "mine", "--replace"]), "mine");
    user.ok(&["keys", "export", "mine", "-o", "back"]);
    assert_eq!(user.read("back"), [2; 32]);
}

#[test]
fn attributes_are_changed() {
    let user = User::with_server();
    let id = user.key(&["--name", "first"]);
    user.ok(&["attributes", "add", &id, "Name=second", "acme:cost=7", "ObjectGroup=team"]);
    let shown = user.json(&["attributes", "get", &id, "Name", "acme:cost", "object-group"]);
    assert_eq!(shown["Name"], json!(["first", "second"]));
    assert_eq!((&shown["acme:cost"], &shown["ObjectGroup"]), (&json!("7"), &json!("team")));
    user.ok(&["attributes", "modify", &id, "acme:cost=8"]);
    user.ok(&["attributes", "set", &id, "Description=why", "DeactivationDate=2099-01-01"]);
    let names = user.ok(&["attributes", "list", &id]);
    for name in ["Description", "DeactivationDate", "acme:cost", "State"] {
        assert!(names.lines().any(|line| line == name), "{name} in {names}");
    }
    user.ok(&["attributes", "delete", &id, "Name=first", "ObjectGroup", "acme:cost"]);
    let shown = user.json(&["keys", "show", &id]);
    assert_eq!(shown["Name"], "second");
    assert_eq!(shown["DeactivationDate"], "2099-01-01T00:00:00Z");
    assert!(shown.get("ObjectGroup").is_none() && shown.get("acme:cost").is_none());
    // All or nothing: the first of these two would have been possible.
    user.fails(&["attributes", "add", &id, "Name=third", "State=Active"], 6);
    assert_eq!(user.json(&["attributes", "get", &id, "Name"]), json!({"Name": "second"}));
    assert!(user.fails(&["attributes", "get", &id, "NoSuch"], 2).contains("kms attributes list"));
}

#[test]
fn access_is_given_and_taken() {
    let user = User::with_server();
    let id = user.key(&[]);
    user.ok(&["access", "grant", &id, "bob", "get", "Encrypt"]);
    let listed = user.json(&["access", "list", &id]);
    assert_eq!(listed[0]["user"], "bob");
    assert_eq!(listed[0]["operations"].as_array().unwrap().len(), 2);
    user.ok(&["access", "revoke", &id, "bob", "get", "encrypt"]);
    assert_eq!(user.json(&["access", "list", &id]), json!([]));
    user.ok(&["access", "grant", "bob", "create"]);
    user.ok(&["access", "revoke", "bob", "create"]);
    let created = user.json(&["access", "grant", "--create", "bob"]);
    assert_eq!(created["operations"], json!(["create"]));
    assert_eq!(created["unique_identifier"], json!(null));
    user.ok(&["access", "revoke", "--create", "bob"]);
    user.fails(&["access", "grant", &id], 2);
    user.fails(&["access", "grant", "--create", "bob", "get"], 2);
    let owned = user.json(&["access", "owned"]);
    assert_eq!(owned, json!([{"identifier": id, "state": "Active"}]));
    assert_eq!(user.json(&["access", "shared"]), json!([]));
    assert!(user.fails(&["access", "grant", &id, "bob"], 2).contains("which operations"));
    user.fails(&["access", "grant", &id, "bob", "create"], 2);
}

#[test]
fn the_server_tells_about_itself() {
    let user = User::with_server();
    let info = user.json(&["server", "info"]);
    assert_eq!(info["kmip_versions"].as_array().unwrap().len(), 7);
    assert!(info["version"].is_string());
    assert_eq!(user.json(&["server", "health"])["status"], "UP");
}
