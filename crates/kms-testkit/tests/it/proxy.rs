//! That the proxy carries, and misbehaves as it is told.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use kms_testkit::proxy::{Proxy, Way};
use kms_testkit::server::pause;

/// Says back what it is told, for ever.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            thread::spawn(move || {
                let mut reader = stream.try_clone().unwrap();
                std::io::copy(&mut reader, &mut stream)
            });
        }
    });
    address
}

struct Client(TcpStream);

impl Client {
    fn through(proxy: &Proxy) -> Self {
        let stream = TcpStream::connect(proxy.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Self(stream)
    }

    /// What comes back, up to the end of the connection or all of it.
    fn say(&mut self, text: &str) -> String {
        // It may be closed already, which the answer shows.
        drop(self.0.write_all(text.as_bytes()));
        let mut heard = vec![0; text.len()];
        let mut length = 0;
        while length < heard.len() {
            match self.0.read(&mut heard[length..]) {
                Ok(0) | Err(_) => break,
                Ok(read) => length += read,
            }
        }
        String::from_utf8_lossy(&heard[..length]).into_owned()
    }
}

#[test]
fn it_carries_and_counts() {
    let proxy = Proxy::to(echo());
    let (mut one, mut other) = (Client::through(&proxy), Client::through(&proxy));
    assert_eq!((one.say("hello"), other.say("you")), ("hello".into(), "you".into()));
    assert_eq!((proxy.bytes(Way::There), proxy.bytes(Way::Back)), (8, 8));
    assert_eq!((proxy.connections(), proxy.open()), (2, 2));
    drop((one, other));
    while proxy.open() > 0 {
        pause();
    }
}

#[test]
fn it_cuts_what_is_open_and_refuses_what_comes() {
    let proxy = Proxy::to(echo());
    let mut client = Client::through(&proxy);
    assert_eq!(client.say("one"), "one");
    proxy.cut();
    assert_eq!(client.say("two"), "");
    let mut client = Client::through(&proxy);
    assert_eq!(client.say("three"), "three");
    proxy.refuse(true);
    assert_eq!(client.say("open ones go on"), "open ones go on");
    assert_eq!(Client::through(&proxy).say("four"), "");
    proxy.unplug();
    assert_eq!(client.say("five"), "");
    proxy.mend();
    assert_eq!(Client::through(&proxy).say("six"), "six");
}

#[test]
fn it_ends_one_connection_in_the_middle() {
    let proxy = Proxy::to(echo());
    for way in [Way::There, Way::Back] {
        let mut client = Client::through(&proxy);
        let before = proxy.bytes(way);
        proxy.drop_after(way, 3);
        // The answer to the part that came there may be on its way when both directions end.
        let heard = client.say("abcdef");
        assert!(heard == "abc" || (heard.is_empty() && way == Way::There), "{way:?}: {heard}");
        assert_eq!(proxy.bytes(way) - before, 3, "{way:?}");
        assert_eq!(Client::through(&proxy).say("only that one"), "only that one");
    }
}

#[test]
fn it_delays_and_swallows() {
    let proxy = Proxy::to(echo());
    let mut client = Client::through(&proxy);
    proxy.delay(Duration::from_millis(60));
    let begun = Instant::now();
    assert_eq!(client.say("slow"), "slow");
    assert!(begun.elapsed() >= Duration::from_millis(120));
    proxy.hold(true);
    client.0.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert_eq!(client.say("held"), "");
    client.0.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    proxy.mend();
    let mut late = [0; 4];
    client.0.read_exact(&mut late).unwrap();
    assert_eq!(&late, b"held");
}

#[test]
fn it_goes_when_it_is_dropped() {
    let proxy = Proxy::to(echo());
    let mut client = Client::through(&proxy);
    assert_eq!(client.say("one"), "one");
    let address = proxy.address();
    drop(proxy);
    assert_eq!(client.say("two"), "");
    while TcpStream::connect(address).is_ok() {
        pause();
    }
}
