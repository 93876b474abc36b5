//! File descriptors: a gateway needs two for each request it carries, and shells give 1024.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::{debug, warn};

/// Below this many, a busy gateway would run out.
const FEW: u64 = 16_384;

/// Takes all descriptors that the system lets this process have.
pub(super) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let now = match setrlimit(Resource::Nofile, wanted) {
        Ok(()) => limit.maximum,
        Err(error) => {
            debug!("the limit of open files stays as it is: {error}");
            limit.current
        }
    };
    match now {
        Some(files) if files < FEW => {
            warn!(
                files,
                "this process may open only {files} files; {FEW} or more are advised (`ulimit -n`, LimitNOFILE)"
            );
        }
        Some(files) => debug!(files, "this process may open {files} files"),
        None => debug!("this process may open any number of files"),
    }
}
