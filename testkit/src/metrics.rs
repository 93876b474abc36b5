//! Reads metrics as strictly as can be: the text format of Prometheus 0.0.4, and the habits that go with it.

use std::collections::{BTreeMap, HashSet};

use anyhow::{Context as _, Result, bail, ensure};

/// All samples of a page.
#[derive(Debug, Default)]
pub struct Metrics {
    families: BTreeMap<String, Family>,
    /// By name, and by labels in their order.
    samples: Vec<Sample>,
}

#[derive(Debug)]
struct Family {
    kind: String,
}

/// A sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Its name, with the suffix that a histogram's has.
    pub name: String,
    /// Names and values.
    pub labels: Vec<(String, String)>,
    /// What it is.
    pub value: f64,
}

impl Metrics {
    /// Reads a page.
    ///
    /// # Errors
    /// It is not well-formed: HELP and TYPE once and before the samples, families in one piece, no series twice, counters named
    /// `_total` and not negative, histograms that grow from bucket to bucket up to their count.
    pub fn read(text: &str) -> Result<Metrics> {
        ensure!(text.ends_with('\n'), "the last line does not end");
        let mut metrics = Metrics::default();
        let (mut helped, mut current) = (HashSet::new(), None::<String>);
        let mut series = HashSet::new();
        for (number, line) in text.lines().enumerate() {
            let at = || format!("line {}: {line}", number + 1);
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').with_context(at)?;
                ensure!(is_name(name) && !help.trim().is_empty() && helped.insert(name.to_owned()), at());
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').with_context(at)?;
                ensure!(["counter", "gauge", "histogram"].contains(&kind) && helped.contains(name), at());
                ensure!(kind != "counter" || name.ends_with("_total"), "{}: a counter ends in _total", at());
                ensure!(kind == "counter" || !name.ends_with("_total"), "{}: only a counter ends in _total", at());
                let former = metrics.families.insert(name.to_owned(), Family { kind: kind.to_owned() });
                ensure!(former.is_none(), "{}: its type is told twice", at());
                current = Some(name.to_owned());
            } else {
                let sample = sample(line).with_context(at)?;
                let family = current.as_deref().with_context(at)?;
                metrics.belongs(&sample, family).with_context(at)?;
                ensure!(series.insert((sample.name.clone(), sample.labels.clone())), "{}: twice", at());
                metrics.samples.push(sample);
            }
        }
        metrics.histograms_grow()?;
        Ok(metrics)
    }

    fn belongs(&self, sample: &Sample, family: &str) -> Result<()> {
        let kind = &*self.families[family].kind;
        let suffix = sample.name.strip_prefix(family).context("it is of another family")?;
        match (kind, suffix) {
            ("histogram", "_bucket" | "_sum" | "_count") => {}
            ("histogram", _) | (_, "_bucket" | "_sum" | "_count") => bail!("it is no part of a {kind}"),
            (_, "") => {}
            _ => bail!("it is of another family"),
        }
        ensure!(sample.value.is_finite(), "it is no number");
        ensure!(kind == "gauge" || sample.value >= 0.0, "a {kind} is not negative");
        let has_bound = sample.labels.iter().any(|(name, _)| name == "le");
        ensure!(has_bound == (suffix == "_bucket"), "only buckets have bounds");
        Ok(())
    }

    fn histograms_grow(&self) -> Result<()> {
        for (name, _) in self.families.iter().filter(|(_, family)| family.kind == "histogram") {
            let (buckets, counts) = (format!("{name}_bucket"), format!("{name}_count"));
            for count in self.samples.iter().filter(|sample| sample.name == counts) {
                let of_same = self.samples.iter().filter(|sample| sample.name == buckets).filter_map(|sample| {
                    let (bound, rest): (Vec<_>, Vec<_>) =
                        sample.labels.iter().cloned().partition(|(name, _)| name == "le");
                    (rest == count.labels).then(|| (bound[0].1.clone(), sample.value))
                });
                let (mut bound_before, mut before, mut last) = (f64::NEG_INFINITY, 0.0, String::new());
                for (bound, value) in of_same {
                    let number = if bound == "+Inf" { f64::INFINITY } else { bound.parse()? };
                    ensure!(number > bound_before && value >= before, "{name}{:?} at {bound}", count.labels);
                    (bound_before, before, last) = (number, value, bound);
                }
                ensure!(last == "+Inf" && before == count.value, "{name}{:?}: +Inf is not the count", count.labels);
                let sum = self.samples.iter().any(|s| s.name == format!("{name}_sum") && s.labels == count.labels);
                ensure!(sum, "{name}{:?} has no sum", count.labels);
            }
        }
        Ok(())
    }

    /// The value of one series: `name` or `name{label="value"}`, all of its labels in any order.
    pub fn value(&self, series: &str) -> Option<f64> {
        let wanted = sample(&format!("{series} 0")).ok()?;
        let same = |sample: &&Sample| {
            sample.name == wanted.name
                && sample.labels.len() == wanted.labels.len()
                && wanted.labels.iter().all(|label| sample.labels.contains(label))
        };
        self.samples.iter().find(same).map(|sample| sample.value)
    }

    /// The sum over all series of a name.
    pub fn sum(&self, name: &str) -> f64 {
        self.samples.iter().filter(|sample| sample.name == name).map(|sample| sample.value).sum()
    }

    /// The names of all families.
    pub fn families(&self) -> impl Iterator<Item = &str> {
        self.families.keys().map(String::as_str)
    }

    /// All samples.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }
}

fn is_name(text: &str) -> bool {
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    begins && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn sample(line: &str) -> Result<Sample> {
    let name_end = line.find(['{', ' ']).context("no value")?;
    let (name, mut rest) = line.split_at(name_end);
    ensure!(is_name(name), "`{name}` is no name");
    let mut labels: Vec<(String, String)> = Vec::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            let (label, after) = rest.split_once("=\"").context("no label")?;
            ensure!(is_name(label) && labels.iter().all(|(known, _)| known != label), "`{label}`");
            let (value, after) = label_value(after)?;
            labels.push((label.to_owned(), value));
            match after.chars().next() {
                Some(',') => rest = &after[1..],
                Some('}') => {
                    rest = &after[1..];
                    break;
                }
                _ => bail!("the labels do not end"),
            }
        }
    }
    let value = rest.strip_prefix(' ').context("no blank before the value")?;
    ensure!(!value.contains(' '), "something follows the value");
    Ok(Sample { name: name.to_owned(), labels, value: value.parse()? })
}

fn label_value(text: &str) -> Result<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match characters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, escaped @ ('\\' | '"'))) => value.push(escaped),
                _ => bail!("a wrong escape"),
            },
            other => value.push(other),
        }
    }
    bail!("a value does not end")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# HELP a_total Counts.\n# TYPE a_total counter\na_total{x=\"q\\\"\\n\"} 3\na_total{x=\"b\"} 4\n\
        # HELP h_seconds Takes.\n# TYPE h_seconds histogram\nh_seconds_bucket{le=\"0.1\"} 1\nh_seconds_bucket{le=\"+Inf\"} 2\n\
        h_seconds_sum 0.5\nh_seconds_count 2\n";

    #[test]
    fn what_is_well_formed_is_read() {
        let metrics = Metrics::read(GOOD).expect("it is well-formed");
        assert_eq!(metrics.value("a_total{x=\"q\\\"\\n\"}"), Some(3.0));
        assert_eq!((metrics.sum("a_total"), metrics.value("h_seconds_count")), (7.0, Some(2.0)));
        assert_eq!(metrics.value("a_total"), None);
    }

    #[test]
    fn what_is_not_is_refused() {
        for (from, to) in [
            ("# HELP a_total Counts.\n", ""),
            ("# TYPE a_total counter\n", ""),
            ("# TYPE a_total counter", "# TYPE a_total gauge"),
            ("x=\"b\"", "x=\"q\\\"\\n\""),
            ("} 4\n", "} -4\n"),
            ("} 4\n", "} NaN\n"),
            ("} 4\n", "} 4 5\n"),
            ("a_total{x=\"b\"}", "b_total{x=\"b\"}"),
            ("x=\"b\"}", "x=\"b}"),
            ("le=\"0.1\"} 1", "le=\"0.1\"} 3"),
            ("le=\"+Inf\"} 2", "le=\"+Inf\"} 1"),
            ("le=\"+Inf\"", "le=\"1\""),
            ("h_seconds_sum 0.5\n", ""),
            ("h_seconds_count 2\n", "h_seconds_count 2"),
            ("# HELP h_seconds Takes.\n", "# HELP h_seconds Takes.\n# HELP h_seconds Takes.\n"),
        ] {
            let broken = GOOD.replace(from, to);
            assert!(broken != GOOD && Metrics::read(&broken).is_err(), "{from} -> {to}");
        }
    }
}
