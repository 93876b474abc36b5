use serde_json::{Value, json};

use super::*;

fn run(text: &str, input: &Value) -> Result<Value, String> {
    let jq = Jq::compile(text).map_err(|problem| format!("{text}: {problem}"))?;
    let input = input.to_string();
    let output = jq.run_text(input.as_bytes(), Vec::new(), &Bounds::default()).map_err(|error| error.to_string())?;
    serde_json::from_slice(&output).map_err(|error| format!("{text} gave no JSON: {error}"))
}

#[test]
fn programs_do_what_jq_does() {
    let input =
        json!({ "a": 1, "b": [3, 1, 2], "c": { "d": "x,y" }, "e": [{ "k": "p", "v": 1 }, { "k": "q", "v": 2 }] });
    for (text, output) in [
        (".", input.clone()),
        (".a", json!(1)),
        (".b | sort", json!([1, 2, 3])),
        ("[.b[] | . * 2]", json!([6, 2, 4])),
        (".b | map(select(. > 1))", json!([3, 2])),
        ("[.b[], .a]", json!([3, 1, 2, 1])),
        (".c.d / \",\"", json!(["x", "y"])),
        ("{a, n: (.b | length), (.c.d): 1}", json!({ "a": 1, "n": 3, "x,y": 1 })),
        (".a = 2 | .b |= map(. + 1) | {a, b}", json!({ "a": 2, "b": [4, 2, 3] })),
        ("reduce .b[] as $x (0; . + $x)", json!(6)),
        ("[foreach .b[] as $x (0; . + $x)]", json!([3, 4, 6])),
        ("del(.a, .b) | keys", json!(["c", "e"])),
        (".e | map({ (.k): .v }) | add", json!({ "p": 1, "q": 2 })),
        (".e | map(.v) | [min, max, add]", json!([1, 2, 3])),
        ("[.e[] | \"\\(.k)=\\(.v)\"] | join(\"&\")", json!("p=1&q=2")),
        ("with_entries(select(.value | type == \"number\"))", json!({ "a": 1 })),
        (".b | [first, last, .[1:], index(1)]", json!([3, 2, [1, 2], 1])),
        ("[paths(type == \"number\")] | length", json!(6)),
        ("getpath([\"c\", \"d\"])", json!("x,y")),
        ("setpath([\"c\", \"z\"]; 1).c", json!({ "d": "x,y", "z": 1 })),
        ("[.. | numbers] | length", json!(6)),
        ("walk(if type == \"number\" then . + 1 else . end).b", json!([4, 2, 3])),
        (".c.d | test(\"^x\")", json!(true)),
        (".c.d | gsub(\",\"; \";\")", json!("x;y")),
        ("[.c.d | splits(\",\")]", json!(["x", "y"])),
        ("(.x // \"none\") as $x | $x", json!("none")),
        ("try error(\"no\") catch .", json!("no")),
        ("[.b[] | tonumber?]", json!([3, 1, 2])),
        ("[.c | .d | tonumber?]", json!([])),
        ("[range(3)]", json!([0, 1, 2])),
        ("[range(0; .b | length)]", json!([0, 1, 2])),
        (".b | group_by(. > 1)", json!([[1], [3, 2]])),
        (".e | sort_by(.v) | reverse | .[0].k", json!("q")),
        (".e | INDEX", json!(null)),
        ("\"a\" * 3", json!("aaa")),
        ("[limit(2; .b[])]", json!([3, 1])),
        (".c.d | @base64 | @base64d", json!("x,y")),
        ("@uri \"a=\\(.c.d)\"", json!("a=x%2Cy")),
        ("[.b[] | if . > 2 then \"big\" elif . > 1 then \"mid\" else \"small\" end]", json!(["big", "small", "mid"])),
        ("def twice(f): f | f; .a | twice(. + 1)", json!(3)),
        ("[.b | .[0] += 10 | .[]]", json!([13, 1, 2])),
        (".c |= (.d |= ascii_upcase) | .c.d", json!("X,Y")),
        ("[1, [2, [3]]] | flatten", json!([1, 2, 3])),
        ("\"{\\\"a\\\": [1]}\" | fromjson | .a[0]", json!(1)),
        (".b | [any(. > 2), all(. > 2), contains([3])]", json!([true, false, true])),
        ("10 / 4", json!(2.5)),
        ("6 / 3", json!(2)),
        (".b as [$x, $y] | [$y, $x]", json!([1, 3])),
        ("[label $out | .b[] | if . == 1 then break $out else . end]", json!([3])),
        ("to_entries | map(.key) | unique", json!(["a", "b", "c", "e"])),
        (".b - [1]", json!([3, 2])),
        (".c * { d: { e: 1 } }", json!({ "d": { "e": 1 } })),
    ] {
        if text.contains("INDEX") {
            assert!(run(text, &input).expect_err("no such filter").contains("there is no filter `INDEX`"));
            continue;
        }
        assert_eq!(run(text, &input), Ok(output), "{text}");
    }
}

#[test]
fn a_program_sees_the_variables_it_was_compiled_with() {
    let jq = Jq::compile_with("{a: $one, b: ($two | map(. + 1)), c: .}", &["$one", "$two"]).expect("it compiles");
    let variables = || vec![Json::text("x"), Json::from(&json!([1, 2]))];
    let output = jq.run(Json::text("in"), variables(), &Bounds::default()).expect("it runs");
    assert_eq!(output, br#"{"a":"x","b":[2,3],"c":"in"}"#);
    let left_out = jq.run(Json::text("in"), vec![Json::text("x")], &Bounds::default());
    assert!(matches!(left_out, Err(JqError::Raised(_))), "null has no parts: {left_out:?}");
}

#[test]
fn a_program_gives_exactly_one_value() {
    for (text, problem) in [
        ("empty", JqError::NoOutput.to_string()),
        (".[]", JqError::ManyOutputs.to_string()),
        ("., error(\"late\")", "late".to_owned()),
        ("error({a: 1})", "{\"a\":1}".to_owned()),
        (".[0].a", "cannot index 1 with \"a\"".to_owned()),
    ] {
        assert_eq!(run(text, &json!([1, 2])), Err(problem), "{text}");
    }
}

#[test]
fn what_would_run_away_is_refused_where_it_is_written() {
    let deep_brackets = format!("{}1{}", "[".repeat(49), "]".repeat(49));
    let many_pipes = vec!["."; 402].join("|");
    let many_signs = format!("1 {}1", "-".repeat(4_000));
    let deep_sum = vec!["1"; 200].join("+");
    let long_number = "1".repeat(65);
    let long = " ".repeat(TEXT_BYTES_MAX + 1);
    // each definition is shallow; put into one another they are not
    let names = ('a'..='p').collect::<Vec<_>>();
    let nested = names.windows(2).map(|pair| format!("def {}: [[[[[[[[[[[[{}]]]]]]]]]]]]; ", pair[1], pair[0]));
    let bomb = format!("def a: 1; {}p", nested.collect::<String>());
    for (text, line, column, part) in [
        ("def f: f; f", 1, 8, "calls itself"),
        ("def f: 1;\ndef g: f | g;\ng", 2, 12, "calls itself"),
        ("def f: def g: f; g; f", 1, 15, "calls itself"),
        ("def f(x): if x then f(x) else 1 end; f(.)", 1, 21, "calls itself"),
        ("[repeat(1)]", 1, 2, "`repeat` is refused"),
        ("while(true; .)", 1, 1, "`while` is refused"),
        ("until(false; .)", 1, 1, "`until` is refused"),
        ("[recurse(.a)]", 1, 2, "`recurse` is refused"),
        ("[recurse(.a; true)]", 1, 2, "`recurse` is refused"),
        ("[.[] | combinations]", 1, 8, "`combinations` is refused"),
        ("[range(1000000000)]", 1, 2, "`range` goes to 10000"),
        ("[range(.n)]", 1, 2, "takes literal numbers"),
        ("[range(infinite)]", 1, 2, "takes literal numbers"),
        ("[range(0; 10; 0)]", 1, 2, "the step of `range`"),
        ("[range(0; 10; length)]", 1, 2, "the step of `range`"),
        ("\"x\" * 1000000", 1, 2, "repeated at most 1024 times"),
        ("\"x\" * .n", 1, 2, "repeated at most 1024 times"),
        (".n * \"x\"", 1, 7, "repeated at most 1024 times"),
        ("test(.pattern)", 1, 1, "is a literal string"),
        ("test(\"a\"; .flags)", 1, 1, "are a literal string"),
        ("sub(\"(a{100}){100}\"; \"\")", 1, 1, "too costly"),
        ("input", 1, 1, "`input` is refused"),
        ("[inputs]", 1, 2, "`inputs` is refused"),
        ("debug", 1, 1, "`debug` is refused"),
        ("env", 1, 1, "`env` is refused"),
        ("$ENV", 1, 1, "there is no variable"),
        ("now", 1, 1, "`now` is refused"),
        ("halt", 1, 1, "`halt` is refused"),
        (".a |\n  nosuch", 2, 3, "there is no filter `nosuch`"),
        (".a | $x", 1, 6, "there is no variable `$x`"),
        ("tidegate_program", 1, 1, "there is no filter"),
        ("include \"a\"; .", 1, 9, "expected"),
        (".a | ", 1, 6, "expected term"),
        ("{a: (1}", 1, 7, "expected closing parenthesis"),
        ("\"a", 1, 3, "expected closing quote"),
        (".a §", 1, 4, "expected"),
        (&deep_brackets, 1, 49, "more than 48 brackets"),
        (&many_pipes, 1, 802, "nests too deep"),
        (&many_signs, 1, 11, "nests too deep"),
        (&deep_sum, 1, 399, "nests more than 160 terms"),
        (&long_number, 1, 1, "at most 64 characters"),
        (&long, 1, 1, "at most 8192 bytes"),
        (&bomb, 1, 0, "nests more than 160 terms"),
    ] {
        let problem = Jq::compile(text).map(|_| ()).expect_err(text);
        assert!(problem.detail.contains(part), "{text}: {problem}");
        if column > 0 {
            assert_eq!((problem.line, problem.column), (line, column), "{text}: {problem}");
        }
    }
}

#[test]
fn an_update_of_all_parts_does_not_go_into_what_it_put_there() {
    let input = json!([[1], { "a": 2 }]);
    for text in [
        "recurse |= [.]",
        ".. |= [.]",
        "recurse |= to_entries?",
        "[recurse] | map(.. |= [.])",
        "(recurse | .[]?) |= [.]",
    ] {
        let _ = run(text, &input);
    }
    assert_eq!(run("recurse |= (numbers |= . + 1)", &input), Ok(json!([[2], { "a": 3 }])));
}

#[test]
fn what_is_accepted_ends_within_its_bounds() {
    let list = json!((0..1_000).collect::<Vec<_>>());
    let doubled = ". as $x | {} | .a = $x | .b = $x | ".repeat(30) + ".";
    let alternatives = vec!["(1, 2)"; 30].join(" | ");
    let sums = vec!["(1, 2)"; 30].join(" + ");
    let nothing = format!("[{}]", vec!["(1, 2)"; 30].join(" + (") + " + empty" + &")".repeat(29));
    let bits = vec!["(true, false)"; 30].join(" and ");
    let calls = "def a: empty, empty; ".to_owned()
        + &('b'..='z').map(|c| format!("def {c}: {p}, {p}; ", p = (c as u8 - 1) as char)).collect::<String>()
        + "[z]";
    let keys = format!("{{{}}}", vec!["(\"a\", \"b\"): (1, 2)"; 20].join(", "));
    let texts = format!("\"{}\"", "\\(1, 2)".repeat(30));
    let indices = format!(".{}", "[0, 1]?".repeat(30));
    let conditions = vec!["if (true, true) then "; 30].join("") + "." + &" else . end".repeat(30);
    let (mut finished, mut slowest) = (Vec::new(), std::time::Duration::ZERO);
    for text in [
        "[.[] as $a | .[] as $b | .[] as $c | [$a, $b, $c]]",
        "[[.[], .[]] | .[] as $a | .[] as $b | .[] as $c | 1]",
        "[[.[], .[]] | [.[], .[]] | [.[], .[]] | [.[], .[]] | [.[], .[]] | [.[], .[]] | [.[], .[]] | [.[], .[]] \
         | [.[], .[]] | [.[], .[]] | [.[], .[]] | [.[], .[]] | [.[], .[]]]",
        "reduce range(100) as $i (.; . + .)",
        "reduce range(100) as $i (.; [., .])",
        "reduce range(100) as $i (.; {a: ., b: .}) | tojson",
        "reduce range(100) as $i (.; {a: ., b: .}) | . == .",
        "reduce range(100) as $i (\"ab\"; . + .)",
        "reduce range(100) as $i (\"ab\"; \"\\(.)\\(.)\")",
        "reduce range(100) as $i (\"ab\"; [., .] | tojson)",
        "reduce range(100) as $i (\"ab\"; . * 2)",
        "reduce range(100) as $i (\"ab\"; [., .] | join(\"\"))",
        "reduce range(100) as $i (\"ab\"; @base64)",
        "reduce range(100) as $i (\"%\"; @uri | @uri + .)",
        "reduce range(10000) as $i (3; . * .)",
        "reduce range(10000) as $i (.; [.])",
        "reduce range(10000) as $i (.; {a: .})",
        "reduce range(10000) as $i (.; . as $x | {} | .a = $x)",
        "reduce range(10000) as $i (.; . as $x | {} | .a |= $x)",
        "reduce range(10000) as $i ([]; .[0] |= [.])",
        "reduce range(10000) as $i ([1]; .. |= [.])",
        "reduce range(10000) as $i (.; group_by(.))",
        "reduce range(10000) as $i (.; . as $x | setpath([\"a\"]; $x)?)",
        "reduce range(10000) as $i ({}; . as $x | setpath([\"a\"]; $x))",
        "reduce range(10000) as $i ([1]; to_entries)",
        "reduce range(30) as $i (0; (., .))",
        "[foreach range(30) as $i (0; (., .); .)]",
        "last(range(10000) | range(10000) | range(10000))",
        "any(range(10000) | range(10000); false)",
        "[limit(5; range(10000) | range(10000) | select(false))]",
        "isempty(range(10000) | range(10000) | select(false))",
        "first(range(10000) | range(10000) | select(false))",
        "[range(10000) as $i | .[$i:]]",
        "[range(10000) | [range(10000)] | sort | length]",
        "[range(10000)] as $x | [range(10000) | $x | sort | length]",
        "[range(10000)] as $x | [range(10000) | $x | tojson | length]",
        "[range(10000)] as $x | [range(10000) | $x - $x]",
        "[range(10000)] as $x | [range(10000) | $x == $x]",
        "[range(10000)] as $x | $x | map([.]) | . as $y | contains($y)",
        "[range(10000)] as $x | $x | [range(10000) | indices($x)] ",
        "[range(10000)] as $x | [range(10000) | [range(100)] | map(try ($x | .a) catch length)]",
        "[range(10000)] as $x | [range(10000) | ($x | tonumber)?]",
        "[range(10000)] as $x | [range(10000) | $x | .[0] = 1 | length]",
        "[range(10000)] as $x | [range(10000) | $x | first(.[])]",
        "[range(10000)] as $x | [range(10000) | $x | .[][]?]",
        "[range(10000)] as $x | $x | .[] = $x | .[][] = $x | .[][][] = $x",
        "[range(10000) | tostring] | add | [range(100) as $x | [match(\"(0*1*)*2\"; \"g\")] | length]",
        "[range(10000) | tostring | test(\"a\")] | [range(10000)] | map(tostring | test(\"[a-z]{50}\"))",
        "path(.[] | .. | .. | ..) | length",
        "[paths(..)] | map(.[] |= [range(1000)])",
        "def f(g): g | g | g | g; f(f(f(f(f(.[]?, .)))))",
        "def f(g): (g, g) | (g, g); f(f(f(f(f(.)))))",
        "[.[] | tojson | fromjson] | [.[] as $x | .[] as $y | .[] as $z | \"\\($x)\\($y)\\($z)\"]",
        "try (reduce range(100) as $i (.; [., .])) catch 1",
        "[.[]?, .[]?] | map(try error([., .]) catch .) | [.[] as $a | .[] as $b | .[] as $c | 1]",
        "label $out | [range(10000) | range(10000) | if . < 0 then break $out else . end]",
        "splits(\"a\")",
        &doubled,
        &alternatives,
        &sums,
        &nothing,
        &bits,
        &calls,
        &keys,
        &texts,
        &indices,
        &conditions,
    ] {
        let jq = Jq::compile(text).unwrap_or_else(|problem| panic!("{text}: {problem}"));
        let bounds = Bounds { steps: 200_000, input_bytes: 16 << 10, output_bytes: 64 << 10, ..Bounds::default() };
        let before = std::time::Instant::now();
        let ended = jq.run(Json::from(&list), Vec::new(), &bounds);
        let took = before.elapsed();
        if ended.is_ok() {
            finished.push(text);
        }
        slowest = slowest.max(took);
    }
    assert_eq!(finished, [""; 0], "these did not meet a bound");
    assert!(slowest < std::time::Duration::from_secs(60), "the slowest took {slowest:?}");
}
