//! The command line: its verbs, its help, and what was chosen.

use clap::builder::Styles;
use clap::builder::styling::AnsiColor;
use clap::{ArgMatches, Command, FromArgMatches, Subcommand};

use crate::client;
use crate::settings::{self, Settings, Verb};

/// What the command line asks for.
pub(crate) enum Chosen {
    /// Run a server.
    Serve(Settings),
    /// Say something and end.
    Print(String),
    /// Ask a control plane.
    Ask(Box<client::Verb>),
}

/// Reads the command line. Ends the process for `--help` and for what clap itself refuses.
pub(crate) fn read() -> Result<Chosen, String> {
    let matches = command().get_matches();
    let (name, of_verb) = matches.subcommand().expect("a verb is required");
    if let Some(verb) = Verb::ALL.into_iter().find(|verb| verb.name() == name) {
        return server(verb, of_verb);
    }
    match name {
        "version" => Ok(Chosen::Print(version())),
        "openapi" => Ok(Chosen::Print(tidegate_control_plane::app::openapi())),
        _ => client::Verb::from_arg_matches(&matches)
            .map(|verb| Chosen::Ask(Box::new(verb)))
            .map_err(|error| error.to_string()),
    }
}

fn server(verb: Verb, matches: &ArgMatches) -> Result<Chosen, String> {
    for unheard in settings::unheard_variables(verb) {
        eprintln!("warning: {unheard}");
    }
    let settings = settings::settle(verb, matches).map_err(|problems| {
        format!("{}\n\nFor all settings, try `tidegate {} --help`.", settings::one_message(&problems), verb.name())
    })?;
    if matches.get_flag("print-config") { Ok(Chosen::Print(settings.to_string())) } else { Ok(Chosen::Serve(settings)) }
}

/// `tidegate 0.1.0`, and the commit if the build knew it.
pub(crate) fn version() -> String {
    match option_env!("TIDEGATE_COMMIT") {
        Some(commit) => format!("tidegate {} ({commit})\n", env!("CARGO_PKG_VERSION")),
        None => format!("tidegate {}\n", env!("CARGO_PKG_VERSION")),
    }
}

fn command() -> Command {
    let mut command = Command::new("tidegate")
        .version(env!("CARGO_PKG_VERSION"))
        .styles(styles())
        .max_term_width(120)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .after_help(ROOT_AFTER);
    for verb in Verb::ALL {
        let (about, after) = match verb {
            Verb::Standalone => ("Run a whole gateway in one process: nothing else is needed", STANDALONE_AFTER),
            Verb::ControlPlane => {
                ("Run a control plane: it keeps the configuration and feeds the nodes", CONTROL_PLANE_AFTER)
            }
            Verb::DataPlane => ("Run a node: it carries traffic by what the control plane says", DATA_PLANE_AFTER),
        };
        let of_verb = Command::new(verb.name()).about(about).after_help(after).args_override_self(true);
        command = command.subcommand(settings::augment(verb, of_verb));
    }
    client::Verb::augment_subcommands(command)
        .about("An API gateway: one binary for the gateway, its control plane and its command line")
        .subcommand(Command::new("openapi").about("Print the OpenAPI document of the admin API"))
        .subcommand(Command::new("version").about("Print the version"))
}

fn styles() -> Styles {
    Styles::styled()
        .header(AnsiColor::Green.on_default().bold())
        .usage(AnsiColor::Green.on_default().bold())
        .literal(AnsiColor::Cyan.on_default().bold())
        .placeholder(AnsiColor::Cyan.on_default())
}

const ROOT_AFTER: &str = "\
Start here:
  tidegate standalone                     a gateway on port 8000, its admin API on 8001
  tidegate put services/orders '{\"url\": \"http://127.0.0.1:9000\"}'
  tidegate put routes/orders '{\"service\": \"orders\", \"match\": {\"path\": \"/orders\"}}'
  curl http://127.0.0.1:8000/orders

Each verb explains itself: `tidegate standalone --help`.
Exit codes: 0 done, 1 an error, 2 a wrong command line or settings.";

const STANDALONE_AFTER: &str = "\
Every flag has a name in the environment and one in the file of --config (the flag's, without dashes in front).
A flag comes before the environment, that before the file, that before the default; --print-config shows who won.

Examples:
  tidegate standalone
  tidegate standalone --data-dir /var/lib/tidegate --proxy-listen 0.0.0.0:80
  TIDEGATE_WORKERS=4 tidegate standalone --print-config

Next: `tidegate status`, then `tidegate put services/orders '{\"url\": \"http://127.0.0.1:9000\"}'`.
The web admin is at http://127.0.0.1:8001/; sign in with the token in ./data/operator-token.";

const CONTROL_PLANE_AFTER: &str = "\
Every flag has a name in the environment and one in the file of --config (the flag's, without dashes in front).
A flag comes before the environment, that before the file, that before the default; --print-config shows who won.

Examples:
  TIDEGATE_DATABASE_URL=postgres://tidegate:...@db/tidegate tidegate control-plane --secret-key-file /etc/tidegate/key
  tidegate control-plane --config /etc/tidegate/control-plane.yaml --print-config

Run two or more on one database and with one secret key: they agree on everything else by themselves.
Next: give nodes the file that --join-token-file names, and start them with `tidegate data-plane`.";

const DATA_PLANE_AFTER: &str = "\
Every flag has a name in the environment and one in the file of --config (the flag's, without dashes in front).
A flag comes before the environment, that before the file, that before the default; --print-config shows who won.

Examples:
  tidegate data-plane --control-plane https://cp-1:8005,https://cp-2:8005 --join-token-file ./join-token
  tidegate data-plane --config /etc/tidegate/node.yaml --name eu-1 --label zone=eu

A node serves its last good configuration when no control plane answers, also after a restart.
Next: `tidegate status` names the nodes and what each of them serves.";

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_holds_together() {
        super::command().debug_assert();
    }
}
