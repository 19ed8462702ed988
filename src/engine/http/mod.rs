//! A store behind `kv serve`: each call is a request, or a few.
//!
//! Whatever the store promises the service keeps: it is atomic, durable and expires there, by its
//! clock. Over the network there is one thing more that can happen: a change is sent, and no answer
//! comes. Then nobody knows whether it was made, and the error says that it may have been; only what
//! changes nothing is asked again. What the service refuses because it is busy was not done, and is
//! asked again for as long as the busy timeout lasts.
//!
//! Keys stand in paths, every byte written as `%XX` that could mean anything to whoever is between. A key
//! that might be changed on the way all the same, such as `a/../b`, is the beginning of the body of the
//! same verb on its namespace; see [`ask`].
//!
//! Read the files in this order: [`mod@location`], [`socket`], [`tls`], [`deadline`], [`incoming`], [`faults`], [`ask`],
//! [`client`], [`body`], [`entries`], [`scan`], [`bulk`], [`watch`], [`follow`], [`named`], [`upkeep`].

mod ask;
mod body;
mod bulk;
mod client;
mod deadline;
mod entries;
mod faults;
mod follow;
mod incoming;
mod location;
mod named;
mod proxy;
mod scan;
mod socket;
mod tls;
mod upkeep;
mod watch;

use std::sync::Arc;

use crate::engine::Settings;

use self::client::Client;
use self::location::HttpLocation;
pub(super) use self::location::{SCHEMES, location};

/// A store that a service keeps.
#[derive(Debug)]
pub struct Http {
    client: Arc<Client>,
}

impl Http {
    /// Names a service. What a write survives is the service's to decide, so that of `settings` only
    /// the busy timeout counts.
    fn new(location: HttpLocation, settings: Settings) -> Self {
        let client = Arc::new(Client::new(location, settings));
        Self { client }
    }
}
