//! docker-compose.yml and the Dockerfile speak of flags, variables, ports and services that exist.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tidegate_testkit::tidegate;

const VERBS: [&str; 3] = ["standalone", "control-plane", "data-plane"];

fn project(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("e2e is a folder of the project").join(file)
}

fn read(file: &str) -> String {
    std::fs::read_to_string(project(file)).expect("the file is in the project")
}

/// What `tidegate <verb> --help` prints; empty where there is no such verb.
fn help(verb: &str) -> String {
    let output = tidegate::command(verb).expect("the binary is built").arg("--help").output().expect("it runs");
    if output.status.success() { String::from_utf8_lossy(&output.stdout).into_owned() } else { String::new() }
}

#[test]
fn the_compose_file_says_nothing_that_the_binary_does_not_know() {
    let compose = serde_saphyr::from_str(&read("docker-compose.yml")).expect("docker-compose.yml is YAML");
    let problems = compose_problems(&compose, &help);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn the_dockerfile_says_nothing_that_the_binary_does_not_know() {
    let problems = dockerfile_problems(&read("Dockerfile"), &help);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn docker_compose_accepts_the_file_where_there_is_one() {
    for program in [&["docker", "compose"][..], &["docker-compose"]] {
        let run = |arguments: &[&str]| {
            let mut command = Command::new(program[0]);
            command.args(&program[1..]).args(arguments).current_dir(project(""));
            command.output()
        };
        if run(&["version"]).is_ok_and(|output| output.status.success()) {
            let output = run(&["config", "--quiet"]).expect("it ran a moment ago");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            return;
        }
    }
    println!("no docker compose here");
}

fn compose_problems(compose: &Value, help: &dyn Fn(&str) -> String) -> Vec<String> {
    let mut problems = Vec::new();
    let services = compose["services"].as_object().expect("a compose file has services");
    for (name, service) in services {
        let mut say = |what: String| problems.push(format!("{name}: {what}"));
        let own = listens(service);
        for port in words(&service["ports"]) {
            let inside = port.rsplit(':').next().unwrap_or(port);
            if !own.iter().any(|listen| listen == inside) {
                say(format!("publishes {port}, and listens on {own:?}"));
            }
        }
        for (host, port) in addresses(service) {
            match services.get(&host) {
                None if host.starts_with("127.") => {}
                None => say(format!("speaks to `{host}`, which is no service")),
                // Of foreign images the ports are not known here.
                Some(other) if is_ours(other) && !listens(other).contains(&port) => {
                    say(format!("speaks to {host}:{port}, which listens on {:?}", listens(other)));
                }
                Some(_) => {}
            }
        }
        if is_ours(service) && service["entrypoint"].is_null() {
            unknown(&words(&service["command"]), &variables(service), help, &mut say);
        }
        if let ["CMD", "tidegate", call @ ..] = &words(&service["healthcheck"]["test"])[..] {
            unknown(call, &[], help, &mut say);
        }
    }
    problems
}

/// Compares one call of the binary, and the variables that it is given, with what its help knows.
fn unknown(call: &[&str], variables: &[&str], help: &dyn Fn(&str) -> String, say: &mut dyn FnMut(String)) {
    let Some((verb, arguments)) = call.split_first() else { return say("calls no verb".to_owned()) };
    let help = help(verb);
    if help.is_empty() {
        return say(format!("`tidegate {verb}` does not exist"));
    }
    let flags = arguments.iter().filter(|argument| argument.starts_with("--"));
    let flags = flags.map(|flag| flag.split('=').next().unwrap_or(flag));
    for word in flags.chain(variables.iter().copied()) {
        let belongs_to_word = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
        if !help.split(|c| !belongs_to_word(c)).any(|known| known == word) {
            say(format!("`tidegate {verb}` does not know {word}"));
        }
    }
}

fn dockerfile_problems(dockerfile: &str, help: &dyn Fn(&str) -> String) -> Vec<String> {
    let mut problems = Vec::new();
    let joined = dockerfile.replace("\\\n", " ");
    for line in joined.lines() {
        let mut say = |what: String| problems.push(format!("{line}: {what}"));
        let (instruction, rest) = line.split_once(' ').unwrap_or((line, ""));
        match instruction {
            "CMD" | "HEALTHCHECK" => {
                let list = rest.find('[').map_or("[]", |at| &rest[at..]);
                let list: Value = serde_json::from_str(list).expect("the Dockerfile uses the list form");
                let call = words(&list);
                unknown(call.strip_prefix(&["tidegate"]).unwrap_or(&call), &[], help, &mut say);
            }
            "ENV" => {
                let name = rest.split('=').next().unwrap_or_default();
                if name.starts_with("TIDEGATE_") && !VERBS.iter().all(|verb| help(verb).contains(name)) {
                    say(format!("not every verb knows {name}"));
                }
            }
            "EXPOSE" => {
                for port in rest.split_whitespace() {
                    if !VERBS.iter().any(|verb| help(verb).contains(&format!(":{port}"))) {
                        say(format!("no verb listens on {port}"));
                    }
                }
            }
            _ => {}
        }
    }
    problems
}

fn is_ours(service: &Value) -> bool {
    service["image"] == "tidegate"
}

/// The strings of a list.
fn words(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn environment(service: &Value) -> impl Iterator<Item = (&str, &str)> {
    let all = service["environment"].as_object().into_iter().flatten();
    all.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
}

fn variables(service: &Value) -> Vec<&str> {
    environment(service).map(|(name, _)| name).filter(|name| name.starts_with("TIDEGATE_")).collect()
}

/// The ports in flags and variables whose name ends with `listen`.
fn listens(service: &Value) -> Vec<String> {
    let command = words(&service["command"]);
    let flags = command.windows(2).map(|pair| (pair[0], pair[1]));
    let named = flags.chain(environment(service)).filter(|(name, _)| name.to_ascii_lowercase().ends_with("listen"));
    named.filter_map(|(_, address)| address.rsplit(':').next()).map(str::to_owned).collect()
}

/// Every `scheme://host:port` that the service is told of.
fn addresses(service: &Value) -> Vec<(String, String)> {
    let check = words(&service["healthcheck"]["test"]);
    let told = environment(service).map(|(_, value)| value).chain(words(&service["command"])).chain(check);
    let urls = told.flat_map(|text| text.split(',')).filter_map(|part| part.split_once("://"));
    let authorities = urls.map(|(_, rest)| rest.split('/').next().unwrap_or_default());
    let addresses = authorities.map(|authority| authority.rsplit('@').next().unwrap_or_default());
    addresses.filter_map(|address| address.rsplit_once(':')).map(|(host, port)| (host.into(), port.into())).collect()
}

/// The checks themselves, on files that are wrong.
mod on_bad_examples {
    use serde_json::json;

    use super::*;

    fn known(verb: &str) -> String {
        match verb {
            "data-plane" => "--proxy-listen <ADDRESS> [env: TIDEGATE_PROXY_LISTEN=] [default: 0.0.0.0:8000]".to_owned(),
            "status" => "--ready <URL>".to_owned(),
            _ => String::new(),
        }
    }

    fn problems(service: Value) -> Vec<String> {
        compose_problems(&json!({ "services": { "node": service } }), &known)
    }

    #[test]
    fn what_exists_is_fine() {
        let good = json!({
            "image": "tidegate",
            "command": ["data-plane", "--proxy-listen", "0.0.0.0:8000"],
            "environment": { "TIDEGATE_PROXY_LISTEN": "0.0.0.0:8000" },
            "ports": ["127.0.0.1:8010:8000"],
            "healthcheck": { "test": ["CMD", "tidegate", "status", "--ready", "http://127.0.0.1:8100/readyz"] },
        });
        assert_eq!(problems(good), [""; 0]);
    }

    #[test]
    fn each_kind_of_mistake_is_found() {
        for bad in [
            json!({ "image": "tidegate", "command": ["data-plan"] }),
            json!({ "image": "tidegate", "command": ["data-plane", "--proxy"] }),
            json!({ "image": "tidegate", "command": ["data-plane"], "environment": { "TIDEGATE_PROXY": "x" } }),
            json!({ "image": "tidegate", "command": ["data-plane", "--proxy-listen", ":8000"], "ports": ["8000:80"] }),
            json!({ "image": "other", "environment": { "API": "http://nobody:9000/" } }),
            json!({ "image": "other", "healthcheck": { "test": ["CMD", "tidegate", "health"] } }),
        ] {
            assert_eq!(problems(bad.clone()).len(), 1, "{bad}");
        }
    }

    #[test]
    fn mistakes_in_the_dockerfile_are_found() {
        let bad =
            "ENV TIDEGATE_DIR=x\nEXPOSE 8000 8009\nHEALTHCHECK --interval=5s \\\n  CMD [\"tidegate\", \"state\"]\n";
        assert_eq!(dockerfile_problems(bad, &known).len(), 3);
    }
}
