//! Which addresses a request may go to. Judged on the addresses that a name stands for at that
//! moment, so that a name cannot be one thing when it is checked and another when it is called.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Url;

/// How far a request may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// To whatever address the host has: for hosts that the operator named.
    Anywhere,
    /// To public addresses only: for hosts that somebody else named, who must not make us speak to
    /// the network that we are in.
    Public,
    /// To this machine only.
    Loopback,
}

impl Reach {
    /// How far `url` may go where it was named by what `home` answered: to the same host, whatever
    /// address it has, and else to public addresses.
    pub fn of_url_named_by(home: &str, url: &str) -> Self {
        let host = |text| Url::parse(text).ok().and_then(|url| url.host_str().map(str::to_owned));
        match (host(home), host(url)) {
            (Some(home), Some(host)) if home == host => Self::Anywhere,
            _ => Self::Public,
        }
    }

    /// Whether `address` is within reach.
    pub fn allows(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        match self {
            Self::Anywhere => true,
            Self::Public => is_public(address),
            Self::Loopback => address.is_loopback(),
        }
    }
}

/// Whether an address is everybody's: what is not known to be is not.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    let special = match first {
        // "This network", and everything from multicast on.
        0 | 224..=255 => true,
        // Behind the NAT of a provider (RFC 6598).
        100 => second & 0xC0 == 64,
        // Protocol assignments.
        192 => second == 0 && third == 0,
        // Benchmarks.
        198 => second & 0xFE == 18,
        _ => false,
    };
    !(special
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation())
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // An IPv4 address behind NAT64 is as public as it is.
        [0x64, 0xFF9B, 0, 0, 0, 0, high, low] => {
            is_public_v4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
        }
        // Teredo and 6to4 hold IPv4 addresses of anybody; documentation is nobody's.
        [0x2001, 0 | 0xDB8, ..] | [0x2002, ..] => false,
        // Global unicast.
        [first, ..] => first & 0xE000 == 0x2000,
    }
}

/// A name that stands for an address out of reach.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("{0} is out of reach")]
pub(crate) struct OutOfReach(pub(crate) IpAddr);

/// Resolves names by the system, and gives only what is within reach.
pub(crate) struct Resolver(pub(crate) Reach);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let addresses: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            // One address out of reach among others would be tried when those do not answer.
            if let Some(address) = addresses.iter().find(|address| !reach.allows(address.ip())) {
                return Err(OutOfReach(address.ip()).into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_everybody_s_is_public() {
        for address in [
            "1.0.0.1",
            "8.8.8.8",
            "11.0.0.1",
            "100.63.0.1",
            "100.128.0.1",
            "172.32.0.1",
            "192.0.3.1",
            "192.5.0.1",
            "192.167.1.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "3fff:ffff::1",
            "64:ff9b::808:808",
            "64:ff9b::0b01:0b01",
        ] {
            assert!(Reach::Public.allows(address.parse().unwrap()), "{address}");
        }
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "192.0.0.1",
            "192.0.2.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:a00:1::",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(!Reach::Public.allows(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn a_host_may_name_itself_and_what_is_public() {
        let home = "https://id.internal/realm/";
        for (url, reach) in [
            ("https://id.internal/keys", Reach::Anywhere),
            ("https://ID.Internal:8443/keys", Reach::Anywhere),
            ("https://keys.internal/keys", Reach::Public),
            ("https://id.internal.example/keys", Reach::Public),
            ("https://10.0.0.1/keys", Reach::Public),
            ("", Reach::Public),
            ("keys", Reach::Public),
        ] {
            assert_eq!(Reach::of_url_named_by(home, url), reach, "{url}");
        }
        assert_eq!(Reach::of_url_named_by("", ""), Reach::Public);
    }

    #[test]
    fn loopback_is_this_machine() {
        for address in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert!(Reach::Loopback.allows(address.parse().unwrap()), "{address}");
        }
        for address in ["0.0.0.0", "10.0.0.1", "8.8.8.8", "::"] {
            assert!(!Reach::Loopback.allows(address.parse().unwrap()), "{address}");
        }
    }
}
