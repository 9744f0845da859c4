//! Options from real files, arguments and environments, in every order of precedence.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::time::Duration;

use kms_config::value::{LogFormat, LogLevel};
use kms_config::{Build, Config, Invocation, OPTIONS, Origin, Problems, Serve, Sources, resolve};
use tempfile::TempDir;

fn sources(directory: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Sources {
    Sources {
        arguments: arguments.iter().map(OsString::from).collect(),
        environment: environment.iter().map(|(name, value)| (name.into(), value.into())).collect(),
        directory: directory.to_owned(),
    }
}

fn serve(sources: &Sources) -> Serve {
    match resolve(sources, Build::Dev).unwrap() {
        Invocation::Serve(serve) => *serve,
        other => panic!("{other:?}"),
    }
}

fn problems(arguments: &[&str], environment: &[(&str, &str)]) -> Problems {
    let directory = TempDir::new().unwrap();
    resolve(&sources(directory.path(), arguments, environment), Build::Dev).unwrap_err()
}

#[test]
fn nothing_set_gives_the_documented_defaults() {
    let directory = TempDir::new().unwrap();
    let Config { hostname, port, root_dir, max_body_size, log, log_format, .. } =
        serve(&sources(directory.path(), &[], &[])).config;
    assert_eq!((hostname.as_str(), *port), ("0.0.0.0", 9998));
    assert_eq!(*root_dir, Path::new("/tmp"));
    assert_eq!((*max_body_size, &hostname.origin), (64 << 20, &Origin::Default));
    assert_eq!((*log, *log_format), (LogLevel::Info, LogFormat::Text));
}

#[test]
fn arguments_win_over_the_environment_and_that_over_the_file() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join(".env");
    std::fs::write(
        &file,
        "# comment\nKMS_PORT=1\nexport KMS_HOSTNAME=\"::1\"\nKMS_LOG=debug\nOTHER=x\n",
    )
    .unwrap();
    let config = serve(&sources(
        directory.path(),
        &["--port", "3", "--idle-timeout=2m"],
        &[("KMS_PORT", "2"), ("KMS_LOG", "warn"), ("PATH", "/bin")],
    ))
    .config;
    assert_eq!((*config.port, config.port.origin), (3, Origin::Argument));
    assert_eq!((*config.log, config.log.origin), (LogLevel::Warn, Origin::Environment));
    assert_eq!(*config.idle_timeout, Duration::from_mins(2));
    assert_eq!(config.hostname.as_str(), "::1");
    assert_eq!(config.hostname.origin, Origin::File(file));
}

#[test]
fn every_problem_is_reported_at_once() {
    let text = problems(
        &["--prot", "80", "--port", "99999", "--hostname", "--log=loud"],
        &[("KMS_MAX_BODY_SIZE", "3 elephants")],
    )
    .to_string();
    for expected in [
        "--prot: unknown argument",
        "Did you mean --port?",
        "--port (argument): \"99999\" is not a valid value",
        "0 to 65535",
        "--hostname: the value is missing",
        "--log (argument): \"loud\"",
        "off, error, warn, info, debug or trace",
        "KMS_MAX_BODY_SIZE (environment): \"3 elephants\"",
    ] {
        assert!(text.contains(expected), "{expected} not in\n{text}");
    }
    assert!(text.starts_with("The configuration has 5 problems:"), "{text}");
}

#[test]
fn a_wrong_value_is_wrong_wherever_it_stands() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join(".env");
    std::fs::write(&file, "KMS_PORT=http\n").unwrap();
    let text = resolve(&sources(directory.path(), &[], &[]), Build::Dev).unwrap_err().to_string();
    assert!(text.contains(&format!("KMS_PORT (file {}): \"http\"", file.display())), "{text}");
    std::fs::write(&file, "KMS_LOG=info\nsecret\n\n# fine\nsecret\nKMS_PORT=http\n").unwrap();
    let text = resolve(&sources(directory.path(), &[], &[]), Build::Dev).unwrap_err().to_string();
    assert!(text.starts_with("The configuration has 3 problems:"), "{text}");
    assert!(text.contains("line 2 is not NAME=value"), "{text}");
    assert!(text.contains("line 5 is not NAME=value"), "{text}");
    assert!(!text.contains("secret"), "{text}");
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    let text = resolve(&sources(directory.path(), &[], &[]), Build::Dev).unwrap_err().to_string();
    assert!(text.contains("Make the file readable"), "{text}");
}

#[test]
fn unknown_arguments_and_repeated_ones_are_refused() {
    assert!(problems(&["serve"], &[]).to_string().contains("serve: unknown argument"));
    assert!(problems(&["--teapot", "3"], &[]).to_string().contains("`--help` lists"));
    assert_eq!(problems(&["--teapot", "3"], &[]).0.len(), 1);
    assert!(problems(&["--port", "1", "--port", "2"], &[]).to_string().contains("given twice"));
}

#[test]
fn text_that_is_not_utf_8_is_named() {
    let directory = TempDir::new().unwrap();
    let mut given = sources(directory.path(), &[], &[]);
    given.environment.push(("KMS_ROOT_DIR".into(), OsString::from_vec(vec![0x2f, 0xff])));
    let text = resolve(&given, Build::Dev).unwrap_err().to_string();
    assert!(text.contains("KMS_ROOT_DIR (environment): the value is not UTF-8"), "{text}");
}

#[test]
fn unknown_variables_are_warned_about() {
    let directory = TempDir::new().unwrap();
    let given = sources(directory.path(), &[], &[("KMS_PROT", "1"), ("KMS_URL", "http://x")]);
    assert_eq!(
        serve(&given).warnings,
        ["KMS_PROT (environment) is not an option and is ignored; did you mean KMS_PORT?"]
    );
}

#[test]
fn a_build_says_what_it_does_not_use() {
    let directory = TempDir::new().unwrap();
    let given = sources(directory.path(), &["--port", "1"], &[]);
    let Invocation::Serve(serve) = resolve(&given, Build::Production).unwrap() else { panic!() };
    assert_eq!(serve.warnings, ["KMS_PORT (argument) is not used by the production build"]);
}

#[test]
fn help_and_reference_name_every_option() {
    let directory = TempDir::new().unwrap();
    // Help is given whatever else is wrong.
    let given = sources(directory.path(), &["--teapot", "--help"], &[("KMS_PORT", "x")]);
    let Invocation::Help(help) = resolve(&given, Build::Dev).unwrap() else { panic!() };
    let (reference, template) =
        (kms_config::document::reference(), kms_config::document::template());
    for row in OPTIONS {
        for text in [&help, &reference] {
            assert!(text.contains(row.environment) && text.contains(row.argument));
            assert!(text.contains(row.default) && text.contains(row.allowed));
        }
        assert!(template.contains(&format!("#{}={}", row.environment, row.default)));
    }
    let given = sources(directory.path(), &["--version"], &[]);
    assert!(matches!(resolve(&given, Build::Dev), Ok(Invocation::Version)));
}

#[test]
fn the_template_is_a_valid_file() {
    let directory = TempDir::new().unwrap();
    let text = kms_config::document::template().replace("\n#KMS", "\nKMS");
    std::fs::write(directory.path().join(".env"), text).unwrap();
    let serve = serve(&sources(directory.path(), &[], &[]));
    assert!(matches!(serve.config.port.origin, Origin::File(_)));
    assert_eq!(serve.warnings, [""; 0]);
}

#[test]
fn exit_codes_are_those_documented() {
    use kms_config::exit::{EXITS, Exit};
    let codes: Vec<u8> = EXITS.iter().map(|(exit, _, _)| exit.code()).collect();
    assert_eq!(codes, (0..=11).collect::<Vec<u8>>());
    assert_eq!(Exit::Held.code(), 6);
    assert!(kms_config::exit::reference().contains("| 7 | The database was written by a newer"));
}
