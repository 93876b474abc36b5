//! Builds the web admin, and skips what is still true.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::process::Command;

use anyhow::{Result, bail};

use crate::shell::{command, has, output, root, run, target};

/// An npm command in `web-admin/`.
pub(crate) fn npm(arguments: &[&str]) -> Command {
    let mut npm = command("npm", arguments);
    npm.current_dir(root().join("web-admin"));
    npm
}

/// Makes `web-admin/dist` if its sources have changed since it was made last.
pub(crate) fn build_if_stale() -> Result<()> {
    if !root().join("web-admin/package.json").is_file() {
        return Ok(());
    }
    let stamp = target().join("web-admin.stamp");
    let now = fingerprint()?;
    if root().join("web-admin/dist/index.html").is_file() && fs::read_to_string(&stamp).is_ok_and(|then| then == now) {
        return Ok(());
    }
    if !has("npm") {
        println!("no Node here: the gateway is built without the web admin, and its page says so");
        return Ok(());
    }
    install_if_stale()?;
    run(npm(&["run", "build"]))?;
    fs::create_dir_all(target())?;
    fs::write(stamp, now)?;
    Ok(())
}

/// `npm ci`, unless the installed packages are those of the lock file.
pub(crate) fn install_if_stale() -> Result<()> {
    let lock = fs::read_to_string(root().join("web-admin/package-lock.json"))?;
    let stamp = root().join("web-admin/node_modules/.installed");
    if fs::read_to_string(&stamp).is_ok_and(|then| then == lock) {
        println!("npm packages are those of package-lock.json");
        return Ok(());
    }
    run(npm(&["ci", "--no-audit", "--no-fund"]))?;
    fs::write(stamp, lock)?;
    Ok(())
}

/// Says which contents the sources have.
fn fingerprint() -> Result<String> {
    let list = ["ls-files", "--cached", "--others", "--exclude-standard", "web-admin", "control-plane/openapi.json"];
    let files = output(command("git", &list))?;
    if files.is_empty() {
        bail!("git knows no file of web-admin");
    }
    let mut hasher = DefaultHasher::new();
    for file in files.lines().filter(|file| !file.starts_with("web-admin/dist/")) {
        file.hash(&mut hasher);
        // A file that is listed but deleted is a difference too.
        fs::read(root().join(file)).ok().hash(&mut hasher);
    }
    Ok(format!("{:016x}\n", hasher.finish()))
}
