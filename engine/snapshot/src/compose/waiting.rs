//! Whether each step comes to its turn.

use super::CompiledStep;

/// Steps that wait for each other, the first one again at the end; none if each comes to its turn.
pub(super) fn cycle(steps: &[CompiledStep]) -> Option<Vec<&str>> {
    let mut walk = Walk { steps, state: vec![State::New; steps.len()], way: Vec::new() };
    (0..steps.len()).find_map(|from| walk.visit(from))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    OnTheWay,
    Ends,
}

struct Walk<'a> {
    steps: &'a [CompiledStep],
    state: Vec<State>,
    way: Vec<usize>,
}

impl<'a> Walk<'a> {
    /// No deeper than there are steps.
    fn visit(&mut self, at: usize) -> Option<Vec<&'a str>> {
        match self.state[at] {
            State::Ends => return None,
            State::OnTheWay => {
                let begin = self.way.iter().position(|other| *other == at).unwrap_or(0);
                let around = self.way[begin..].iter().chain([&at]);
                return Some(around.map(|index| &*self.steps[*index].name).collect());
            }
            State::New => {}
        }
        self.state[at] = State::OnTheWay;
        self.way.push(at);
        let steps = self.steps;
        let found = steps[at].after.iter().find_map(|next| self.visit(*next));
        self.way.pop();
        self.state[at] = State::Ends;
        found
    }
}
