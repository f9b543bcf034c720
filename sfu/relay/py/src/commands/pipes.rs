//! The command that joins two relays.

use std::net::SocketAddr;

use conclave_relay_core::Path;
use conclave_relay_core::command::{Command, PipeSpec};
use conclave_relay_core::units::PeerId;
use pyo3::prelude::*;

use crate::convert;

#[pyclass(frozen, module = "sfu._relay")]
pub struct OpenPipe {
    #[pyo3(get)]
    peer: u64,
    pipe: PipeSpec,
}

#[pymethods]
impl OpenPipe {
    #[new]
    #[pyo3(signature = (*, peer, local, remote, profile, local_key, local_salt, remote_key, remote_salt))]
    #[allow(clippy::too_many_arguments)] // keywords in Python
    fn new(
        peer: u64,
        local: &str,
        remote: (String, u16),
        profile: &str,
        local_key: &[u8],
        local_salt: &[u8],
        remote_key: &[u8],
        remote_salt: &[u8],
    ) -> PyResult<Self> {
        let profile = convert::profile(profile)?;
        let path = Path {
            local: convert::ip(local)?,
            remote: SocketAddr::new(convert::ip(&remote.0)?, remote.1),
        };
        let pipe = PipeSpec {
            path,
            profile,
            local: convert::master_key(profile, local_key, local_salt)?,
            remote: convert::master_key(profile, remote_key, remote_salt)?,
        };
        Ok(OpenPipe { peer, pipe })
    }

    #[getter]
    fn profile(&self) -> &'static str {
        convert::profile_name(self.pipe.profile)
    }

    fn __repr__(&self) -> String {
        format!("OpenPipe(peer={}, profile='{}')", self.peer, self.profile())
    }
}

impl OpenPipe {
    pub(super) fn command(&self) -> Command {
        Command::OpenPipe {
            peer: PeerId(self.peer),
            pipe: self.pipe.clone(),
        }
    }
}
