//! Commands about a peer: its place, its credentials, its keys, its end.

use std::time::Duration;

use conclave_relay_core::command::{Command, IceCredentials};
use conclave_relay_core::srtp::{MasterKey, Profile};
use conclave_relay_core::units::{PeerId, Time};
use conclave_relay_io::clock;
use pyo3::prelude::*;

use crate::convert::{self, invalid};

#[pyclass(frozen, module = "sfu._relay")]
pub struct OpenPeer {
    #[pyo3(get)]
    peer: u64,
    local: IceCredentials,
}

#[pymethods]
impl OpenPeer {
    #[new]
    #[pyo3(signature = (*, peer, ufrag, password))]
    fn new(peer: u64, ufrag: String, password: String) -> PyResult<Self> {
        Ok(OpenPeer {
            peer,
            local: convert::credentials(ufrag, password)?,
        })
    }

    fn __repr__(&self) -> String {
        format!("OpenPeer(peer={})", self.peer)
    }
}

impl OpenPeer {
    pub(super) fn command(&self) -> Command {
        Command::OpenPeer {
            peer: PeerId(self.peer),
            local: self.local.clone(),
        }
    }
}

#[pyclass(frozen, module = "sfu._relay")]
pub struct SetRemoteIce {
    #[pyo3(get)]
    peer: u64,
    remote: IceCredentials,
}

#[pymethods]
impl SetRemoteIce {
    #[new]
    #[pyo3(signature = (*, peer, ufrag, password))]
    fn new(peer: u64, ufrag: String, password: String) -> PyResult<Self> {
        Ok(SetRemoteIce {
            peer,
            remote: convert::credentials(ufrag, password)?,
        })
    }

    fn __repr__(&self) -> String {
        format!("SetRemoteIce(peer={})", self.peer)
    }
}

impl SetRemoteIce {
    pub(super) fn command(&self) -> Command {
        Command::SetRemoteIce {
            peer: PeerId(self.peer),
            remote: self.remote.clone(),
        }
    }
}

#[pyclass(frozen, module = "sfu._relay")]
pub struct RestartIce {
    #[pyo3(get)]
    peer: u64,
    local: IceCredentials,
    remote: IceCredentials,
}

#[pymethods]
impl RestartIce {
    #[new]
    #[pyo3(signature = (*, peer, ufrag, password, remote_ufrag, remote_password))]
    fn new(
        peer: u64,
        ufrag: String,
        password: String,
        remote_ufrag: String,
        remote_password: String,
    ) -> PyResult<Self> {
        Ok(RestartIce {
            peer,
            local: convert::credentials(ufrag, password)?,
            remote: convert::credentials(remote_ufrag, remote_password)?,
        })
    }

    fn __repr__(&self) -> String {
        format!("RestartIce(peer={})", self.peer)
    }
}

impl RestartIce {
    pub(super) fn command(&self) -> Command {
        Command::RestartIce {
            peer: PeerId(self.peer),
            local: self.local.clone(),
            remote: self.remote.clone(),
        }
    }
}

#[pyclass(frozen, module = "sfu._relay")]
pub struct InstallKeys {
    #[pyo3(get)]
    peer: u64,
    profile: Profile,
    local: MasterKey,
    remote: MasterKey,
}

#[pymethods]
impl InstallKeys {
    #[new]
    #[pyo3(signature = (*, peer, profile, local_key, local_salt, remote_key, remote_salt))]
    fn new(
        peer: u64,
        profile: &str,
        local_key: &[u8],
        local_salt: &[u8],
        remote_key: &[u8],
        remote_salt: &[u8],
    ) -> PyResult<Self> {
        let profile = convert::profile(profile)?;
        let local = convert::master_key(profile, local_key, local_salt)?;
        let remote = convert::master_key(profile, remote_key, remote_salt)?;
        Ok(InstallKeys {
            peer,
            profile,
            local,
            remote,
        })
    }

    #[getter]
    fn profile(&self) -> &'static str {
        convert::profile_name(self.profile)
    }

    fn __repr__(&self) -> String {
        format!(
            "InstallKeys(peer={}, profile='{}')",
            self.peer,
            self.profile()
        )
    }
}

impl InstallKeys {
    pub(super) fn command(&self) -> Command {
        Command::InstallKeys {
            peer: PeerId(self.peer),
            profile: self.profile,
            local: self.local.clone(),
            remote: self.remote.clone(),
        }
    }
}

#[pyclass(frozen, module = "sfu._relay")]
pub struct ClosePeer {
    #[pyo3(get)]
    peer: u64,
}

#[pymethods]
impl ClosePeer {
    #[new]
    #[pyo3(signature = (*, peer))]
    fn new(peer: u64) -> Self {
        ClosePeer { peer }
    }

    fn __repr__(&self) -> String {
        format!("ClosePeer(peer={})", self.peer)
    }
}

impl ClosePeer {
    pub(super) fn command(&self) -> Command {
        Command::ClosePeer {
            peer: PeerId(self.peer),
        }
    }
}

#[pyclass(frozen, module = "sfu._relay")]
pub struct SetNotAfter {
    #[pyo3(get)]
    peer: u64,
    not_after: Option<Time>,
}

#[pymethods]
impl SetNotAfter {
    #[new]
    #[pyo3(signature = (*, peer, seconds_from_now))]
    fn new(peer: u64, seconds_from_now: Option<f64>) -> PyResult<Self> {
        // A limit already past is one that ends now; infinity and NaN are mistakes.
        let span = |seconds: f64| {
            Duration::try_from_secs_f64(seconds.max(0.0))
                .ok()
                .filter(|_| seconds.is_finite())
                .ok_or(invalid("seconds_from_now must be finite"))
        };
        let not_after = match seconds_from_now {
            Some(seconds) => Some(clock::now() + span(seconds)?),
            None => None,
        };
        Ok(SetNotAfter { peer, not_after })
    }

    fn __repr__(&self) -> String {
        format!("SetNotAfter(peer={})", self.peer)
    }
}

impl SetNotAfter {
    pub(super) fn command(&self) -> Command {
        Command::SetNotAfter {
            peer: PeerId(self.peer),
            not_after: self.not_after,
        }
    }
}
