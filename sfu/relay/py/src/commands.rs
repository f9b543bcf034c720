//! Command classes: frozen, checked when made, silent about secrets.

mod datagrams;
mod downtracks;
mod peers;
mod pipes;
mod tracks;

use conclave_relay_core::command::Command;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use datagrams::SendDtls;
use downtracks::{AddDowntrack, RemoveDowntrack, SetDowntrack, SwitchDowntrack};
use peers::{ClosePeer, InstallKeys, OpenPeer, RestartIce, SetNotAfter, SetRemoteIce};
use pipes::OpenPipe;
use tracks::{AddTrack, MuteTrack, RemoveTrack};

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
    OpenPipe,
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
