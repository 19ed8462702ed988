//! A bound on each read of a body. What comes need not be a part of it: behind the last chunk stand
//! trailers, which the library passes over for as long as more of them come.

use std::cell::Cell;
use std::io::{self, Read};
use std::time::{Duration, Instant};

use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};
use ureq::{Error, Timeout};

thread_local! {
    /// Until when the read may take that this thread is in.
    static UNTIL: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Reads something, and fails where that takes longer.
pub(super) fn read_within(
    body: &mut dyn Read,
    buf: &mut [u8],
    patience: Duration,
) -> io::Result<usize> {
    UNTIL.set(Instant::now().checked_add(patience));
    let read = body.read(buf);
    UNTIL.set(None);
    read
}

/// Makes connections keep to the bound.
#[derive(Debug)]
pub(super) struct WithDeadline;

impl<In: Transport> Connector<In> for WithDeadline {
    type Out = DeadlineTransport<In>;

    fn connect(
        &self,
        _details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<DeadlineTransport<In>>, Error> {
        Ok(chained.map(DeadlineTransport))
    }
}

/// A connection that does.
#[derive(Debug)]
pub(super) struct DeadlineTransport<In>(In);

impl<In: Transport> Transport for DeadlineTransport<In> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.0.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.0.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        match UNTIL.get() {
            Some(until) if until <= Instant::now() => Err(Error::Timeout(Timeout::RecvBody)),
            _ => self.0.await_input(timeout),
        }
    }

    fn is_open(&mut self) -> bool {
        self.0.is_open()
    }

    fn is_tls(&self) -> bool {
        self.0.is_tls()
    }
}
