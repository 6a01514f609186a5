//! A host as it stands in an address: `cairn.lan`, `10.0.0.5`, `[::1]`, each with or without port.
//!
//! Called by: `config`, `tls`, `http`. Talks to: nothing.
//! Invariants: two spellings of one host are equal: names are lower case without a final dot, an
//! IPv4 address inside IPv6 is IPv4.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

/// Longest DNS name and longest part of one.
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

/// A DNS name or an IP address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Host {
    Name(String),
    Ip(IpAddr),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ip(ip) => ip.fmt(f),
        }
    }
}

/// A host, and the port where one is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostPort {
    pub host: Host,
    pub port: Option<u16>,
}

impl HostPort {
    /// The same place with another port.
    pub fn at(&self, port: Option<u16>) -> Self {
        Self { host: self.host.clone(), port }
    }
}

impl From<Host> for HostPort {
    fn from(host: Host) -> Self {
        Self { host, port: None }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]")?,
            host => host.fmt(f)?,
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

/// The text is no host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither a host name (letters, digits, `-`, `.`) nor an IP address, with or without port")]
pub struct HostError;

impl FromStr for HostPort {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Host::Ip(ip.to_canonical()).into());
        }
        if let Some(rest) = text.strip_prefix('[') {
            let (ip, rest) = rest.split_once(']').ok_or(HostError)?;
            let ip: std::net::Ipv6Addr = ip.parse().map_err(|_| HostError)?;
            let port = match rest {
                "" => None,
                rest => Some(port(rest.strip_prefix(':').ok_or(HostError)?)?),
            };
            return Ok(Self { host: Host::Ip(IpAddr::V6(ip).to_canonical()), port });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, digits)) => (host, Some(port(digits)?)),
            None => (text, None),
        };
        if let Ok(ip) = host.parse::<std::net::Ipv4Addr>() {
            return Ok(Self { host: Host::Ip(ip.into()), port });
        }
        Ok(Self { host: Host::Name(name(host)?), port })
    }
}

fn port(digits: &str) -> Result<u16, HostError> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(HostError);
    }
    digits.parse().map_err(|_| HostError)
}

fn name(text: &str) -> Result<String, HostError> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let sound = |label: &str| {
        (1..=MAX_LABEL).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    // Clients read `127.1` and `10.0x7f` as IPv4 addresses: such a last part names no host.
    let last = text.rsplit('.').next().unwrap_or_default();
    let numeric = last.bytes().all(|byte| byte.is_ascii_digit())
        || last.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("0x"));
    if text.len() > MAX_NAME || numeric || !text.split('.').all(sound) {
        return Err(HostError);
    }
    Ok(text.to_ascii_lowercase())
}

impl<'de> Deserialize<'de> for HostPort {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|error| serde::de::Error::custom(format!("`{text}` is {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> String {
        text.parse::<HostPort>().map_or_else(|_| "refused".to_owned(), |host| host.to_string())
    }

    #[test]
    fn spellings_of_one_host_become_one() {
        for (text, same) in [
            ("Cairn.LAN", "cairn.lan"),
            ("cairn.lan.", "cairn.lan"),
            ("cairn.lan.:8420", "cairn.lan:8420"),
            ("127.0.0.1:1", "127.0.0.1:1"),
            ("::1", "[::1]"),
            ("[0:0::1]:8420", "[::1]:8420"),
            ("[::ffff:10.0.0.5]:443", "10.0.0.5:443"),
            ("::ffff:10.0.0.5", "10.0.0.5"),
            ("my_host-1", "my_host-1"),
            ("9f2c1ab34d", "9f2c1ab34d"),
        ] {
            assert_eq!(parsed(text), same, "{text}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in [
            "",
            ".",
            ":8420",
            "cairn:",
            "cairn:99999",
            "cairn:+1",
            "cairn:1:2",
            "a b",
            "a/b",
            "user@cairn",
            "-a",
            "a..b",
            "*.lan",
            "bücher.example",
            "127.1",
            "2130706433",
            "a.0x7f",
            "[::1",
            "[::1]8420",
            "[10.0.0.5]",
            "[fe80::1%25eth0]",
        ] {
            assert_eq!(parsed(text), "refused", "{text}");
        }
        assert_eq!(parsed(&format!("{}.lan", "a".repeat(64))), "refused");
        assert_eq!(parsed(&"a.".repeat(130)), "refused");
    }
}
