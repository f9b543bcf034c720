//! The `Relay` class: a worker behind a lock that is held for a moment only.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use conclave_relay_core::Limits;
use conclave_relay_io::{Refused, Worker};
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::convert::{self, invalid};
use crate::{commands, events};

pyo3::create_exception!(sfu._relay, RelayClosed, PyException);
pyo3::create_exception!(sfu._relay, QueueFull, PyException);

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Relay>()?;
    module.add("RelayClosed", module.py().get_type::<RelayClosed>())?;
    module.add("QueueFull", module.py().get_type::<QueueFull>())
}

#[pyclass(frozen, module = "sfu._relay")]
pub struct Relay {
    worker: Mutex<Worker>,
    addresses: Vec<(String, u16)>,
    event_fd: i32,
}

#[pymethods]
impl Relay {
    #[new]
    #[pyo3(signature = (*, binds, max_peers = 4096, coalesce_us = 1000))]
    fn new(
        py: Python<'_>,
        binds: Vec<(String, u16)>,
        max_peers: usize,
        coalesce_us: u64,
    ) -> PyResult<Self> {
        let address = |(ip, port): &(String, u16)| Ok(SocketAddr::new(convert::ip(ip)?, *port));
        let binds = binds.iter().map(address).collect::<PyResult<Vec<_>>>()?;
        let distinct: HashSet<_> = binds.iter().map(SocketAddr::ip).collect();
        if binds.is_empty() || distinct.len() != binds.len() {
            return Err(invalid(
                "binds must name at least one address, and none twice",
            ));
        }
        let limits = Limits {
            peers: max_peers,
            ..Limits::default()
        };
        let wait = Duration::from_micros(coalesce_us);
        let worker = py.detach(|| Worker::start(&binds, limits, wait))?;
        let name = |address: &SocketAddr| (address.ip().to_string(), address.port());
        let addresses = worker.addresses().iter().map(name).collect();
        let event_fd = worker.event_fd();
        Ok(Relay {
            worker: Mutex::new(worker),
            addresses,
            event_fd,
        })
    }

    #[getter]
    fn addresses(&self) -> Vec<(String, u16)> {
        self.addresses.clone()
    }

    #[getter]
    fn event_fd(&self) -> i32 {
        self.event_fd
    }

    fn apply(&self, py: Python<'_>, commands: Vec<Bound<'_, PyAny>>) -> PyResult<u64> {
        let commands = commands
            .iter()
            .map(commands::to_command)
            .collect::<PyResult<Vec<_>>>()?;
        let applied = py.detach(|| self.worker().apply(commands));
        applied.map_err(|refused| match refused {
            Refused::Closed => RelayClosed::new_err("the relay is closed"),
            Refused::Full => QueueFull::new_err("too many commands wait"),
        })
    }

    fn poll_events(&self, py: Python<'_>) -> PyResult<Vec<Py<PyAny>>> {
        let notices = py.detach(|| self.worker().notices());
        notices
            .into_iter()
            .map(|notice| events::to_object(py, notice))
            .collect()
    }

    fn counters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counters = PyDict::new(py);
        for (name, value) in self.worker().counters() {
            counters.set_item(name, value)?;
        }
        Ok(counters)
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.worker().stop());
    }

    fn __repr__(&self) -> &'static str {
        "Relay()"
    }
}

impl Relay {
    fn worker(&self) -> MutexGuard<'_, Worker> {
        self.worker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
