//! The functions of expressions.

use std::sync::{Arc, OnceLock};

use cel::extractors::This;
use cel::{Context, Env};
use regex::Regex;

/// What an expression is evaluated in: the operators and functions, `matches` with the patterns that were built for it.
pub(super) fn root(patterns: Vec<(Box<str>, Regex)>) -> Context<'static, 'static> {
    static ENV: OnceLock<Arc<Env>> = OnceLock::new();
    let env = ENV.get_or_init(|| Arc::new(Env::stdlib().with_optional_support(false)));
    let mut root = Context::with_env(env.clone());
    let added = root.add_function("lowerAscii", |This(text): This<Arc<String>>| text.to_ascii_lowercase());
    debug_assert!(added.is_ok());
    if !patterns.is_empty() {
        let matches = move |This(text): This<Arc<String>>, pattern: Arc<String>| {
            patterns.iter().any(|(known, built)| **known == **pattern && built.is_match(&text))
        };
        let added = root.add_function("matches", matches);
        debug_assert!(added.is_ok());
    }
    root
}
