//! Event classes: frozen, made here only.

use conclave_relay_core::Event;
use conclave_relay_io::Notice;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

macro_rules! events {
    ($($class:ident { $($field:ident: $type:ty),+ })+) => {
        $(
            #[pyclass(frozen, get_all, module = "sfu._relay")]
            pub struct $class {
                $($field: $type,)+
            }
        )+

        pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
            $(module.add_class::<$class>()?;)+
            Ok(())
        }
    };
}

events! {
    Done { ticket: u64, error: Option<&'static str>, failed_at: Option<usize> }
    Dtls { peer: u64, datagram: Py<PyBytes> }
    MediaStarted { peer: u64 }
    ConsentLost { peer: u64 }
    Expired { peer: u64 }
    Levels { changes: Vec<(u64, f32)> }
    TrackStarted { track: u64 }
    Withheld { peer: u64, downtrack: u64, withheld: bool }
    Health {
        peer: u64,
        loss_up: Option<u8>,
        loss_down: Option<u8>,
        round_trip: Option<f64>,
        withheld: bool,
        silent: bool
    }
    WorkerDied { reason: String }
}

/// The Python object for what the worker told.
pub fn to_object(py: Python<'_>, notice: Notice) -> PyResult<Py<PyAny>> {
    Ok(match notice {
        Notice::Done { ticket, refused } => {
            let error = refused.map(|(_, error)| error.code());
            Py::new(
                py,
                Done {
                    ticket,
                    error,
                    failed_at: refused.map(|(at, _)| at),
                },
            )?
            .into_any()
        }
        Notice::Died { reason } => Py::new(py, WorkerDied { reason })?.into_any(),
        Notice::Event(event) => match event {
            Event::Dtls { peer, datagram } => {
                let datagram = PyBytes::new(py, &datagram).unbind();
                Py::new(
                    py,
                    Dtls {
                        peer: peer.0,
                        datagram,
                    },
                )?
                .into_any()
            }
            Event::MediaStarted { peer } => Py::new(py, MediaStarted { peer: peer.0 })?.into_any(),
            Event::ConsentLost { peer } => Py::new(py, ConsentLost { peer: peer.0 })?.into_any(),
            Event::Expired { peer } => Py::new(py, Expired { peer: peer.0 })?.into_any(),
            Event::Levels { changes } => {
                let changes = changes
                    .into_iter()
                    .map(|(track, level)| (track.0, level))
                    .collect();
                Py::new(py, Levels { changes })?.into_any()
            }
            Event::TrackStarted { track } => {
                Py::new(py, TrackStarted { track: track.0 })?.into_any()
            }
            Event::Health { peer, condition } => Py::new(
                py,
                Health {
                    peer: peer.0,
                    loss_up: condition.loss_up,
                    loss_down: condition.loss_down,
                    round_trip: condition.round_trip.map(|span| span.as_secs_f64()),
                    withheld: condition.withheld,
                    silent: condition.silent,
                },
            )?
            .into_any(),
            Event::Withheld {
                peer,
                downtrack,
                withheld,
            } => Py::new(
                py,
                Withheld {
                    peer: peer.0,
                    downtrack: downtrack.0,
                    withheld,
                },
            )?
            .into_any(),
        },
    })
}
