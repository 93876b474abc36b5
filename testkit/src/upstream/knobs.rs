//! What a request asks the sample upstream to do.

use std::time::Duration;

use http::request::Parts;

/// How the body of the answer comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Shape {
    /// The request as it was received, as JSON.
    #[default]
    Echo,
    /// This many bytes, announced.
    Bytes(usize),
    /// This many chunks, without a length.
    Chunks(usize),
    /// These bytes of twice as many announced, then the connection closes.
    Cut(usize),
    /// This many server-sent events.
    Ticks(usize),
    /// Nothing, ever.
    Hang,
    /// The number of requests so far.
    Requests,
}

/// All that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Knobs {
    pub delay: Option<Duration>,
    pub status: Option<u16>,
    pub shape: Shape,
}

impl Knobs {
    pub(super) fn of(request: &Parts) -> Knobs {
        let mut knobs = Knobs::default();
        let mut segments = request.uri.path().split('/').peekable();
        while let Some(word) = segments.next() {
            if segments.peek().is_some_and(|value| knobs.turn(word, value)) {
                segments.next();
            }
        }
        for line in request.headers.get_all("x-upstream") {
            for (word, value) in line.to_str().unwrap_or_default().split(',').filter_map(|knob| knob.split_once('=')) {
                knobs.turn(word.trim(), value.trim());
            }
        }
        knobs
    }

    /// Whether the two words were a knob.
    fn turn(&mut self, word: &str, value: &str) -> bool {
        let count = value.parse::<usize>().ok();
        let shape = match word {
            "delay" => {
                let delay = duration(value);
                self.delay = delay.or(self.delay);
                return delay.is_some();
            }
            "status" => {
                let status = value.parse().ok().filter(|status| (200..=599).contains(status));
                self.status = status.or(self.status);
                return status.is_some();
            }
            "bytes" => count.map(Shape::Bytes),
            "chunks" => count.map(Shape::Chunks),
            "cut" => count.map(Shape::Cut),
            "sse" => count.map(Shape::Ticks),
            "hang" => count.map(|_| Shape::Hang),
            "requests" => count.map(|_| Shape::Requests),
            _ => None,
        };
        self.shape = shape.unwrap_or(self.shape);
        shape.is_some()
    }
}

/// `250ms`, `2s`.
fn duration(text: &str) -> Option<Duration> {
    match text.strip_suffix("ms") {
        Some(number) => number.parse().ok().map(Duration::from_millis),
        None => text.strip_suffix('s')?.parse().ok().map(Duration::from_secs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn knobs(path: &str, header: &str) -> Knobs {
        let request = http::Request::get(path).header("x-upstream", header).body(()).unwrap();
        Knobs::of(&request.into_parts().0)
    }

    #[test]
    fn knobs_are_found_behind_any_prefix_and_combine() {
        let found = knobs("/orders/v1/delay/20ms/status/503", "");
        assert_eq!(found, Knobs { delay: Some(Duration::from_millis(20)), status: Some(503), shape: Shape::Echo });
    }

    #[test]
    fn a_word_without_its_value_is_plain_path() {
        assert_eq!(knobs("/status/of/orders/bytes", ""), Knobs::default());
    }

    #[test]
    fn the_header_says_the_same() {
        let found = knobs("/orders", "chunks=3, delay=2s");
        assert_eq!(found, Knobs { delay: Some(Duration::from_secs(2)), status: None, shape: Shape::Chunks(3) });
    }
}
