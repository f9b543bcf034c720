//! DTLS datagrams on their way to a peer.

use conclave_relay_core::command::Command;
use conclave_relay_core::units::PeerId;
use pyo3::prelude::*;

use crate::convert::invalid;

/// An Ethernet frame's worth and some: no DTLS record we send is longer.
const MAX_DATAGRAM: usize = 2048;
/// A flight, or a burst of data-channel messages.
const MAX_DATAGRAMS: usize = 1024;

#[pyclass(frozen, module = "sfu._relay")]
pub struct SendDtls {
    #[pyo3(get)]
    peer: u64,
    datagrams: Vec<Vec<u8>>,
}

#[pymethods]
impl SendDtls {
    #[new]
    #[pyo3(signature = (*, peer, datagrams))]
    fn new(peer: u64, datagrams: Vec<Vec<u8>>) -> PyResult<Self> {
        let fits = |datagram: &Vec<u8>| (1..=MAX_DATAGRAM).contains(&datagram.len());
        if datagrams.len() > MAX_DATAGRAMS || !datagrams.iter().all(fits) {
            return Err(invalid("at most 1024 datagrams of 1 to 2048 bytes"));
        }
        Ok(SendDtls { peer, datagrams })
    }

    fn __repr__(&self) -> String {
        format!(
            "SendDtls(peer={}, datagrams={})",
            self.peer,
            self.datagrams.len()
        )
    }
}

impl SendDtls {
    pub(super) fn command(&self) -> Command {
        Command::SendDtls {
            peer: PeerId(self.peer),
            datagrams: self.datagrams.clone(),
        }
    }
}
