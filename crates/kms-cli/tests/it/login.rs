//! Logging in with a real identity provider, and what becomes of the token.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Child;
use std::sync::Arc;

use kms_testkit::browser::{Browser, query_field};
use kms_testkit::provider::{AUDIENCE, CLIENT, Provider};
use kms_testkit::server::Server;
use serde_json::{Value, json};

use crate::user::{User, mode, ran};
use crate::world::{Login, World};

/// What is kept of the only login.
fn kept(user: &User) -> Value {
    let file: Value = serde_json::from_slice(&user.read(TOKENS)).unwrap();
    file["logins"][0].clone()
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap()
}

const TOKENS: &str = ".config/kms/tokens.json";

#[test]
fn a_browser_logs_in() {
    let world = World::new();
    let user = world.user();
    let told = user.fails(&["keys", "list"], 4);
    assert!(told.contains("\nhint: log in with `kms login`"), "{told}");
    let login = world.begin(&user, &[]);
    let page = Provider::visit_as("alice", &login.url);
    assert_eq!(page.status, 200);
    assert!(page.url.starts_with("http://127.0.0.1:"), "{}", page.url);
    assert!(page.text.contains("You are logged in"), "{}", page.text);
    assert!(page.text.contains("as alice@example.org"), "{}", page.text);
    let ended = login.end();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(ended.text(), format!("logged in at {} as alice@example.org", world.server.url()));
    assert_eq!(mode(&user.path(TOKENS)), 0o600);
    let me = user.json(&["whoami"]);
    assert_eq!(me["user_id"], "alice@example.org");
    assert_eq!(me["token_from"], world.provider.issuer());
    assert!(me["token_expires"].as_str().unwrap().starts_with("20"), "{me}");
    let id = user.key(&[]);
    assert_eq!(user.json(&["access", "owned"])[0]["identifier"], json!(id));
    let bob = world.logged_in("bob");
    assert_eq!(bob.json(&["whoami"])["user_id"], "bob@example.org");
    assert_eq!(bob.json(&["access", "owned"]), json!([]));
}

#[test]
fn another_device_logs_in() {
    let world = World::new();
    let user = world.user();
    let login = world.begin(&user, &["--device"]);
    let mut browser = Browser::new();
    let page = browser.visit(&login.url);
    let page = browser.submit(&page, &[("user_code", &login.code())]);
    let page = browser.submit(&page, &[]);
    // It asks who the user is, and then says that it is done.
    let page = browser.submit(&page, &[("login", "bob@example.org")]);
    assert!(!page.text.contains("<form"), "{}", page.text);
    let ended = login.end();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(user.json(&["whoami"])["user_id"], "bob@example.org");
}

#[test]
fn a_given_token_is_kept() {
    let world = World::new();
    let token = world.provider.user_token("alice");
    let user = world.user();
    let given = user.feed(&["login", "--token", "-"], format!("{token}\n").as_bytes());
    assert_eq!(given.code, 0, "{}", given.stderr);
    let me = user.json(&["whoami"]);
    assert_eq!(
        (text_of(&me["user_id"]), text_of(&me["token_from"])),
        ("alice@example.org", "kms login --token")
    );
    assert!(me["token_expires"].is_string());
    let other = world.user();
    other.ok(&["login", "--token", &token]);
    assert_eq!(other.json(&["whoami"])["user_id"], "alice@example.org");
    let machine = world.user().with("KMS_TOKEN", &token);
    let me = machine.json(&["whoami"]);
    assert_eq!(
        (text_of(&me["user_id"]), text_of(&me["token_from"])),
        ("alice@example.org", "KMS_TOKEN")
    );
    assert!(!machine.path(TOKENS).exists(), "a token of the environment is not stored");
    let bad = world.user();
    for token in ["", "two words", "a.b.c"] {
        let ran = bad.feed(&["login", "--token", "-"], token.as_bytes());
        assert_ne!(ran.code, 0, "{token}");
        assert!(!bad.path(TOKENS).exists(), "{token}: what is not accepted is not kept");
    }
}

#[test]
fn a_machine_has_a_token_of_the_servers_own() {
    let server = Server::spawn();
    let create = Server::builder().argument("token").argument("create").argument("night");
    let made = create.argument("--root-dir").argument(server.directory()).run();
    let token = made.stdout.trim();
    // The first one turns authentication on at the next start.
    let server = Arc::new(server.restart());
    let told = User::of(&server).fails(&["keys", "list"], 4);
    assert!(told.contains("or give a token in KMS_TOKEN"), "{told}");
    let machine = User::of(&server).with("KMS_TOKEN", token);
    let me = machine.json(&["whoami"]);
    assert_eq!((&me["user_id"], &me["token_expires"]), (&json!("token:night"), &json!(null)));
    machine.key(&[]);
    let kept = User::of(&server);
    kept.ok(&["login", "--token", token]);
    assert_eq!(kept.json(&["whoami"])["user_id"], "token:night");
}

#[test]
fn a_login_is_forgotten_here_and_at_the_provider() {
    let world = World::new();
    let user = world.logged_in("alice");
    let login = kept(&user);
    let done = user.json(&["logout"]);
    assert_eq!(done, json!({"server": world.server.url(), "revoked": true}));
    let file = String::from_utf8(user.read(TOKENS)).unwrap();
    assert!(!file.contains(text_of(&login["access_token"])), "{file}");
    assert_eq!(world.refresh(text_of(&login["source"]["refresh_token"])), 400);
    user.fails(&["whoami"], 4);
    assert!(user.ok(&["logout"]).contains("there was no login"));
    // The provider cannot be asked: it is forgotten here all the same.
    let mut world = world;
    world.log_in(&user, "alice");
    world.provider.stop();
    let ran = user.run(&["logout"]);
    assert_eq!(ran.code, 0);
    assert!(ran.stderr.contains("could not take the login back"), "{}", ran.stderr);
    user.fails(&["whoami"], 4);
}

#[test]
fn a_token_that_runs_out_is_renewed_once() {
    let world = World::new();
    world.provider.set_lifetime(20);
    let user = world.logged_in("alice");
    let first = kept(&user);
    world.provider.set_lifetime(300);
    let asked = world.provider.asked("/token");
    // What renews it does so only once: whoever comes second must take what the first got.
    let runs: Vec<Child> = (0..4).map(|_| user.command(&["whoami"]).spawn().unwrap()).collect();
    for run in runs {
        let output = run.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(world.provider.asked("/token"), asked + 1);
    let second = kept(&user);
    assert_ne!(first["access_token"], second["access_token"]);
    assert_ne!(first["source"]["refresh_token"], second["source"]["refresh_token"]);
    assert_eq!(mode(&user.path(TOKENS)), 0o600);
    user.ok(&["whoami"]);
    assert_eq!(world.provider.asked("/token"), asked + 1, "a good one is not renewed");
}

#[test]
fn a_login_that_is_over_says_so() {
    let world = World::new();
    world.provider.set_lifetime(20);
    let user = world.logged_in("alice");
    // Somebody has ended it at the provider.
    let refresh_token = text_of(&kept(&user)["source"]["refresh_token"]).to_owned();
    let fields = [("token", refresh_token.as_str()), ("client_id", CLIENT)];
    assert_eq!(world.provider.post("/token/revocation", &fields).status, 200);
    let told = user.fails(&["keys", "list"], 4);
    assert!(told.contains("has run out, and is not renewed"), "{told}");
    assert!(told.contains("\nhint: log in again with `kms login`"), "{told}");
    assert!(!told.contains(&refresh_token));
    let asked = world.provider.asked("/token");
    user.run(&["keys", "list"]);
    assert_eq!(world.provider.asked("/token"), asked, "it is not asked for again");
    world.log_in(&user, "alice");
    user.ok(&["whoami"]);
}

#[test]
fn a_provider_that_is_away_does_not_end_a_good_token() {
    let mut world = World::new();
    world.provider.set_lifetime(25);
    let user = world.logged_in("alice");
    world.provider.stop();
    user.ok(&["whoami"]);
    let mut login = kept(&user);
    login["expires"] = json!(1_000_000_000);
    user.write(TOKENS, json!({"logins": [login]}).to_string().as_bytes());
    let told = user.fails(&["whoami"], 3);
    assert!(told.contains("has run out"), "{told}");
    assert!(told.contains("identity provider does not answer"), "{told}");
}

#[test]
fn a_token_that_is_not_accepted_says_to_log_in() {
    let world = World::new();
    let user = world.logged_in("alice");
    let mut login = kept(&user);
    let token = text_of(&login["access_token"]).to_owned();
    let (rest, _) = token.rsplit_once('.').unwrap();
    let forged = format!("{rest}.{}", "A".repeat(342));
    login["access_token"] = json!(forged);
    user.write(TOKENS, json!({"logins": [login]}).to_string().as_bytes());
    let told = user.fails(&["keys", "list"], 4);
    assert!(told.contains("`kms login` gets a new one"), "{told}");
    let machine = world.user().with("KMS_TOKEN", forged.as_str());
    let told = machine.fails(&["keys", "list", "--output", "json"], 4);
    assert!(told.contains("KMS_TOKEN, where it is set"), "{told}");
    assert!(!told.contains(&forged), "{told}");
}

#[test]
fn only_the_answer_to_this_login_counts() {
    let world = World::new();
    let user = world.user();
    let login = world.begin(&user, &[]);
    let redirect = query_field(&login.url, "redirect_uri").unwrap();
    let mut attacker = Browser::new();
    let page = attacker.visit(&format!("{redirect}?code=stolen&state=guessed"));
    assert_eq!(page.status, 400, "{}", page.text);
    assert_eq!(attacker.visit(&format!("{redirect}?code=stolen")).status, 400);
    assert_eq!(attacker.visit(&redirect.replace("callback", "other")).status, 404);
    // Of the provider, but of another login: the nonce is not ours.
    let url = login.url.clone();
    let nonce = query_field(&url, "nonce").unwrap();
    let page = Provider::visit_as("alice", &url.replace(&nonce, "another"));
    assert!(page.text.contains("The login failed"), "{}", page.text);
    let ended = login.end();
    assert_eq!(ended.code, 3, "{}", ended.stderr);
    assert!(ended.stderr.contains("the nonce differs"), "{}", ended.stderr);
    assert!(!user.path(TOKENS).exists());
    let login = world.begin(&user, &[]);
    attacker.visit(&format!(
        "{}?error=access_denied&state=guessed",
        query_field(&login.url, "redirect_uri").unwrap()
    ));
    Provider::visit_as("alice", &login.url);
    assert_eq!(login.end().code, 0, "the login still waits after somebody else's attempt");
}

#[test]
fn a_code_without_its_verifier_is_worth_nothing() {
    let world = World::new();
    let user = world.user();
    let login = world.begin(&user, &[]);
    let challenge = query_field(&login.url, "code_challenge").unwrap();
    // Another's challenge: the provider then wants another's verifier.
    let url = login.url.replace(&challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    let page = Provider::visit_as("alice", &url);
    assert!(page.text.contains("The login failed"), "{}", page.text);
    let ended = login.end();
    assert_eq!(ended.code, 4, "{}", ended.stderr);
    assert!(ended.stderr.contains("says invalid_grant"), "{}", ended.stderr);
}

#[test]
fn a_provider_that_refuses_is_told_in_plain_words() {
    let world = World::new();
    let user = world.user();
    let login = world.begin(&user, &[]);
    let mut browser = Browser::new();
    let page = browser.visit(&login.url);
    let page = browser.submit(&page, &[("login", ""), ("cancel", "yes")]);
    assert!(page.text.contains("The login failed"), "{}", page.text);
    assert!(page.text.contains("was refused, by you or by the provider"), "{}", page.text);
    let ended = login.end();
    assert_eq!(ended.code, 4);
    assert!(ended.stderr.contains("access_denied: the user said no"), "{}", ended.stderr);
    assert!(ended.stderr.contains("\nhint: log in again with `kms login`"), "{}", ended.stderr);

    let issuer = world.provider.issuer();
    let told = user.fails(&["login", "--device", "--issuer", issuer, "--client-id", "nobody"], 4);
    assert!(told.contains("does not know this client"), "{told}");
    assert!(told.contains("--client-id"), "{told}");
    assert!(!user.path(TOKENS).exists());
}

#[test]
fn a_provider_that_is_none_is_told() {
    let mut world = World::new();
    let user = world.user();
    let server = world.server.url();
    let login = |issuer: &str| user.fails(&["login", "--issuer", issuer, "--client-id", "a"], 3);
    let told = login(&server);
    assert!(told.contains("is the issuer's address (--issuer)"), "{told}");
    let told = login("http://login.example.com/");
    assert!(told.contains("identity provider does not answer"), "{told}");
    let issuer = world.provider.issuer().to_owned();
    world.provider.stop();
    let told = login(&issuer);
    assert!(told.contains("no connection"), "{told}");
    let told = user.fails(&["login", "--url", "http://127.0.0.1:1"], 2);
    assert!(told.contains("--issuer https://DOMAIN/"), "{told}");
    let told = user.fails(&["login", "--issuer", &issuer], 2);
    assert!(told.contains("--client-id"), "{told}");
}

#[test]
fn a_server_on_this_machine_says_where_to_log_in() {
    let world = World::new();
    let user = world.user();
    let login = Login::begin(&user, &["login", "--no-browser", "--client-id", CLIENT]);
    assert_eq!(query_field(&login.url, "audience").as_deref(), Some(AUDIENCE));
    Provider::visit_as("alice", &login.url);
    assert_eq!(login.end().code, 0);
    assert_eq!(user.json(&["whoami"])["user_id"], "alice@example.org");
    // The same server by an address that is not for this machine alone, where it might be another.
    let elsewhere = format!("http://0.0.0.0:{}", world.server.address().port());
    let login = ["login", "--insecure-token", "--device", "--client-id", "nobody", "--url"];
    let told = world.user().fails(&[&login[..], &[&elsewhere]].concat(), 2);
    assert!(told.contains("--issuer https://DOMAIN/"), "{told}");
    // One that believes nobody has nothing to say.
    let told = User::with_server().fails(&["login", "--client-id", CLIENT], 2);
    assert!(told.contains("--issuer https://DOMAIN/"), "{told}");
}

#[test]
fn a_token_that_only_the_provider_can_read_is_not_kept() {
    let world = World::new();
    let user = world.user();
    let issuer = world.provider.issuer();
    let arguments = ["login", "--no-browser", "--issuer", issuer, "--client-id", CLIENT];
    let login = Login::begin(&user, &arguments);
    let page = Provider::visit_as("alice", &login.url);
    assert!(page.text.contains("The login failed"), "{}", page.text);
    let ended = login.end();
    assert_eq!(ended.code, 4);
    assert!(ended.stderr.contains("name the server's with --audience"), "{}", ended.stderr);
    assert!(!user.path(TOKENS).exists());
}

#[test]
fn tokens_that_others_may_read_are_not_used() {
    let world = World::new();
    let user = world.logged_in("alice");
    let path = user.path(TOKENS);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    for command in [&["keys", "list"][..], &["whoami"], &["logout"]] {
        let told = user.fails(command, 8);
        assert!(told.contains("(mode 0644)") && told.contains("chmod 600"), "{told}");
    }
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    user.ok(&["whoami"]);
}

#[test]
fn a_token_goes_to_its_own_server_only() {
    let world = World::new();
    let user = world.logged_in("alice");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let other = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = String::new();
        let mut lines = BufReader::new(stream.try_clone().unwrap());
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(lines.read_line(&mut head).unwrap(), 0);
        }
        stream.write_all(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 3\r\n\r\nwho").unwrap();
        head.to_ascii_lowercase()
    });
    user.fails(&["whoami", "--url", &url], 4);
    let head = other.join().unwrap();
    assert!(head.starts_with("get /me ") && !head.contains("authorization"), "{head}");
    // The same server by another name is another server.
    let port = world.server.address().port();
    user.fails(&["whoami", "--url", &format!("http://localhost:{port}")], 4);
    user.ok(&["whoami"]);
}

/// Keys are asked for in binary, and so is the refusal.
#[test]
fn a_token_that_is_not_accepted_is_told_in_words() {
    let world = World::new();
    let machine = world.user().with("KMS_TOKEN", "a.b.c");
    for command in [&["keys", "list"][..], &["whoami"]] {
        let told = machine.fails(command, 4);
        assert!(told.contains("this is no token that this server can check"), "{told}");
        assert!(told.contains("`kms login`") && told.is_ascii(), "{told}");
    }
}

#[test]
fn a_token_does_not_go_over_a_network_in_the_clear() {
    let user = User::alone();
    let place = ["--url", "http://kms.invalid:9998"];
    for command in [&["login", "--token", "a.b.c"][..], &["login", "--device"]] {
        let told = user.fails(&[command, &place].concat(), 2);
        assert!(told.contains("without HTTPS"), "{told}");
        assert!(told.contains("--insecure-token"), "{told}");
    }
    let machine = User::alone().with("KMS_TOKEN", "a.b.c");
    let told = machine.fails(&[&["keys", "list"][..], &place].concat(), 2);
    assert!(told.contains("without HTTPS") && !told.contains("a.b.c"), "{told}");
    // Nobody is there; what matters is that it was tried.
    machine.fails(&[&["keys", "list", "--insecure-token"][..], &place].concat(), 3);
    machine.ok(&["profiles", "set", "trusted", "http://kms.invalid:9998", "--insecure-token"]);
    machine.fails(&["keys", "list", "--profile", "trusted"], 3);
}

#[test]
fn a_profile_holds_what_a_login_needs() {
    let world = World::new();
    let user = User::alone();
    for name in ["work", "home"] {
        user.ok(&[
            "profiles",
            "set",
            name,
            &world.server.url(),
            "--issuer",
            world.provider.issuer(),
            "--client-id",
            CLIENT,
            "--audience",
            AUDIENCE,
        ]);
    }
    for (profile, name) in [("work", "alice"), ("home", "bob")] {
        let login = Login::begin(&user, &["login", "--no-browser", "--profile", profile]);
        Provider::visit_as(name, &login.url);
        assert_eq!(login.end().code, 0);
    }
    // One user of the machine, two of the server.
    assert_eq!(user.json(&["whoami"])["user_id"], "alice@example.org");
    assert_eq!(user.json(&["whoami", "--profile", "home"])["user_id"], "bob@example.org");
    user.fails(&["whoami", "--url", &world.server.url()], 4);
    user.ok(&["logout", "--profile", "home"]);
    user.fails(&["whoami", "--profile", "home"], 4);
    user.ok(&["whoami"]);
    // What was typed once needs not be typed again.
    let other = world.logged_in("alice");
    let login = Login::begin(&other, &["login", "--no-browser"]);
    Provider::visit_as("bob", &login.url);
    assert_eq!(login.end().code, 0);
    assert_eq!(other.json(&["whoami"])["user_id"], "bob@example.org");
}

#[test]
fn no_token_is_in_any_output() {
    let world = World::new();
    let user = world.user();
    let login = world.begin(&user, &["--output", "json"]);
    Provider::visit_as("alice", &login.url);
    let mut said = vec![login.end()];
    let login = kept(&user);
    let secrets = [text_of(&login["access_token"]), text_of(&login["source"]["refresh_token"])];
    let mut run = |arguments: &[&str]| said.push(user.run(arguments));
    run(&["whoami", "--output", "json"]);
    run(&["whoami"]);
    run(&["server", "info", "--output", "json"]);
    run(&["profiles", "list", "--output", "json"]);
    run(&["keys", "show", "nobody", "--output", "json"]);
    run(&["whoami", "--url", "http://127.0.0.1:1"]);
    run(&["login", "--token", secrets[0].get(1..).unwrap()]);
    run(&["logout", "--output", "json"]);
    let machine = world.user().with("KMS_TOKEN", secrets[0]);
    said.push(machine.run(&["whoami", "--output", "json"]));
    said.push(machine.run(&["login"]));
    for ran in said {
        let all = format!("{}{}", ran.text(), ran.stderr);
        for secret in secrets {
            assert!(!all.contains(secret.get(1..).unwrap()), "{all}");
        }
    }
}

#[test]
fn a_provider_with_an_authority_of_its_own_is_trusted_by_file() {
    let directory = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (directory.path().join("ca.pem"), directory.path().join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let tls = kms_testkit::provider::Tls { certificate: certificate.clone(), key };
    let provider = Provider::start_with_tls(tls);
    let user = User::with_server();
    let login = ["login", "--no-browser", "--device", "--issuer", provider.issuer()];
    let login = [&login[..], &["--client-id", CLIENT, "--audience", AUDIENCE]].concat();
    let told = user.fails(&login, 3);
    assert!(told.contains("KMS_TRUSTED_CA_PATH"), "{told}");
    let user = user.with("KMS_TRUSTED_CA_PATH", certificate.to_str().unwrap());
    let mut waiting = Login::begin(&user, &login);
    assert!(waiting.url.starts_with("https://127.0.0.1:"), "{}", waiting.url);
    waiting.child.kill().unwrap();
}

#[test]
fn an_empty_token_of_the_environment_is_none() {
    let user = User::with_server().with("KMS_TOKEN", "");
    assert_eq!(user.json(&["whoami"])["user_id"], "admin");
    let mut command = user.command(&["whoami"]);
    command.env("KMS_TOKEN", "two words");
    let ran = ran(command, b"");
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(!ran.stderr.contains("two words"), "{}", ran.stderr);
}
