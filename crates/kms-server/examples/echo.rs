//! The bare echo that the benchmark compares the server with: hyper alone, which reads a body and
//! answers one of as many bytes as the path says. It must not do any other work.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// What answers are cut from.
static ZEROES: [u8; 4 << 20] = [0; 4 << 20];

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address: SocketAddr = std::env::args().nth(1).ok_or("an address")?.parse()?;
    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let service = service_fn(echo);
            // A connection that breaks concerns nobody but its peer.
            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

async fn echo(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let size: usize = request.uri().path().trim_start_matches('/').parse().unwrap_or_default();
    let read = request.into_body().collect().await;
    let body = match read {
        Ok(_) => Bytes::from_static(ZEROES.get(..size).unwrap_or_default()),
        Err(_) => Bytes::new(),
    };
    Ok(Response::new(Full::new(body)))
}
