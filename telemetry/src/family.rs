//! What a metric is: its facts stand in a table, once, and both the exposition and the reference are made of it.

use std::fmt::Write as _;

/// What the values of a metric do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// Grows, and begins anew with the process.
    Counter,
    /// Is what it is now.
    Gauge,
    /// How often values fell below each of some bounds.
    Histogram,
}

impl Type {
    /// As the text format says it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Type::Counter => "counter",
            Type::Gauge => "gauge",
            Type::Histogram => "histogram",
        }
    }
}

/// A metric: a family of series that differ by their labels.
#[derive(Debug, PartialEq, Eq)]
pub struct Family {
    /// Its name; the unit is a part of it.
    pub name: &'static str,
    /// What its values do.
    pub kind: Type,
    /// The names of its labels, in the order in which samples give their values.
    pub labels: &'static [&'static str],
    /// What it counts: one line.
    pub help: &'static str,
}

/// Metrics that belong together.
#[derive(Debug)]
pub struct Group {
    /// The heading in the reference.
    pub title: &'static str,
    /// In the order of the exposition.
    pub families: &'static [&'static Family],
}

/// Declares metrics: `NAME = counter "tidegate_x_total" ["label"];` below a heading, the doc comment being the help.
#[macro_export]
macro_rules! families {
    ($( $title:literal { $( #[doc = $help:literal] $ident:ident = $kind:ident $name:literal [ $($label:literal),* ]; )+ } )+) => {
        $($(
            #[doc = $help]
            pub static $ident: $crate::Family = $crate::Family {
                name: $name,
                kind: $crate::Type::$kind,
                labels: &[$($label),*],
                help: $crate::family::one_line($help),
            };
        )+)+

        /// All of them.
        pub static GROUPS: &[$crate::Group] = &[
            $( $crate::Group { title: $title, families: &[ $( &$ident ),+ ] } ),+
        ];
    };
}

/// The text of a doc comment, without the space that it begins with.
pub const fn one_line(doc: &'static str) -> &'static str {
    match doc.as_bytes() {
        [b' ', ..] => doc.split_at(1).1,
        _ => doc,
    }
}

/// The part of the reference that lists these groups, in Markdown.
pub fn page(groups: &[Group]) -> String {
    let mut page = String::new();
    for group in groups {
        let _ = write!(page, "\n### {}\n\n| name | type | labels | meaning |\n|---|---|---|---|\n", group.title);
        for family in group.families {
            let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
            let kind = family.kind.as_str();
            let _ = writeln!(page, "| `{}` | {kind} | {} | {} |", family.name, labels.join(", "), family.help);
        }
    }
    page
}
