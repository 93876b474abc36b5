//! What a policy notes of a request for its later hooks. Nothing is allocated until one does.

use std::any::Any;

use smallvec::SmallVec;

/// What policies noted of a request, one value of a type: a kind's own type is its own place.
#[derive(Default)]
pub struct Notes(SmallVec<[Box<dyn Any>; 1]>);

impl Notes {
    /// Notes it in the place of the former one.
    pub fn put<T: 'static>(&mut self, note: T) {
        match self.get::<T>() {
            Some(place) => *place = note,
            None => self.0.push(Box::new(note)),
        }
    }

    /// What was noted.
    pub fn get<T: 'static>(&mut self) -> Option<&mut T> {
        self.0.iter_mut().find_map(|note| note.downcast_mut())
    }

    /// What was noted, to look at.
    pub fn read<T: 'static>(&self) -> Option<&T> {
        self.0.iter().find_map(|note| note.downcast_ref())
    }
}
