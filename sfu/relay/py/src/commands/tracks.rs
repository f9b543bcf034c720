//! Commands about a published track.

use conclave_relay_core::command::{Command, TrackRepair, TrackSpec};
use conclave_relay_core::units::{PeerId, TrackId};
use pyo3::prelude::*;

use crate::convert::{self, RawEncoding, invalid};

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
    pub(super) fn command(&self) -> Command {
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
    pub(super) fn command(&self) -> Command {
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
    pub(super) fn command(&self) -> Command {
        Command::RemoveTrack {
            track: TrackId(self.track),
        }
    }
}
