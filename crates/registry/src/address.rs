//! How private an address is, and names resolved once (DIST-32, DIST-113; reliability, section 1.7).
//!
//! The rule: an address that a server names may be no more private than the registry that the user named. A registry
//! on the internet cannot make us call the local network; one on a private network works as it should.
//!
//! What was checked is what is connected to: the resolver keeps the addresses of a name for a while and gives the same
//! to the check and to the connection, so that a second answer of the name server cannot slip between.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use url::{Host, Url};

/// How private an address is; a later one is more so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    /// Anyone may have it.
    Public,
    /// Of a private network.
    Private,
    /// Of this machine.
    Loopback,
    /// Of this link, and wherever else machines of clouds find their own credentials.
    Link,
}

/// Where clouds give credentials to their machines outside of the addresses of a link: Alibaba, Oracle, Azure, and by
/// IPv6 Amazon and Google.
const METADATA: [IpAddr; 5] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// How private one address is.
pub(crate) fn reach(address: IpAddr) -> Reach {
    match address {
        _ if METADATA.contains(&address) => Reach::Link,
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            if v4.is_loopback() || v4.is_unspecified() {
                Reach::Loopback
            } else if v4.is_link_local() || v4.is_broadcast() || v4.is_multicast() {
                Reach::Link
            } else if v4.is_private() || (a == 100 && (64..128).contains(&b)) || a == 0 {
                Reach::Private
            } else {
                Reach::Public
            }
        }
        IpAddr::V6(v6) => embedded_v4(v6).map_or_else(|| reach_v6(v6), |v4| reach(IpAddr::V4(v4))),
    }
}

fn reach_v6(v6: Ipv6Addr) -> Reach {
    if v6.is_loopback() || v6.is_unspecified() {
        Reach::Loopback
    } else if v6.is_unicast_link_local() || v6.is_multicast() {
        Reach::Link
    } else if v6.is_unique_local() {
        Reach::Private
    } else {
        Reach::Public
    }
}

/// The IPv4 address inside of a mapped, compatible or NAT64 address.
fn embedded_v4(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let segments = v6.segments();
    if let Some(mapped) = v6.to_ipv4_mapped() {
        return Some(mapped);
    }
    let [.., high, low] = segments;
    let nat64 = segments[..6] == [0x64, 0xff9b, 0, 0, 0, 0];
    let compatible = segments[..6] == [0; 6] && high != 0;
    let [a, b] = high.to_be_bytes();
    let [c, d] = low.to_be_bytes();
    (nat64 || compatible).then(|| Ipv4Addr::new(a, b, c, d))
}

/// The addresses of names, and since when they are known.
type Known = HashMap<String, (Instant, Vec<IpAddr>)>;

/// Resolves names, and remembers the addresses for [`Resolver::KEPT`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Resolver {
    known: Arc<Mutex<Known>>,
}

impl Resolver {
    /// How long the addresses of a name are kept for connections. A check takes a new answer after half of it, so that
    /// what it saw holds while the connection is made.
    const KEPT: Duration = Duration::from_secs(600);

    /// The most private address of a URL's host.
    pub(crate) async fn reach(&self, url: &Url) -> Result<Reach, std::io::Error> {
        let addresses = match url.host() {
            Some(Host::Ipv4(address)) => vec![IpAddr::V4(address)],
            Some(Host::Ipv6(address)) => vec![IpAddr::V6(address)],
            Some(Host::Domain(name)) => self.lookup(name, Self::KEPT / 2).await?,
            None => Vec::new(),
        };
        let most_private = addresses.into_iter().map(reach).max();
        most_private.ok_or_else(|| std::io::Error::other("the host has no address"))
    }

    async fn lookup(&self, name: &str, fresh: Duration) -> Result<Vec<IpAddr>, std::io::Error> {
        if let Some((since, addresses)) = self.known().get(name)
            && since.elapsed() < fresh
        {
            return Ok(addresses.clone());
        }
        let addresses: Vec<IpAddr> =
            tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect();
        let mut known = self.known();
        known.retain(|_, (since, _)| since.elapsed() < Self::KEPT);
        known.insert(name.to_owned(), (Instant::now(), addresses.clone()));
        Ok(addresses)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a name fixed addresses.
    #[cfg(test)]
    fn pin(&self, name: &str, addresses: &[&str]) {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        self.known().insert(name.to_owned(), (Instant::now(), addresses));
    }
}

impl reqwest::dns::Resolve for Resolver {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let addresses = resolver.lookup(name.as_str(), Self::KEPT).await?;
            let addresses = addresses.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses.collect::<Vec<_>>().into_iter()) as reqwest::dns::Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(address: &str) -> Reach {
        reach(address.parse().unwrap())
    }

    #[test]
    fn row_44_addresses_are_told_apart_in_every_disguise() {
        for (address, expected) in [
            ("93.184.216.34", Reach::Public),
            ("2606:2800::1", Reach::Public),
            ("10.1.2.3", Reach::Private),
            ("172.31.0.1", Reach::Private),
            ("192.168.0.1", Reach::Private),
            ("100.64.0.1", Reach::Private),
            ("fd00::1", Reach::Private),
            ("127.0.0.1", Reach::Loopback),
            ("0.0.0.0", Reach::Loopback),
            ("::1", Reach::Loopback),
            ("::", Reach::Loopback),
            ("::ffff:127.0.0.1", Reach::Loopback),
            ("::127.0.0.1", Reach::Loopback),
            ("64:ff9b::7f00:1", Reach::Loopback),
            ("169.254.169.254", Reach::Link),
            ("::ffff:169.254.169.254", Reach::Link),
            ("fe80::1", Reach::Link),
            ("224.0.0.1", Reach::Link),
            ("100.100.100.200", Reach::Link),
            ("192.0.0.192", Reach::Link),
            ("168.63.129.16", Reach::Link),
            ("64:ff9b::6464:64c8", Reach::Link),
            ("fd00:ec2::254", Reach::Link),
            ("fd20:ce::254", Reach::Link),
        ] {
            assert_eq!(of(address), expected, "{address}");
        }
    }

    #[tokio::test]
    async fn row_44_one_private_address_makes_a_name_private() {
        let resolver = Resolver::default();
        resolver.pin("two.example", &["93.184.216.34", "127.0.0.1"]);
        let url = Url::parse("https://two.example/token").unwrap();
        assert_eq!(resolver.reach(&url).await.unwrap(), Reach::Loopback);
    }

    #[tokio::test]
    async fn what_was_checked_is_what_is_connected_to() {
        use reqwest::dns::Resolve as _;
        let resolver = Resolver::default();
        resolver.pin("one.example", &["93.184.216.34"]);
        let addresses = resolver.resolve("one.example".parse().unwrap()).await.unwrap();
        assert_eq!(addresses.map(|address| address.ip().to_string()).collect::<Vec<_>>(), ["93.184.216.34"]);
    }
}
