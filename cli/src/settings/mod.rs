//! What a server can be told, and by whom it was: flags, then the environment, then the file, then the defaults.
//!
//! `table` is the one list: flags and their help, names in the environment and in the file, checks and `--print-config` all
//! come from it.

mod file;
mod form;
mod print;
mod settle;
mod table;

use clap::{Arg, ArgAction, ArgMatches, Command};

pub(crate) use form::Form;
pub(crate) use settle::{Settings, one_message};
pub(crate) use table::*;

/// What a process can be started as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    /// All in one process.
    Standalone,
    /// Keeps the configuration.
    ControlPlane,
    /// Carries traffic.
    DataPlane,
}

impl Verb {
    pub(crate) const ALL: [Verb; 3] = [Verb::Standalone, Verb::ControlPlane, Verb::DataPlane];

    /// As on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Verb::Standalone => "standalone",
            Verb::ControlPlane => "control-plane",
            Verb::DataPlane => "data-plane",
        }
    }

    /// What this server can be told.
    pub(crate) fn settings(self) -> impl Iterator<Item = &'static Setting> {
        table::SETTINGS.iter().copied().filter(move |setting| setting.verbs.contains(&self))
    }

    fn setting(self, name: &str) -> Option<&'static Setting> {
        self.settings().find(|setting| setting.name == name)
    }
}

/// One thing that a server can be told.
#[derive(Debug)]
pub(crate) struct Setting {
    /// The flag without its dashes; the key in the file.
    pub(crate) name: &'static str,
    /// What help calls the value.
    value: &'static str,
    verbs: &'static [Verb],
    group: Group,
    form: Form,
    fallback: Fallback,
    help: &'static str,
}

/// Under which heading help shows a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    Listeners,
    Data,
    Cluster,
    Process,
}

/// What holds when nobody said anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fallback {
    /// This.
    Fixed(&'static str),
    /// A file of this name in the data directory.
    Beside(&'static str),
    /// As many as there are CPUs for this process.
    Cpus,
    /// What the machine is called.
    Hostname,
    /// Nothing, which means this.
    Unset(&'static str),
    /// There is no sense in starting.
    Required,
}

impl Setting {
    /// The name in the environment.
    pub(crate) fn variable(&self) -> String {
        variable(self.name)
    }

    fn arg(&self) -> Arg {
        let default = match self.fallback {
            Fallback::Fixed(text) | Fallback::Unset(text) => format!("[default: {text}]"),
            Fallback::Beside(name) => format!("[default: <data-dir>/{name}]"),
            Fallback::Cpus => "[default: the CPUs there are]".to_owned(),
            Fallback::Hostname => "[default: the machine's]".to_owned(),
            Fallback::Required => "[required]".to_owned(),
        };
        let arg = Arg::new(self.name)
            .long(self.name)
            .value_name(self.value)
            .env(self.variable())
            .hide_env_values(true)
            .help_heading(self.group.heading())
            .help(format!("{}\n{default}", self.help));
        if self.form == Form::Switch {
            return arg.num_args(0..=1).require_equals(true).default_missing_value("true");
        }
        if self.form.many() { arg.action(ArgAction::Append).value_delimiter(',') } else { arg }
    }
}

impl Group {
    const fn heading(self) -> &'static str {
        match self {
            Group::Listeners => "Listeners",
            Group::Data => "Data and secrets",
            Group::Cluster => "Cluster",
            Group::Process => "Process",
        }
    }
}

/// The name of a setting in the environment.
fn variable(name: &str) -> String {
    format!("TIDEGATE_{}", name.replace('-', "_").to_uppercase())
}

/// Adds the flags of a server to its verb.
pub(crate) fn augment(verb: Verb, command: Command) -> Command {
    let config = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .env(variable("config"))
        .hide_env_values(true)
        .help_heading(Group::Process.heading())
        .help("Settings as YAML, each under its flag's name: `workers: 4`. Flags and environment come before it\n[default: none]");
    let print = Arg::new("print-config")
        .long("print-config")
        .action(ArgAction::SetTrue)
        .help_heading(Group::Process.heading())
        .help("Print what would hold, and who said so, then end; passwords are masked");
    // known, so that they are refused with their reason
    let not_yet = table::NOT_YET.iter().map(|(name, _)| Arg::new(*name).long(*name).env(variable(name)).hide(true));
    command.args(verb.settings().map(Setting::arg)).arg(config).arg(print).args(not_yet)
}

/// Puts together what a server was told, from all sides.
pub(crate) fn settle(verb: Verb, matches: &ArgMatches) -> Result<Settings, Vec<String>> {
    settle::settle(verb, matches)
}

/// Variables that look like a setting and are none, or none of this server's: what was meant will not happen.
pub(crate) fn unheard_variables(verb: Verb) -> Vec<String> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    settle::unheard(verb, names)
}
