//! The hosts this server answers to: for its certificate, for links, and for the `Host` header.
//!
//! Called by: `tls`, `app`, `http`. Talks to: the kernel, for the machine's name and addresses.
//! Invariants: there is always at least one host; without `names` in the configuration they are
//! those by which the listener can be reached.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::{Host, HostPort, ServerConfig, TlsMode};

const HTTP: u16 = 80;
const HTTPS: u16 = 443;

/// Hosts, the one for links first.
#[derive(Clone, Debug)]
pub struct Names {
    listed: Vec<HostPort>,
    port: u16,
    tls: bool,
}

impl Names {
    /// The configured hosts or, without any, those of this machine.
    pub fn of(server: &ServerConfig) -> Self {
        let mut listed = Vec::new();
        let hosts = if server.names.is_empty() {
            machine_hosts(server.listen.ip()).into_iter().map(HostPort::from).collect()
        } else {
            server.names.clone()
        };
        for host in hosts {
            if !listed.contains(&host) {
                listed.push(host);
            }
        }
        Self { listed, port: server.listen.port(), tls: server.tls == TlsMode::Auto }
    }

    /// Each host once, without ports: what a certificate is made out to.
    pub fn hosts(&self) -> Vec<Host> {
        let mut hosts: Vec<Host> = Vec::new();
        for name in &self.listed {
            if !hosts.contains(&name.host) {
                hosts.push(name.host.clone());
            }
        }
        hosts
    }

    /// Scheme, first host and port: how a link to this server begins.
    pub fn origin(&self) -> String {
        let first = &self.listed[0];
        let port = first.port.unwrap_or(self.port);
        // Whatever forwards port 443 to a plain listener adds TLS.
        let secure = self.tls || port == HTTPS;
        let (scheme, usual) = if secure { ("https", HTTPS) } else { ("http", HTTP) };
        format!("{scheme}://{}", first.at((port != usual).then_some(port)))
    }

    /// True where a request for `asked` is meant for this server.
    pub fn answers_to(&self, asked: &HostPort) -> bool {
        self.listed.iter().any(|name| {
            name.host == asked.host
                && (self.is_port(self.port, asked.port)
                    || name.port.is_some_and(|port| self.is_port(port, asked.port)))
        })
    }

    fn is_port(&self, own: u16, asked: Option<u16>) -> bool {
        match asked {
            // With port 0 the kernel chose one, and only the listener knows it.
            Some(asked) => asked == own || self.port == 0,
            None => own == HTTPS || (own == HTTP && !self.tls),
        }
    }
}

fn machine_hosts(listen: IpAddr) -> Vec<Host> {
    let listen = listen.to_canonical();
    let local = [
        Host::Name("localhost".to_owned()),
        Host::Ip(Ipv4Addr::LOCALHOST.into()),
        Host::Ip(Ipv6Addr::LOCALHOST.into()),
    ];
    let reached = if listen.is_unspecified() {
        machine_addresses().into_iter().map(Host::Ip).collect()
    } else {
        vec![Host::Ip(listen)]
    };
    // A machine's own name seldom leads to a loopback listener, so there it comes last.
    let (first, last) = if listen.is_loopback() {
        (reached, machine_name())
    } else {
        (machine_name().into_iter().chain(reached).collect(), None)
    };
    first.into_iter().chain(local).chain(last).collect()
}

fn machine_name() -> Option<Host> {
    let name = rustix::system::uname().nodename().to_str().ok()?.parse::<HostPort>().ok()?;
    Some(name.host)
}

/// Addresses of this machine's interfaces, those of one link only left out.
fn machine_addresses() -> Vec<IpAddr> {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let mut addresses = ipv4_addresses(&read("/proc/net/fib_trie"));
    addresses.extend(ipv6_addresses(&read("/proc/net/if_inet6")));
    addresses
}

/// The local addresses in the kernel's routing trie: a line with the address, then one saying
/// `/32 host LOCAL`.
fn ipv4_addresses(trie: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    let mut last = None;
    for line in trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse::<Ipv4Addr>().ok();
        } else if line == "/32 host LOCAL"
            && let Some(address) = last
            && !address.is_link_local()
            && !found.contains(&IpAddr::V4(address))
        {
            found.push(IpAddr::V4(address));
        }
    }
    found
}

/// One line an address: 32 hexadecimal digits, then index, prefix length, scope, flags, device.
fn ipv6_addresses(table: &str) -> Vec<IpAddr> {
    let address = |line: &str| {
        let digits = line.split_whitespace().next()?;
        let bits = u128::from_str_radix(digits, 16).ok()?;
        Some(Ipv6Addr::from_bits(bits)).filter(|address| !address.is_unicast_link_local())
    };
    table.lines().filter_map(address).map(IpAddr::V6).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Names {
        Names::of(&toml::from_str(text).unwrap())
    }

    fn answers(names: &Names, asked: &str) -> bool {
        names.answers_to(&asked.parse().unwrap())
    }

    #[test]
    fn without_names_the_server_answers_to_what_its_listener_can_be_reached_by() {
        let here = names("listen = '127.0.0.1:8420'");
        assert_eq!(here.origin(), "https://127.0.0.1:8420");
        for host in ["127.0.0.1:8420", "localhost:8420", "[::1]:8420"] {
            assert!(answers(&here, host), "{host}");
        }
        let lan = names("listen = '10.9.8.7:8420'");
        assert!(answers(&lan, "10.9.8.7:8420") && answers(&lan, "localhost:8420"));
        assert!(!answers(&lan, "10.9.8.8:8420") && !answers(&lan, "evil.example:8420"));
        if let Some(machine) = machine_name() {
            assert!(here.hosts().contains(&machine));
            assert_eq!(lan.hosts()[0], machine, "links name the machine");
        }
    }

    #[test]
    fn configured_names_replace_those_of_the_machine() {
        let named = names("names = ['cairn.lan', '10.0.0.5', 'cairn.lan']");
        assert_eq!(named.hosts().len(), 2);
        assert_eq!(named.origin(), "https://cairn.lan:8420");
        assert!(answers(&named, "CAIRN.lan.:8420"));
        assert!(!answers(&named, "localhost:8420"));
    }

    #[test]
    fn another_port_is_another_server_unless_it_is_named() {
        let plain = names("tls = 'off'");
        assert_eq!(plain.origin(), "http://127.0.0.1:8420");
        assert!(!answers(&plain, "127.0.0.1") && !answers(&plain, "127.0.0.1:80"));
        let mapped = names("names = ['cairn.lan:443', 'cairn.lan']");
        assert_eq!(mapped.origin(), "https://cairn.lan");
        assert!(answers(&mapped, "cairn.lan") && answers(&mapped, "cairn.lan:443"));
        assert!(answers(&mapped, "cairn.lan:8420"));
        assert!(!answers(&mapped, "cairn.lan:80"));
    }

    #[test]
    fn a_usual_port_may_be_left_out() {
        let plain = names("tls = 'off'\nlisten = '127.0.0.1:80'");
        assert_eq!(plain.origin(), "http://127.0.0.1");
        assert!(answers(&plain, "127.0.0.1") && answers(&plain, "127.0.0.1:80"));
        let secure = names("listen = '[::1]:443'");
        assert_eq!(secure.origin(), "https://[::1]");
        assert!(answers(&secure, "[::1]") && answers(&secure, "[::1]:443"));
        assert!(!answers(&names("listen = '[::1]:80'"), "[::1]"), "TLS without a port is 443");
    }

    #[test]
    fn the_kernels_tables_give_the_addresses_of_the_machine() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n\
                    Local:\n     |-- 127.0.0.1\n        /32 host LOCAL\n     |-- 192.168.1.5\n\
                    \x20       /32 host LOCAL\n     |-- 192.168.1.255\n        /32 link BROADCAST\n\
                    \x20    |-- 192.168.1.5\n        /32 host LOCAL\n";
        let expected = ["127.0.0.1", "192.168.1.5"].map(|ip| ip.parse::<IpAddr>().unwrap());
        assert_eq!(ipv4_addresses(trie), expected);
        let table = "00000000000000000000000000000001 01 80 10 80       lo\n\
                     fe80000000000000021122fffe334455 02 40 20 80     eth0\n\
                     20010db8000000000000000000000005 02 40 00 80     eth0\n";
        let expected = ["::1", "2001:db8::5"].map(|ip| ip.parse::<IpAddr>().unwrap());
        assert_eq!(ipv6_addresses(table), expected);
        assert!(ipv4_addresses("").is_empty() && ipv6_addresses("nonsense").is_empty());
    }
}
