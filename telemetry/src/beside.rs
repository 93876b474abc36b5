//! How one part of a process has its metrics told by the status listener of another: in a standalone process there is one
//! listener for both planes, and neither knows the other.

use std::sync::{Arc, OnceLock};

use futures_util::future::BoxFuture;

type Source = Box<dyn Fn() -> BoxFuture<'static, String> + Send + Sync>;

/// Where one part puts its metrics and another finds them. Clones are the same place.
#[derive(Clone, Default)]
pub struct Beside(Arc<OnceLock<Source>>);

impl Beside {
    /// From now on these are told: families in the text format, none of which the teller has.
    pub fn put(&self, source: impl Fn() -> BoxFuture<'static, String> + Send + Sync + 'static) {
        // a part starts once
        let _ = self.0.set(Box::new(source));
    }

    /// What was put here says now.
    pub async fn text(&self) -> String {
        match self.0.get() {
            Some(source) => source().await,
            None => String::new(),
        }
    }
}

impl std::fmt::Debug for Beside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Beside")
    }
}
