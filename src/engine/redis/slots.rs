//! Which hash slot a key is in, and which server has the slot.

use super::resp::Reply;

/// How many slots a cluster has.
pub(super) const SLOTS: u16 = 16_384;

/// Returns the slot of a key whose hash tag is this: CRC-16/XMODEM of it, modulo the slots.
pub(super) fn slot_of(tag: &[u8]) -> u16 {
    let crc = tag.iter().fold(0_u16, |mut crc, &byte| {
        crc ^= u16::from(byte) << 8;
        for _ in 0..8 {
            let carry = crc & 0x8000 != 0;
            crc <<= 1;
            if carry {
                crc ^= 0x1021;
            }
        }
        crc
    });
    crc % SLOTS
}

/// The address of a server, `HOST:PORT`; what has a slash in it is the path of a socket.
pub(super) type Address = String;

/// Slots that one master has, both ends included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) first: u16,
    pub(super) last: u16,
    pub(super) master: Address,
}

/// Reads the answer to `CLUSTER SLOTS`. A server that does not know its own address leaves it out:
/// it is the one that was asked.
pub(super) fn ranges(reply: Reply, asked: &str) -> Vec<Range> {
    let asked_host = asked.rsplit_once(':').map_or(asked, |(host, _)| host);
    let range = |reply: Reply| {
        let mut fields = reply.into_array().into_iter();
        let first = u16::try_from(fields.next()?.as_int()?).ok()?;
        let last = u16::try_from(fields.next()?.as_int()?).ok()?;
        let mut node = fields.next()?.into_array().into_iter();
        let host = node.next()?.into_bytes().unwrap_or_default();
        let port = node.next()?.as_int()?;
        let host = String::from_utf8(host).ok()?;
        let host = if host.is_empty() || host == "?" {
            asked_host
        } else {
            &host
        };
        (first <= last && last < SLOTS && is_host(host)).then(|| Range {
            first,
            last,
            master: address(host, port),
        })
    };
    reply.into_array().into_iter().filter_map(range).collect()
}

/// Tells whether text may be the name of a host, or its address: no path of a socket is one.
pub(super) fn is_host(text: &str) -> bool {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || ".-_:%[]".contains(c);
    !text.is_empty() && text.chars().all(is_fine)
}

/// Writes an address; one of IPv6 stands in brackets.
pub(super) fn address(host: &str, port: impl std::fmt::Display) -> Address {
    if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// Where a server says that a slot is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Redirect {
    /// It is there from now on.
    Moved(u16, Address),
    /// This key is there already, while the slot moves.
    Ask(Address),
}

/// Reads a redirection; `None` where an error is none.
pub(super) fn redirect(error: &str, asked: &str) -> Option<Redirect> {
    let mut words = error.split(' ');
    let kind = words.next()?;
    let slot = words.next()?.parse().ok().filter(|slot| *slot < SLOTS)?;
    let (host, port) = words.next()?.rsplit_once(':')?;
    let host = match host {
        "" | "?" => asked.rsplit_once(':')?.0,
        host => host,
    };
    if !is_host(host) || port.parse::<u16>().is_err() {
        return None;
    }
    let there = address(host, port);
    match kind {
        "MOVED" => Some(Redirect::Moved(slot, there)),
        "ASK" => Some(Redirect::Ask(there)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(slot_of(b"123456789"), 0x31c3);
        assert_eq!(slot_of(b"foo"), 12_182);
        assert_eq!(slot_of(b""), 0);
    }

    #[test]
    fn reads_who_has_which_slots() {
        let node = |host: &str, port| {
            Reply::Array(vec![
                Reply::Bytes(host.into()),
                Reply::Int(port),
                Reply::Bytes("id".into()),
            ])
        };
        let range =
            |first, last, node| Reply::Array(vec![Reply::Int(first), Reply::Int(last), node]);
        let reply = Reply::Array(vec![
            range(0, 99, node("10.0.0.1", 7000)),
            range(100, 16_383, node("", 7001)),
            range(5, 16_384, node("a", 1)),
        ]);
        let found = ranges(reply, "h:7001");
        let want = [(0, 99, "10.0.0.1:7000"), (100, 16_383, "h:7001")];
        assert_eq!(
            found,
            want.map(|(first, last, master)| Range {
                first,
                last,
                master: master.into()
            })
        );
    }

    #[test]
    fn reads_redirections_and_nothing_else() {
        let moved = redirect("MOVED 3999 10.0.0.1:6381", "h:1");
        assert_eq!(moved, Some(Redirect::Moved(3999, "10.0.0.1:6381".into())));
        let ask = redirect("ASK 3999 :6381", "h:1");
        assert_eq!(ask, Some(Redirect::Ask("h:6381".into())));
        let six = redirect("ASK 1 ::1:6381", "h:1");
        assert_eq!(six, Some(Redirect::Ask("[::1]:6381".into())));
        for other in [
            "ERR x",
            "MOVED 99999 a:1",
            "MOVED",
            "MOVED 5 a:x",
            "MOVED 5 /etc/passwd:1",
            "CLUSTERDOWN Hash slot not served",
        ] {
            assert_eq!(redirect(other, "h:1"), None);
        }
    }
}
