//! Commands about a track's way to one subscriber.

use conclave_relay_core::command::{Command, DowntrackRepair, DowntrackSpec, PayloadFormat};
use conclave_relay_core::units::{DowntrackId, LayerId, PeerId, Ssrc, TrackId};
use pyo3::prelude::*;

use crate::convert;

#[pyclass(frozen, module = "sfu._relay")]
pub struct AddDowntrack {
    #[pyo3(get)]
    downtrack: u64,
    spec: DowntrackSpec,
    only: Option<u8>,
}

#[pymethods]
impl AddDowntrack {
    #[new]
    #[pyo3(signature = (*, downtrack, peer, track, ssrc, formats, extensions, cname, nack,
        layer=None, paused=false, frame_rate=None, priority=1, stands=false, repair_ssrc=None,
        repair_formats=Vec::new(), only=None))]
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
        frame_rate: Option<u8>,
        priority: u8,
        stands: bool,
        repair_ssrc: Option<u32>,
        repair_formats: Vec<(u8, u8)>,
        only: Option<u8>,
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
            wish: convert::wish(layer, paused, frame_rate, priority),
            stands,
            repair: repair_ssrc.map(|ssrc| DowntrackRepair {
                ssrc: Ssrc(ssrc),
                formats: formats_of_repair,
            }),
        };
        Ok(AddDowntrack {
            downtrack,
            spec,
            only,
        })
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
    pub(super) fn command(&self) -> Command {
        let (downtrack, spec) = (DowntrackId(self.downtrack), self.spec.clone());
        match self.only {
            Some(layer) => Command::PipeLayer {
                downtrack,
                spec,
                layer: LayerId(layer),
            },
            None => Command::AddDowntrack { downtrack, spec },
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
    #[pyo3(get)]
    frame_rate: Option<u8>,
    #[pyo3(get)]
    priority: u8,
}

#[pymethods]
impl SetDowntrack {
    #[new]
    #[pyo3(signature = (*, downtrack, layer, paused, frame_rate=None, priority=1))]
    fn new(
        downtrack: u64,
        layer: Option<u8>,
        paused: bool,
        frame_rate: Option<u8>,
        priority: u8,
    ) -> Self {
        SetDowntrack {
            downtrack,
            layer,
            paused,
            frame_rate,
            priority,
        }
    }

    fn __repr__(&self) -> String {
        format!("SetDowntrack(downtrack={})", self.downtrack)
    }
}

impl SetDowntrack {
    pub(super) fn command(&self) -> Command {
        Command::SetDowntrack {
            downtrack: DowntrackId(self.downtrack),
            wish: convert::wish(self.layer, self.paused, self.frame_rate, self.priority),
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
    pub(super) fn command(&self) -> Command {
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
    pub(super) fn command(&self) -> Command {
        Command::RemoveDowntrack {
            downtrack: DowntrackId(self.downtrack),
        }
    }
}
