//! Tells public addresses from those of this machine and of private networks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// The networks from which an address can be reached, from the widest to the narrowest. A server may redirect to its
/// own reach or a wider one, so a public server cannot make us send requests inside a private network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reach {
    /// The internet, or a name of which nothing else is known.
    Public,
    /// A private network (RFC 1918, RFC 4193, RFC 6598), or any other address that is not globally reachable.
    Private,
    /// This machine.
    Loopback,
    /// The local link, and the metadata services of clouds.
    Link,
}

/// The metadata service of Azure, the only one with a public address.
const AZURE: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);
/// That of AWS over IPv6.
const AWS_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
/// That of Alibaba Cloud.
const ALIBABA: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);
/// That of Oracle Cloud.
const ORACLE: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 192);

impl Reach {
    /// The reach of an address.
    pub fn of(address: IpAddr) -> Reach {
        match address {
            IpAddr::V4(address) => Reach::of_v4(address),
            IpAddr::V6(address) => Reach::of_v6(address),
        }
    }

    /// The reach of a URL's host, as far as the URL itself shows it.
    pub fn of_url(url: &Url) -> Reach {
        match url.host() {
            Some(Host::Ipv4(address)) => Reach::of_v4(address),
            Some(Host::Ipv6(address)) => Reach::of_v6(address),
            Some(Host::Domain(name)) => Reach::of_name(name),
            None => Reach::Public,
        }
    }

    /// The reach of a name that is never public (RFC 6761 section 6.3).
    fn of_name(name: &str) -> Reach {
        let name = name.trim_end_matches('.');
        let is_local = name == "localhost" || name.ends_with(".localhost");
        if is_local { Reach::Loopback } else { Reach::Public }
    }

    fn of_v4(address: Ipv4Addr) -> Reach {
        let [a, b, c, _] = address.octets();
        match (a, b) {
            _ if address.is_link_local() || [AZURE, ALIBABA, ORACLE].contains(&address) => Reach::Link,
            // `0.0.0.0` connects to this machine.
            (0 | 127, _) => Reach::Loopback,
            (10, _) | (100, 64..=127) | (172, 16..=31) | (192, 168) | (198, 18..=19) => Reach::Private,
            (192, 0) if c == 0 => Reach::Private,
            (224.., _) => Reach::Private,
            _ => Reach::Public,
        }
    }

    fn of_v6(address: Ipv6Addr) -> Reach {
        if let Some(embedded) = embedded(address) {
            return Reach::of_v4(embedded);
        }
        match address.segments()[0] {
            _ if address.is_loopback() || address.is_unspecified() => Reach::Loopback,
            _ if address == AWS_V6 => Reach::Link,
            0xfe80..=0xfebf => Reach::Link,
            // Unique local, the former site-local, and multicast.
            0xfc00..=0xfdff | 0xfec0..=0xfeff | 0xff00.. => Reach::Private,
            _ => Reach::Public,
        }
    }
}

/// The IPv4 address that an IPv6 address stands for: mapped (RFC 4291), translated (RFC 6052) or 6to4 (RFC 3056).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(v4(high, low)),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_apart() {
        for (reach, addresses) in [
            (Reach::Public, "1.1.1.1 172.15.0.1 172.32.0.1 100.63.0.1 192.0.2.1 2606:4700::1111 ::ffff:1.1.1.1"),
            (Reach::Private, "10.0.0.5 172.16.0.1 172.31.9.9 192.168.1.1 100.64.0.1 198.18.0.1 fd00::1 fec0::1"),
            (Reach::Private, "::ffff:10.0.0.5 64:ff9b::a00:5 2002:a00:5:: 224.0.0.1 255.255.255.255 ff02::1"),
            (Reach::Loopback, "127.0.0.1 127.9.9.9 0.0.0.0 ::1 :: ::ffff:127.0.0.1"),
            (Reach::Link, "169.254.169.254 fe80::1 168.63.129.16 100.100.100.200 192.0.0.192 fd00:ec2::254"),
            (Reach::Link, "::ffff:169.254.169.254 64:ff9b::a9fe:a9fe"),
        ] {
            for address in addresses.split(' ') {
                assert_eq!(Reach::of(address.parse().expect(address)), reach, "{address}");
            }
        }
    }

    #[test]
    fn hosts_of_urls_are_read_however_they_are_written() {
        let reach = |url: &str| Reach::of_url(&url.parse().expect(url));
        for url in ["http://localhost", "http://a.localhost./", "http://2130706433/", "http://0x7f.1/", "http://[::1]/"]
        {
            assert_eq!(reach(url), Reach::Loopback, "{url}");
        }
        assert_eq!(reach("https://localhost.example.com"), Reach::Public);
        assert_eq!(reach("http://012.0.0.1/"), Reach::Private);
    }
}
