//! What makes a connection ready for commands: where to connect first, the scripts, and what must be known
//! of a server before it is written to.

use std::io;
use std::path::Path;
use std::time::Duration;

use crate::os;

use super::facts::{Facts, unknown};
use super::location::RedisLocation;
use super::resp::{Reply, write_command};
use super::script::Script;
use super::slots::{Address, address};
use super::socket::Socket;

/// For so long is believed what was told of the servers, where nobody says otherwise.
pub(super) const BELIEVED: Duration = Duration::from_secs(10);

/// Returns the addresses that the location names.
pub(super) fn given(location: &RedisLocation) -> Vec<Address> {
    let hosts = location
        .hosts
        .iter()
        .map(|(host, port)| address(host, port));
    let socket = location.socket.iter().map(|path| {
        // What has a slash in it is a path.
        Path::new(".").join(path).to_string_lossy().into_owned()
    });
    hosts.chain(socket).collect()
}

/// Gives a server the scripts.
pub(super) fn load_scripts(socket: &mut Socket) -> io::Result<()> {
    let mut bytes = Vec::new();
    for script in Script::ALL {
        write_command(&mut bytes, &["SCRIPT", "LOAD", script.source()]);
    }
    socket.send(&bytes)?;
    for _ in Script::ALL {
        let reply = socket.receive()?;
        if matches!(reply, Reply::Error(_)) {
            return Err(unknown("SCRIPT LOAD", reply));
        }
    }
    Ok(())
}

/// Returns what is known of a server that is about to be written to, which may not drop what it holds.
pub(super) fn facts_of<'a>(
    socket: &'a mut Socket,
    location: &RedisLocation,
) -> io::Result<&'a Facts> {
    let is_old = |facts: &Facts| os::since_boot().saturating_sub(facts.asked) > BELIEVED;
    if socket.facts.as_ref().is_none_or(is_old) {
        let mut bytes = Vec::new();
        Facts::write(&mut bytes);
        socket.send(&bytes)?;
        socket.facts = Some(read_facts(socket)?);
    }
    let facts = socket.facts.as_ref().expect("it was asked just now");
    match &facts.evicts {
        Some(policy) if !location.allows_eviction => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!(
                "it drops entries when its memory is full (maxmemory-policy is {policy}): set it to \
                 noeviction, or say `?eviction=allowed`"
            ),
        )),
        _ => Ok(facts),
    }
}

/// Reads the answers to what [`Facts::write`] asks.
pub(super) fn read_facts(socket: &mut Socket) -> io::Result<Facts> {
    let clock = socket.receive()?;
    // Not before it was said: then the clock of the server is rather late here than early.
    let asked = os::since_boot();
    let others = (1..Facts::COUNT).map(|_| socket.receive());
    let others = others.collect::<io::Result<Vec<_>>>()?;
    Facts::of([vec![clock], others].concat(), asked)
}
