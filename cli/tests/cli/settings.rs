//! Who is heard: flags, then the environment, then the file, then the defaults.

use std::path::Path;

use crate::{run, stderr, stdout, tidegate};

/// One kind of value, as each side may say it.
struct Row {
    verb: &'static str,
    name: &'static str,
    flag: &'static str,
    variable: &'static str,
    /// As YAML, and as it reads then.
    file: (&'static str, &'static str),
    /// `None` if it cannot be known here.
    default: Option<&'static str>,
}

const ROWS: &[Row] = &[
    Row {
        verb: "standalone",
        name: "proxy-listen",
        flag: "127.0.0.1:1001",
        variable: "127.0.0.1:1002",
        file: ("127.0.0.1:1003", "127.0.0.1:1003"),
        default: Some("proxy-listen: 0.0.0.0:8000"),
    },
    Row { verb: "standalone", name: "workers", flag: "1", variable: "2", file: ("3", "3"), default: None },
    Row {
        verb: "standalone",
        name: "data-dir",
        flag: "/a",
        variable: "/b",
        file: ("/c", "/c"),
        default: Some("data-dir: ./data"),
    },
    Row {
        verb: "standalone",
        name: "operator-token-file",
        flag: "/a",
        variable: "/b",
        file: ("/c", "/c"),
        default: Some("operator-token-file: ./data/operator-token"),
    },
    Row {
        verb: "standalone",
        name: "log-level",
        flag: "warn",
        variable: "error",
        file: ("debug", "debug"),
        default: Some("log-level: info"),
    },
    Row {
        verb: "standalone",
        name: "log-format",
        flag: "json",
        variable: "text",
        file: ("json", "json"),
        default: Some("log-format: text"),
    },
    Row {
        verb: "standalone",
        name: "trusted-proxies",
        flag: "10.0.0.0/8,192.0.2.7",
        variable: "192.0.2.8,192.0.2.9",
        file: ("[192.0.2.1, 192.0.2.2]", "192.0.2.1, 192.0.2.2"),
        default: Some("# trusted-proxies:"),
    },
    Row {
        verb: "data-plane",
        name: "trusted-headers",
        flag: "forwarded",
        variable: "x-forwarded",
        file: ("forwarded", "forwarded"),
        default: Some("trusted-headers: x-forwarded"),
    },
    Row {
        verb: "standalone",
        name: "proxy-protocol",
        flag: "require",
        variable: "off",
        file: ("require", "require"),
        default: Some("proxy-protocol: off"),
    },
    Row {
        verb: "standalone",
        name: "trace-context",
        flag: "off",
        variable: "on",
        file: ("off", "off"),
        default: Some("trace-context: on"),
    },
    Row {
        verb: "data-plane",
        name: "redis-url",
        flag: "redis://a:1",
        variable: "redis://b:1",
        file: ("redis://c:1", "redis://c:1"),
        default: Some("# redis-url:"),
    },
    Row { verb: "data-plane", name: "name", flag: "a", variable: "b", file: ("c", "c"), default: None },
    Row {
        verb: "data-plane",
        name: "label",
        flag: "z=1,y=2",
        variable: "x=1,w=2",
        file: ("{v: 1, u: 2}", "v=1, u=2"),
        default: Some("# label:"),
    },
    Row {
        verb: "data-plane",
        name: "join-token-file",
        flag: "/a",
        variable: "/b",
        file: ("/c", "/c"),
        default: Some("# join-token-file:"),
    },
];

/// The line of a setting, without the spaces that set off who said so.
fn line(printed: &str, name: &str) -> String {
    let is_it = |line: &&str| line.trim_start_matches("# ").starts_with(&format!("{name}:"));
    let line = printed.lines().find(is_it).unwrap_or_else(|| panic!("no `{name}` in\n{printed}"));
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn printed(dir: &Path, row: &Row, flag: bool, variable: bool, file: bool) -> String {
    let mut command = tidegate(dir);
    command.args([row.verb, "--print-config"]);
    if row.verb == "data-plane" {
        command.args(["--control-plane", "https://cp"]);
    }
    if flag {
        command.arg(format!("--{}={}", row.name, row.flag));
    }
    if variable {
        command.env(format!("TIDEGATE_{}", row.name.replace('-', "_").to_uppercase()), row.variable);
    }
    if file {
        std::fs::write(dir.join("f.yaml"), format!("{}: {}\n", row.name, row.file.0)).expect("the folder is ours");
        command.args(["--config", "f.yaml"]);
    }
    let output = run(&mut command);
    assert!(output.status.success(), "{}: {}", row.name, stderr(&output));
    line(&stdout(&output), row.name)
}

#[test]
fn flags_come_before_the_environment_before_the_file_before_the_defaults() {
    let dir = tempfile::tempdir().unwrap();
    for row in ROWS {
        let name = row.name;
        let listed = |text: &str| match name {
            "label" | "trusted-proxies" => {
                format!("[\"{}\"]", text.replace(", ", ",").replace(',', "\", \"")).replace('"', "")
            }
            _ => text.to_owned(),
        };
        let variable = name.replace('-', "_").to_uppercase();
        for (flag, env, file, wanted) in [
            (true, true, true, format!("{name}: {} # flag --{name}", yaml(&listed(row.flag)))),
            (false, true, true, format!("{name}: {} # environment TIDEGATE_{variable}", yaml(&listed(row.variable)))),
            (false, false, true, format!("{name}: {} # file f.yaml", yaml(&listed(row.file.1)))),
        ] {
            assert_eq!(printed(dir.path(), row, flag, env, file), wanted);
        }
        let line = printed(dir.path(), row, false, false, false);
        assert!(line.contains("# default"), "{line}");
        if let Some(default) = row.default {
            assert!(line.starts_with(default), "{line} is not {default}");
        }
    }
}

/// As it is printed: lists in brackets with a space after each comma.
fn yaml(text: &str) -> String {
    text.replace(", ", ",").replace(',', ", ")
}

#[test]
fn what_is_printed_is_a_file_that_says_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = ["data-plane", "--control-plane", "https://a,https://b:9", "--label", "a b=c", "--workers", "3"];
    let first = run(tidegate(dir.path()).args(arguments).args(["--name", "123", "--print-config"]));
    std::fs::write(dir.path().join("f.yaml"), &first.stdout).unwrap();
    let second = run(tidegate(dir.path()).args(["data-plane", "--config", "f.yaml", "--print-config"]));
    let values = |output| -> Vec<String> {
        let text = stdout(output);
        text.lines().map(|line| line.split("  # ").next().unwrap_or_default().trim_end().to_owned()).collect()
    };
    assert_eq!(values(&first), values(&second), "{}", stderr(&second));
}

#[test]
fn an_empty_variable_says_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(tidegate(dir.path()).args(["standalone", "--print-config"]).env("TIDEGATE_WORKERS", ""));
    assert!(line(&stdout(&output), "workers").ends_with("# default"), "{}", stderr(&output));
    let output = run(tidegate(dir.path()).args(["standalone", "--print-config", "--data-dir", ""]));
    assert_eq!(output.status.code(), Some(2), "an empty flag is a slip");
}

#[test]
fn of_a_flag_given_twice_the_later_holds() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(tidegate(dir.path()).args(["standalone", "--workers", "1", "--workers", "2", "--print-config"]));
    assert!(line(&stdout(&output), "workers").starts_with("workers: 2 "), "{}", stderr(&output));
}

#[test]
fn passwords_are_never_printed() {
    let dir = tempfile::tempdir().unwrap();
    let url = "postgres://gate:hush-hush@db:5432/tidegate?sslmode=require";
    let shown = "postgres://gate:***@db:5432/tidegate?sslmode=require";
    for told in ["flag", "environment", "file"] {
        let mut command = tidegate(dir.path());
        command.args(["control-plane", "--print-config"]);
        match told {
            "flag" => command.args(["--database-url", url]),
            "environment" => command.env("TIDEGATE_DATABASE_URL", url),
            _ => {
                std::fs::write(dir.path().join("f.yaml"), format!("database-url: {url}\n")).unwrap();
                command.args(["--config", "f.yaml"])
            }
        };
        let output = run(&mut command);
        assert!(stdout(&output).contains(shown), "{}", stdout(&output));
        assert!(!stdout(&output).contains("hush-hush"));
    }
    let refused = run(tidegate(dir.path()).args(["control-plane", "--database-url", "mysql://gate:hush-hush@db"]));
    assert_eq!(refused.status.code(), Some(2));
    assert!(!stderr(&refused).contains("hush-hush"), "{}", stderr(&refused));
    let help = run(tidegate(dir.path()).args(["control-plane", "--help"]).env("TIDEGATE_DATABASE_URL", url));
    assert!(!stdout(&help).contains("hush-hush"));
}

#[test]
fn what_is_wrong_is_told_all_at_once_with_who_said_it() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("f.yaml"), "admin-listen: here\nproxy-listn: 1\nlog-format: xml\n").unwrap();
    let mut command = tidegate(dir.path());
    command.args(["standalone", "--config", "f.yaml", "--workers", "0"]).env("TIDEGATE_LOG_LEVEL", "loud");
    let output = run(&mut command);
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    for part in [
        "5 settings are wrong",
        "--workers 0: it is not a whole number from 1",
        "TIDEGATE_LOG_LEVEL=loud: `loud` is none of",
        "f.yaml: `admin-listen: here`: it is not an IP address and a port",
        "f.yaml: unknown key `proxy-listn`; did you mean `proxy-listen`?",
        "f.yaml: `log-format: xml`: it is none of `text` or `json`",
        "tidegate standalone --help",
    ] {
        assert!(said.contains(part), "no `{part}` in\n{said}");
    }
    assert!(!dir.path().join("data").exists(), "nothing was begun");
}

#[test]
fn what_does_not_go_together_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (arguments, part) in [
        (&["control-plane"][..], "--database-url is missing; give it, or TIDEGATE_DATABASE_URL"),
        (&["data-plane"], "--control-plane is missing"),
        (&["standalone", "--admin-tls-cert", "c.pem"], "--admin-tls-key is missing"),
        (&["standalone", "--admin-listen", "127.0.0.1:8000"], "--proxy-listen and --admin-listen both listen at"),
        (&["standalone", "--proxy-tls-listen", "0.0.0.0:8443"], "TLS on the proxy comes with certificates"),
        (&["standalone", "--drain-timeout", "41s"], "--drain-timeout 41s: it is more than 40s"),
        (&["standalone", "--handover"], "--handover"),
        (&["standalone", "--memory-max", "1G"], "--memory-max 1G: `1G` is not a size"),
        (&["standalone", "--config", "nowhere.yaml"], "--config nowhere.yaml: No such file"),
        (&["data-plane", "--control-plane", "http://cp"], "starts with `https://`"),
        (&["standalone", "--trusted-proxies", "10.0.0.1/8"], "write `10.0.0.0/8`, or `10.0.0.1` for the one address"),
        (&["standalone", "--trusted-proxies", "lb.internal"], "--trusted-proxies lb.internal: it is not a network"),
        (&["standalone", "--proxy-protocol", "optional"], "it is none of `off` or `require`"),
        (&["standalone", "--frobnicate"], "--frobnicate"),
        (&["keys", "issue"], "<CONSUMER>"),
    ] {
        let output = run(tidegate(dir.path()).args(arguments));
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(part), "{arguments:?}: no `{part}` in\n{}", stderr(&output));
    }
    let output = run(tidegate(dir.path())
        .args(["standalone", "--print-config"])
        .env("TIDEGATE_PROXY_TLS_LISTEN", "0.0.0.0:8443"));
    assert_eq!(output.status.code(), Some(2), "also in the environment");
}

#[test]
fn a_variable_that_will_not_be_heard_is_warned_of() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = tidegate(dir.path());
    command.args(["standalone", "--print-config"]).env("TIDEGATE_WORKRS", "4").env("TIDEGATE_REDIS_URL", "redis://h");
    let output = run(&mut command);
    assert!(output.status.success());
    assert!(stderr(&output).contains("TIDEGATE_WORKRS is no setting; did you mean TIDEGATE_WORKERS?"));
    assert!(stderr(&output).contains("TIDEGATE_REDIS_URL is set, but `standalone` has no such setting"));
}
