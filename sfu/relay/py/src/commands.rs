//! Command classes: frozen, checked when made, silent about secrets.

use std::time::Duration;

use conclave_relay_core::command::{
    Command, DowntrackRepair, DowntrackSpec, IceCredentials, PayloadFormat, TrackRepair, TrackSpec,
};
use conclave_relay_core::srtp::{MasterKey, Profile};
use conclave_relay_core::units::{DowntrackId, PeerId, Ssrc, Time, TrackId};
use conclave_relay_io::clock;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use crate::convert::{self, RawEncoding, invalid};

/// An Ethernet frame's worth and some: no DTLS record we send is longer.
const MAX_DATAGRAM: usize = 2048;
/// A flight, or a burst of data-channel messages.
const MAX_DATAGRAMS: usize = 1024;

macro_rules! commands {
    ($($class:ident),+) => {
        pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
            $(module.add_class::<$class>()?;)+
            Ok(())
        }

        /// The core's command for any of the classes.
        pub fn to_command(object: &Bound<'_, PyAny>) -> PyResult<Command> {
            $(if let Ok(command) = object.cast::<$class>() {
                return Ok(command.get().command());
            })+
            Err(PyTypeError::new_err("not a relay command"))
        }
    };
}

commands!(
    OpenPeer,
    SetRemoteIce,
    RestartIce,
    InstallKeys,
    ClosePeer,
    SetNotAfter,
    AddTrack,
    MuteTrack,
    RemoveTrack,
    AddDowntrack,
    SetDowntrack,
    SwitchDowntrack,
    RemoveDowntrack,
    SendDtls
);

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
    fn command(&self) -> Command {
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
    fn command(&self) -> Command {
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
    fn command(&self) -> Command {
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
        let fits = |key: &[u8], salt: &[u8]| {
            key.len() == profile.key_len() && salt.len() == profile.salt_len()
        };
        if !fits(local_key, local_salt) || !fits(remote_key, remote_salt) {
            return Err(invalid(
                "a key or salt has the wrong length for the profile",
            ));
        }
        let local = MasterKey::new(local_key, local_salt);
        let remote = MasterKey::new(remote_key, remote_salt);
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
    fn command(&self) -> Command {
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
    fn command(&self) -> Command {
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
    fn command(&self) -> Command {
        Command::SetNotAfter {
            peer: PeerId(self.peer),
            not_after: self.not_after,
        }
    }
}

#[pyclass(frozen, module = "sfu._relay")]
pub struct AddTrack {
    #[pyo3(get)]
    track: u64,
    spec: TrackSpec,
}

#[pymethods]
impl AddTrack {
    #[new]
    #[pyo3(signature = (*, track, peer, kind, mid, clock_rate, formats, extensions, encodings,
                        nack = false, repair_formats = Vec::new(), repair_streams = Vec::new()))]
    #[allow(clippy::too_many_arguments)] // keywords in Python
    fn new(
        track: u64,
        peer: u64,
        kind: &str,
        mid: String,
        clock_rate: u32,
        formats: Vec<(u8, String)>,
        extensions: Vec<(u8, String)>,
        encodings: Vec<Option<RawEncoding>>,
        nack: bool,
        repair_formats: Vec<(u8, u8)>,
        repair_streams: Vec<(u32, u32)>,
    ) -> PyResult<Self> {
        if !(8_000..=192_000).contains(&clock_rate) {
            return Err(invalid("clock_rate must be 8000 to 192000"));
        }
        let spec = TrackSpec {
            peer: PeerId(peer),
            kind: convert::kind(kind)?,
            mid: convert::mid(mid)?,
            clock_rate,
            formats: convert::formats(formats)?,
            extensions: convert::extensions(extensions)?,
            encodings: convert::encodings(encodings)?,
            repair: TrackRepair {
                nack,
                formats: convert::repair_formats(repair_formats)?,
                streams: convert::repair_streams(repair_streams)?,
            },
        };
        Ok(AddTrack { track, spec })
    }

    #[getter]
    fn peer(&self) -> u64 {
        self.spec.peer.0
    }

    fn __repr__(&self) -> String {
        format!("AddTrack(track={}, peer={})", self.track, self.spec.peer.0)
    }
}

impl AddTrack {
    fn command(&self) -> Command {
        Command::AddTrack {
            track: TrackId(self.track),
            spec: self.spec.clone(),
        }
    }
}

#[pyclass(frozen, module = "sfu._relay")]
pub struct MuteTrack {
    #[pyo3(get)]
    track: u64,
    #[pyo3(get)]
    muted: bool,
}

#[pymethods]
impl MuteTrack {
    #[new]
    #[pyo3(signature = (*, track, muted))]
    fn new(track: u64, muted: bool) -> Self {
        MuteTrack { track, muted }
    }

    fn __repr__(&self) -> String {
        let muted = if self.muted { "True" } else { "False" };
        format!("MuteTrack(track={}, muted={muted})", self.track)
    }
}

impl MuteTrack {
    fn command(&self) -> Command {
        Command::MuteTrack {
            track: TrackId(self.track),
            muted: self.muted,
        }
    }
}

#[pyclass(frozen, module = "sfu._relay")]
pub struct RemoveTrack {
    #[pyo3(get)]
    track: u64,
}

#[pymethods]
impl RemoveTrack {
    #[new]
    #[pyo3(signature = (*, track))]
    fn new(track: u64) -> Self {
        RemoveTrack { track }
    }

    fn __repr__(&self) -> String {
        format!("RemoveTrack(track={})", self.track)
    }
}

impl RemoveTrack {
    fn command(&self) -> Command {
        Command::RemoveTrack {
            track: TrackId(self.track),
        }
    }
}

#[pyclass(frozen, module = "sfu._relay")]
pub struct AddDowntrack {
    #[pyo3(get)]
    downtrack: u64,
    spec: DowntrackSpec,
}

#[pymethods]
impl AddDowntrack {
    #[new]
    #[pyo3(signature = (*, downtrack, peer, track, ssrc, formats, extensions, cname, nack,
        layer=None, paused=false, stands=false, repair_ssrc=None, repair_formats=Vec::new()))]
    #[allow(clippy::too_many_arguments)] // keywords in Python
    fn new(
        downtrack: u64,
        peer: u64,
        track: u64,
        ssrc: u32,
        formats: Vec<(u8, String)>,
        extensions: Vec<(u8, String)>,
        cname: String,
        nack: bool,
        layer: Option<u8>,
        paused: bool,
        stands: bool,
        repair_ssrc: Option<u32>,
        repair_formats: Vec<(u8, u8)>,
    ) -> PyResult<Self> {
        let formats_of_repair = convert::repair_formats(repair_formats)?;
        let spec = DowntrackSpec {
            peer: PeerId(peer),
            track: TrackId(track),
            ssrc: Ssrc(ssrc),
            formats: convert::formats(formats)?,
            extensions: convert::extensions(extensions)?,
            cname: convert::cname(cname)?,
            nack,
            wish: convert::wish(layer, paused),
            stands,
            repair: repair_ssrc.map(|ssrc| DowntrackRepair {
                ssrc: Ssrc(ssrc),
                formats: formats_of_repair,
            }),
        };
        Ok(AddDowntrack { downtrack, spec })
    }

    #[getter]
    fn peer(&self) -> u64 {
        self.spec.peer.0
    }

    #[getter]
    fn track(&self) -> u64 {
        self.spec.track.0
    }

    fn __repr__(&self) -> String {
        let DowntrackSpec { peer, track, .. } = &self.spec;
        format!(
            "AddDowntrack(downtrack={}, peer={}, track={})",
            self.downtrack, peer.0, track.0
        )
    }
}

impl AddDowntrack {
    fn command(&self) -> Command {
        Command::AddDowntrack {
            downtrack: DowntrackId(self.downtrack),
            spec: self.spec.clone(),
        }
    }
}

#[pyclass(frozen, module = "sfu._relay")]
pub struct SetDowntrack {
    #[pyo3(get)]
    downtrack: u64,
    #[pyo3(get)]
    layer: Option<u8>,
    #[pyo3(get)]
    paused: bool,
}

#[pymethods]
impl SetDowntrack {
    #[new]
    #[pyo3(signature = (*, downtrack, layer, paused))]
    fn new(downtrack: u64, layer: Option<u8>, paused: bool) -> Self {
        SetDowntrack {
            downtrack,
            layer,
            paused,
        }
    }

    fn __repr__(&self) -> String {
        format!("SetDowntrack(downtrack={})", self.downtrack)
    }
}

impl SetDowntrack {
    fn command(&self) -> Command {
        Command::SetDowntrack {
            downtrack: DowntrackId(self.downtrack),
            wish: convert::wish(self.layer, self.paused),
        }
    }
}

#[pyclass(frozen, module = "sfu._relay")]
pub struct SwitchDowntrack {
    #[pyo3(get)]
    downtrack: u64,
    #[pyo3(get)]
    track: Option<u64>,
    formats: Vec<PayloadFormat>,
}

#[pymethods]
impl SwitchDowntrack {
    #[new]
    #[pyo3(signature = (*, downtrack, track, formats))]
    fn new(downtrack: u64, track: Option<u64>, formats: Vec<(u8, String)>) -> PyResult<Self> {
        let formats = match track {
            Some(_) => convert::formats(formats)?,
            None => Vec::new(),
        };
        Ok(SwitchDowntrack {
            downtrack,
            track,
            formats,
        })
    }

    fn __repr__(&self) -> String {
        format!(
            "SwitchDowntrack(downtrack={}, track={:?})",
            self.downtrack, self.track
        )
    }
}

impl SwitchDowntrack {
    fn command(&self) -> Command {
        Command::SwitchDowntrack {
            downtrack: DowntrackId(self.downtrack),
            track: self.track.map(TrackId),
            formats: self.formats.clone(),
        }
    }
}

#[pyclass(frozen, module = "sfu._relay")]
pub struct RemoveDowntrack {
    #[pyo3(get)]
    downtrack: u64,
}

#[pymethods]
impl RemoveDowntrack {
    #[new]
    #[pyo3(signature = (*, downtrack))]
    fn new(downtrack: u64) -> Self {
        RemoveDowntrack { downtrack }
    }

    fn __repr__(&self) -> String {
        format!("RemoveDowntrack(downtrack={})", self.downtrack)
    }
}

impl RemoveDowntrack {
    fn command(&self) -> Command {
        Command::RemoveDowntrack {
            downtrack: DowntrackId(self.downtrack),
        }
    }
}

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
    fn command(&self) -> Command {
        Command::SendDtls {
            peer: PeerId(self.peer),
            datagrams: self.datagrams.clone(),
        }
    }
}
