//! Runs a server: what surrounds the planes, the same for each of them.

mod data_dir;
mod descriptors;
mod logging;
mod parts;
mod ports;
mod screen;
mod sockets;
mod verbs;

use anyhow::Context as _;

use crate::settings::{DATA_DIR, Settings, Verb};

/// Runs until told to stop, or until a part of it fails.
pub(crate) fn serve(settings: &Settings) -> anyhow::Result<()> {
    let logging = logging::start(settings)?;
    descriptors::raise();
    let data_dir = settings.path(&DATA_DIR);
    let inherited = sockets::inherit(settings)?;
    // held to the end: a second process on the same folder is told so
    let lock = if inherited.has_former() { data_dir::take_over(&data_dir) } else { data_dir::take(&data_dir) };
    let _lock = lock.with_context(|| settings.origin(&DATA_DIR))?;
    ports::check(settings, &inherited)?;
    match settings.verb() {
        Verb::Standalone => verbs::standalone(settings, logging, inherited),
        Verb::ControlPlane => verbs::control_plane(settings, logging),
        Verb::DataPlane => verbs::data_plane(settings, logging, inherited),
    }
}
