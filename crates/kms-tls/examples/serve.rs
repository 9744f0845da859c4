//! The server in small: it has a certificate from an authority or from files, and answers every
//! request with `hello`. The tests run it to kill it and to starve it, and it shows how a server is
//! put together with this crate.
//!
//! Its argument is a file in JSON, see [`Wish`]. It says on its standard output how far it has come:
//! `step NAME`, `asks METHOD URL`, `ready ADDRESS`. It ends with 3 where the same may succeed later,
//! with 4 where renewing has ended, and with 2 for everything else.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it speaks to a test")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use kms_outbound::{Caller, Request, Trust};
use kms_tls::{
    Clients, End, Files, MinVersion, Outbound, Responder, Sending, Server, Settings, Source,
    StartError, Step, Transport, World,
};
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n";

/// What is wanted of it.
#[derive(Deserialize)]
struct Wish {
    /// Where it serves.
    address: SocketAddr,
    /// The operator's files; without them, an authority is asked.
    files: Option<[PathBuf; 2]>,
    acme: Option<Acme>,
}

#[derive(Deserialize)]
struct Acme {
    directory: String,
    domain: String,
    keys: PathBuf,
    /// Where challenges are answered, and from where.
    challenges: SocketAddr,
    root: PathBuf,
    /// The file of the authorities who vouch for the directory.
    trusted: PathBuf,
    /// The step after which it is killed.
    die_after: Option<String>,
}

/// Says what is asked.
struct Loud(Outbound);

impl Transport for Loud {
    fn send<'a>(&'a self, url: &'a str, what: Request) -> Sending<'a> {
        let method = match &what {
            Request::Get => "GET",
            Request::Head => "HEAD",
            Request::Post { .. } => "POST",
        };
        println!("asks {method} {url}");
        self.0.send(url, what)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let started = match wish() {
        Ok(wish) => serve(wish).await,
        Err(error) => Err((2, error)),
    };
    match started {
        Ok(end) => {
            eprintln!("{end}");
            ExitCode::from(4)
        }
        Err((code, error)) => {
            eprintln!("{error}");
            ExitCode::from(code)
        }
    }
}

fn wish() -> Result<Wish, String> {
    let path = std::env::args_os().nth(1).ok_or("its argument is a file")?;
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    serde_json::from_str(&text).map_err(|error| error.to_string())
}

async fn serve(wish: Wish) -> Result<End, (u8, String)> {
    let wrong = |error: String| (2, error);
    let (source, world) = source(&wish).map_err(wrong)?;
    let started = source
        .start(world)
        .await
        .map_err(|error: StartError| (if error.is_passing() { 3 } else { 2 }, error.to_string()))?;
    let tls = Server::without_protocols(started.resolver, MinVersion::Tls12, &Clients::Anybody);
    let tls = tls.map_err(|error| wrong(error.to_string()))?;
    let listener = TcpListener::bind(wish.address).await;
    let listener = listener.map_err(|error| wrong(error.to_string()))?;
    println!("ready {}", wish.address);
    let accept = async {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(TlsAcceptor::from(tls.config()), stream));
        }
    };
    tokio::select! {
        end = started.task.run() => Ok(end),
        () = accept => Err(wrong("no more connections".to_owned())),
    }
}

async fn answer(acceptor: TlsAcceptor, stream: TcpStream) {
    let Ok(mut stream) = acceptor.accept(stream).await else { return };
    let mut request = [0; 4096];
    if stream.read(&mut request).await.is_ok_and(|length| length > 0) {
        // Whoever does not wait for the answer does without it.
        drop(stream.write_all(ANSWER).await);
        drop(stream.shutdown().await);
    }
}

fn source(wish: &Wish) -> Result<(Source, World), String> {
    let trust = wish.acme.as_ref().map_or(Ok(Trust::system()), |it| Trust::with_file(&it.trusted));
    let caller = Caller::new(trust.map_err(|error| error.to_string())?, false);
    let mut world = World::system(Arc::new(Loud(Outbound(caller))));
    if let Some([certificate, key]) = wish.files.clone() {
        return Ok((Source::Files(Files { certificate, key: Some(key), password: None }), world));
    }
    let acme = wish.acme.as_ref().ok_or("neither files nor an authority")?;
    let die_after = acme.die_after.clone();
    world.progress = Arc::new(move |step: Step| {
        println!("step {step:?}");
        if die_after.as_deref() == Some(&format!("{step:?}")) {
            // At once, and without tidying up: as if somebody had killed it.
            std::process::abort();
        }
    });
    let responder = Responder::bind(acme.challenges, &acme.root).map_err(|it| it.to_string())?;
    let settings = Settings {
        directory: acme.directory.clone(),
        domain: acme.domain.clone(),
        email: Some("operator@example.org".to_owned()),
        external: None,
        keys: acme.keys.clone(),
        threshold_days: 15,
        stop_on_renewal_error: false,
    };
    Ok((Source::Acme(Box::new(settings), responder), world))
}
