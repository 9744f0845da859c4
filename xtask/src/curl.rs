//! A stand-in for curl where it is not installed: exactly what the README's tour uses of it, so
//! that the tour can be run on a machine with nothing but Rust and a C compiler.

use std::io::{Read as _, Write as _};
use std::net::ToSocketAddrs as _;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::http::{self, Connection};

/// What the arguments ask for.
#[derive(Default)]
struct Call {
    method: Option<String>,
    url: String,
    content_type: Option<String>,
    body: Option<Vec<u8>>,
    output: Option<String>,
    fail: bool,
}

pub(crate) fn main(arguments: &[String]) -> ExitCode {
    match parse(arguments).and_then(|call| perform(&call)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(22),
        Err(error) => {
            eprintln!("curl stand-in: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn parse(arguments: &[String]) -> Result<Call> {
    let mut call = Call::default();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().cloned().context("a value is missing");
        match argument.as_str() {
            "-X" | "--request" => call.method = Some(value()?),
            "-H" | "--header" => {
                let header = value()?;
                let (name, value) = header.split_once(':').context("a header without colon")?;
                if !name.eq_ignore_ascii_case("content-type") {
                    bail!("does not send the header {name}");
                }
                call.content_type = Some(value.trim().to_owned());
            }
            "-d" | "--data" | "--json" | "--data-binary" => {
                if argument == "--json" {
                    call.content_type = Some("application/json".to_owned());
                }
                call.body = Some(body(&value()?)?);
            }
            "-o" | "--output" => call.output = Some(value()?),
            "-s" | "--silent" | "-S" | "-sS" => {}
            "-f" | "--fail" | "-sf" | "-fsS" | "-sSf" => call.fail = true,
            url if !url.starts_with('-') => url.clone_into(&mut call.url),
            other => bail!("does not know {other}"),
        }
    }
    Ok(call)
}

fn body(value: &str) -> Result<Vec<u8>> {
    match value.strip_prefix('@') {
        None => Ok(value.as_bytes().to_vec()),
        Some("-") => {
            let mut bytes = Vec::new();
            std::io::stdin().read_to_end(&mut bytes)?;
            Ok(bytes)
        }
        Some(path) => Ok(std::fs::read(path)?),
    }
}

fn perform(call: &Call) -> Result<bool> {
    let rest = call.url.strip_prefix("http://").unwrap_or(&call.url);
    let (host, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    let mut addresses = host.to_socket_addrs().with_context(|| host.to_owned())?;
    let address = addresses.find(std::net::SocketAddr::is_ipv4).context("no address")?;
    let default = if call.body.is_some() { "POST" } else { "GET" };
    let method = call.method.as_deref().unwrap_or(default);
    let kind = match (&call.content_type, &call.body) {
        (Some(kind), _) => kind.as_str(),
        (None, Some(_)) => "application/x-www-form-urlencoded",
        (None, None) => "",
    };
    let request = http::request(method, path, kind, call.body.as_deref().unwrap_or_default());
    let mut connection = Connection::open(address)?;
    let answer = connection.exchange(&request)?;
    if call.fail && answer.status >= 400 {
        eprintln!("curl stand-in: the server answered {}", answer.status);
        return Ok(false);
    }
    match &call.output {
        Some(path) => std::fs::write(path, answer.body)?,
        None => std::io::stdout().write_all(answer.body)?,
    }
    Ok(true)
}
