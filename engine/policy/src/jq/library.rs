//! The definitions of jq's library that programs may call, rewritten to pay as programs do.

use std::sync::OnceLock;

use jaq_core::load::{self, parse::Def};

use super::meter;

/// Definitions that are not offered, or that are natives of ours.
const LEFT_OUT: [&str; 10] =
    ["stderr", "debug", "halt", "halt_error", "repeat", "while", "until", "combinations", "join", "getpath"];

/// Ours: a path is as long as what it leads through, and each of its parts is a level of the interpreter's stack.
const OWN: &str = r#"
def getpath($path):
  if ($path | length) > 64 then ("a path has at most 64 parts" | error_empty)
  else reduce $path[] as $p (.; .[$p]) end;
"#;

/// All that programs may call.
pub(super) fn definitions<'s>() -> impl Iterator<Item = Def<&'s str>> {
    static DEFINITIONS: OnceLock<Vec<Def<&'static str>>> = OnceLock::new();
    let definitions = DEFINITIONS.get_or_init(|| {
        let library = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
        let offered = library.filter(|def| !LEFT_OUT.contains(&def.name));
        let own = load::parse(OWN, |parser| parser.defs()).unwrap_or_default();
        own.into_iter().chain(offered).map(meter::definition).collect()
    });
    definitions.iter().cloned()
}
