//! Flags, environment, file and defaults, made one.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ArgMatches;
use clap::parser::ValueSource;
use tidegate_data_plane::node::Network;
use tidegate_data_plane::node::access_log::LogTarget;
use tidegate_model::{ByteSize, Name, Span};

use super::form;
use super::table::{ADMIN_TLS_CERT, ADMIN_TLS_KEY, DATA_DIR, DRAIN_TIMEOUT, DRAIN_TIMEOUT_MAX, NOT_YET};
use super::{Fallback, Form, Setting, Verb, file, variable};

/// What a server was told, checked; each with who said so.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(super) verb: Verb,
    pub(super) all: Vec<Told>,
}

/// One setting, and who said so.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) setting: &'static Setting,
    /// Empty if it is unset.
    pub(super) values: Vec<String>,
    pub(super) source: Source,
}

/// Who said something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// The command line.
    Flag,
    /// The environment.
    Environment,
    /// The file of `--config`.
    File(PathBuf),
    /// Nobody.
    Default,
}

pub(super) fn settle(verb: Verb, matches: &ArgMatches) -> Result<Settings, Vec<String>> {
    let mut problems = Vec::new();
    for (name, why) in NOT_YET {
        match said(matches, name) {
            Some((_, Source::Flag)) => problems.push(format!("--{name}: {why}")),
            Some(_) => problems.push(format!("{}: {why}", variable(name))),
            None => {}
        }
    }
    let path = said(matches, "config").map(|(values, _)| PathBuf::from(values.concat()));
    let mut from_file = match &path {
        Some(path) => file::read(verb, path, &mut problems),
        None => Vec::new(),
    };
    let mut all: Vec<Told> = Vec::new();
    for setting in verb.settings() {
        let in_file = from_file.iter().position(|(of, _)| of.name == setting.name).map(|i| from_file.swap_remove(i).1);
        let (values, source) = match (said(matches, setting.name), in_file, &path) {
            (Some(said), _, _) => said,
            (None, Some(values), Some(path)) => (values, Source::File(path.clone())),
            _ => (Vec::new(), Source::Default),
        };
        let told = Told { setting, values, source };
        told.check(&mut problems);
        all.push(told);
    }
    let mut settings = Settings { verb, all };
    settings.check_together(&mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    settings.fill_in();
    Ok(settings)
}

/// What the command line or the environment says. An empty variable says nothing: that is how compose files leave one out.
fn said(matches: &ArgMatches, name: &str) -> Option<(Vec<String>, Source)> {
    let values: Vec<String> = matches.get_many::<String>(name)?.cloned().collect();
    match matches.value_source(name)? {
        ValueSource::CommandLine => Some((values, Source::Flag)),
        _ if values.iter().all(String::is_empty) => None,
        _ => Some((values, Source::Environment)),
    }
}

/// Variables of the environment that this server does not hear, though it seems that they were meant for it.
pub(super) fn unheard(verb: Verb, variables: impl Iterator<Item = String>) -> Vec<String> {
    let mut told = Vec::new();
    for variable in variables {
        let Some(rest) = variable.strip_prefix("TIDEGATE_") else { continue };
        let name = rest.replace('_', "-").to_lowercase();
        if verb.setting(&name).is_some() {
            continue;
        }
        if file::known_names().any(|known| known == name) {
            if name != "config" {
                told.push(format!("{variable} is set, but `{}` has no such setting", verb.name()));
            }
        } else if let Some(near) = file::nearest(&name, verb.settings().map(|setting| setting.name)) {
            told.push(format!("{variable} is no setting; did you mean {}?", super::variable(near)));
        }
    }
    told.sort();
    told
}

impl Told {
    /// Where the values come from and what they are, for a message.
    fn origin(&self) -> String {
        let values: Vec<_> = self.values.iter().map(|value| self.setting.form.shown(value)).collect();
        let values = values.join(",");
        match &self.source {
            Source::Flag => format!("--{} {values}", self.setting.name),
            Source::Environment => format!("{}={values}", self.setting.variable()),
            Source::File(path) => format!("{}: `{}: {values}`", path.display(), self.setting.name),
            Source::Default => format!("--{} {values} (the default)", self.setting.name),
        }
    }

    fn check(&self, problems: &mut Vec<String>) {
        if self.values.is_empty() && self.setting.fallback == Fallback::Required {
            let Setting { name, .. } = self.setting;
            let variable = self.setting.variable();
            problems.push(format!("--{name} is missing; give it, or {variable}, or `{name}` in the file of --config"));
        }
        for value in &self.values {
            if let Err(why) = self.setting.form.check(value) {
                problems.push(format!("{}: {why}", self.origin()));
            }
        }
    }
}

impl Settings {
    /// Which server this is for.
    pub(crate) fn verb(&self) -> Verb {
        self.verb
    }

    /// The one value of a setting, if it is set.
    pub(crate) fn text(&self, setting: &Setting) -> Option<&str> {
        self.told(setting).values.first().map(String::as_str)
    }

    /// The value of a setting that is always set.
    fn always(&self, setting: &Setting) -> &str {
        self.text(setting).expect("it has a default, or was found missing")
    }

    /// A file or folder that is always set.
    pub(crate) fn path(&self, setting: &Setting) -> PathBuf {
        self.always(setting).into()
    }

    /// A file that may be unset.
    pub(crate) fn path_if_set(&self, setting: &Setting) -> Option<PathBuf> {
        self.text(setting).map(PathBuf::from)
    }

    /// A text that is always set.
    pub(crate) fn string(&self, setting: &Setting) -> String {
        self.always(setting).to_owned()
    }

    /// An address to listen at.
    pub(crate) fn address(&self, setting: &Setting) -> SocketAddr {
        form::address(self.always(setting)).expect("it was checked")
    }

    /// A number.
    pub(crate) fn count(&self, setting: &Setting) -> usize {
        self.always(setting).parse().expect("it was checked")
    }

    /// A number of bytes, if it is set.
    pub(crate) fn size_if_set(&self, setting: &Setting) -> Option<usize> {
        let size = self.text(setting)?.parse::<ByteSize>().expect("it was checked");
        Some(usize::try_from(size.bytes()).unwrap_or(usize::MAX))
    }

    /// Whether it is on.
    pub(crate) fn is_on(&self, setting: &Setting) -> bool {
        self.text(setting) == Some("true")
    }

    /// A length of time.
    pub(crate) fn duration(&self, setting: &Setting) -> Duration {
        self.always(setting).parse::<Span>().expect("it was checked").duration()
    }

    /// Where lines go; nothing if nowhere.
    pub(crate) fn log_target(&self, setting: &Setting) -> Option<LogTarget> {
        form::log_target(self.always(setting)).expect("it was checked")
    }

    /// A part of a whole.
    pub(crate) fn share(&self, setting: &Setting) -> f64 {
        form::share(self.always(setting)).expect("it was checked")
    }

    /// Some of a few words.
    pub(crate) fn words(&self, setting: &Setting) -> &[String] {
        &self.told(setting).values
    }

    /// Where control planes stream.
    pub(crate) fn endpoints(&self, setting: &Setting) -> Vec<String> {
        self.told(setting).values.iter().map(|text| form::endpoint(text).expect("it was checked")).collect()
    }

    /// Pairs; of two with one key the later holds.
    pub(crate) fn labels(&self, setting: &Setting) -> BTreeMap<String, String> {
        let pairs = self.told(setting).values.iter().map(|text| form::label(text).expect("it was checked"));
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    /// Networks.
    pub(crate) fn networks(&self, setting: &Setting) -> Vec<Network> {
        self.told(setting).values.iter().map(|text| form::network(text).expect("it was checked")).collect()
    }

    /// What was said for a setting and by whom, for a message: `--proxy-listen 0.0.0.0:8000`.
    pub(crate) fn origin(&self, setting: &Setting) -> String {
        self.told(setting).origin()
    }

    /// The settings of this server that are addresses to listen at.
    pub(crate) fn listeners(&self) -> impl Iterator<Item = (&'static Setting, SocketAddr)> {
        let listeners = self.all.iter().filter(|told| told.setting.form == Form::Address);
        listeners.map(|told| (told.setting, self.address(told.setting)))
    }

    fn told(&self, setting: &Setting) -> &Told {
        let all = self.all.iter();
        all.into_iter()
            .find(|told| std::ptr::eq(told.setting, setting))
            .expect("a server asks for its own settings only")
    }

    /// What is wrong only because of something else.
    fn check_together(&self, problems: &mut Vec<String>) {
        if self.verb.setting(ADMIN_TLS_CERT.name).is_some() {
            match (self.text(&ADMIN_TLS_CERT), self.text(&ADMIN_TLS_KEY)) {
                (Some(_), None) => {
                    problems.push(format!("{}: --admin-tls-key is missing", self.origin(&ADMIN_TLS_CERT)))
                }
                (None, Some(_)) => {
                    problems.push(format!("{}: --admin-tls-cert is missing", self.origin(&ADMIN_TLS_KEY)))
                }
                _ => {}
            }
        }
        if self.verb.setting(DRAIN_TIMEOUT.name).is_some()
            && let Some(Ok(told)) = self.text(&DRAIN_TIMEOUT).map(str::parse::<Span>)
            && told.duration() > DRAIN_TIMEOUT_MAX
        {
            let max = DRAIN_TIMEOUT_MAX.as_secs();
            problems
                .push(format!("{}: it is more than {max}s, within which a server stops", self.origin(&DRAIN_TIMEOUT)));
        }
        let mut taken: Vec<(&Told, SocketAddr)> = Vec::new();
        for told in self.all.iter().filter(|told| told.setting.form == Form::Address) {
            let text = told.values.first().map(String::as_str).or(told.setting.fixed()).unwrap_or_default();
            let Ok(address) = form::address(text) else { continue };
            match taken.iter().find(|(_, other)| overlap(address, *other)) {
                Some((first, _)) => {
                    problems
                        .push(format!("--{} and --{} both listen at {address}", first.setting.name, told.setting.name));
                }
                None => taken.push((told, address)),
            }
        }
    }

    /// Puts the defaults where nobody said anything.
    fn fill_in(&mut self) {
        for told in &mut self.all {
            if told.values.is_empty() {
                told.values = match told.setting.fallback {
                    Fallback::Fixed(text) => vec![text.to_owned()],
                    Fallback::Cpus => vec![cpus().to_string()],
                    Fallback::Hostname => vec![hostname()],
                    Fallback::Beside(_) | Fallback::Unset(_) | Fallback::Required => Vec::new(),
                };
            }
        }
        let data_dir = self.path(&DATA_DIR);
        for told in &mut self.all {
            if let (true, Fallback::Beside(name)) = (told.values.is_empty(), told.setting.fallback) {
                told.values = vec![data_dir.join(name).display().to_string()];
            }
        }
    }
}

impl Setting {
    fn fixed(&self) -> Option<&'static str> {
        match self.fallback {
            Fallback::Fixed(text) => Some(text),
            _ => None,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Flag => f.write_str("flag"),
            Source::Environment => f.write_str("environment"),
            Source::File(path) => write!(f, "file {}", path.display()),
            Source::Default => f.write_str("default"),
        }
    }
}

/// Whether two listeners would want the same port. Port 0 is any free one.
fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    a.port() != 0 && a.port() == b.port() && (a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified())
}

fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What the machine is called, as far as a name may read so.
fn hostname() -> String {
    let found =
        ["/proc/sys/kernel/hostname", "/etc/hostname"].iter().find_map(|f| std::fs::read_to_string(Path::new(f)).ok());
    let short = found.as_deref().map(str::trim).unwrap_or_default();
    if short.parse::<Name>().is_ok() { short.to_owned() } else { "node".to_owned() }
}

/// Several problems as one message.
pub(crate) fn one_message(problems: &[String]) -> String {
    match problems {
        [one] => one.clone(),
        all => format!("{} settings are wrong\n  {}", all.len(), all.join("\n  ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_that_will_not_be_heard_are_told() {
        let of = |verb, name: &str| unheard(verb, [name.to_owned()].into_iter());
        assert!(of(Verb::Standalone, "TIDEGATE_WORKERS").is_empty());
        assert!(of(Verb::Standalone, "TIDEGATE_CONFIG").is_empty());
        assert!(of(Verb::Standalone, "TIDEGATE_PORT_8000_TCP_ADDR").is_empty(), "Kubernetes sets such");
        assert!(of(Verb::Standalone, "WORKRS").is_empty());
        assert!(of(Verb::Standalone, "TIDEGATE_WORKRS")[0].contains("did you mean TIDEGATE_WORKERS"));
        assert!(of(Verb::Standalone, "TIDEGATE_REDIS_URL")[0].contains("`standalone` has no such setting"));
    }

    #[test]
    fn listeners_that_would_meet_are_found() {
        let at = |text: &str| text.parse().unwrap();
        assert!(overlap(at("0.0.0.0:80"), at("127.0.0.1:80")));
        assert!(overlap(at("127.0.0.1:80"), at("127.0.0.1:80")));
        assert!(!overlap(at("127.0.0.1:0"), at("127.0.0.1:0")));
        assert!(!overlap(at("127.0.0.1:80"), at("127.0.0.2:80")));
    }

    #[test]
    fn problems_are_told_all_at_once() {
        assert_eq!(one_message(&["a".into()]), "a");
        assert_eq!(one_message(&["a".into(), "b".into()]), "2 settings are wrong\n  a\n  b");
    }
}
