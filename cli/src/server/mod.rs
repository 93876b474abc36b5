//! Runs a server: what surrounds the planes, the same for each of them.

mod data_dir;
mod descriptors;
mod logging;
mod parts;
mod ports;
mod screen;
mod verbs;

use anyhow::Context as _;

use crate::settings::{DATA_DIR, Settings, Verb};

/// Runs until told to stop, or until a part of it fails.
pub(crate) fn serve(settings: &Settings) -> anyhow::Result<()> {
    let logging = logging::start(settings)?;
    descriptors::raise();
    let data_dir = settings.path(&DATA_DIR);
    // held to the end: a second process on the same folder is told so
    let _lock = data_dir::take(&data_dir).with_context(|| settings.origin(&DATA_DIR))?;
    ports::check(settings)?;
    match settings.verb() {
        Verb::Standalone => verbs::standalone(settings, logging),
        Verb::ControlPlane => verbs::control_plane(settings, logging),
        Verb::DataPlane => verbs::data_plane(settings, logging),
    }
}
