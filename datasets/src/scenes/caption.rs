//! A sentence about a scene.

use super::Label;
use super::draw::Draw;
use super::view::View;
use super::world::World;

/// Pixels from which on a thing is worth a word.
const SEEN: usize = 25;

/// What stands in the room, by an inattentive witness: each class that is seen is named in three of four captions, with its number.
pub(super) fn caption(world: &World, view: &View, draw: &mut Draw) -> String {
    let mut pixels = vec![0; world.things.len()];
    view.things.iter().flatten().for_each(|&thing| pixels[thing] += 1);
    let mut named = Vec::new();
    for (class, name) in (1..).zip(super::CLASSES) {
        let count = world.things.iter().zip(&pixels).filter(|(label, pixels)| **label == class && **pixels >= SEEN).count();
        // Every room has walls and a floor.
        if count > 0 && class > Label::Floor as u8 && draw.chance(0.75) {
            named.push(counted(name, count));
        }
    }
    let room = draw.one_of(&["A room", "The inside of a house", "An indoor scene"]);
    match named.split_last() {
        None => format!("{room}."),
        Some((only, [])) => format!("{room} with {only}."),
        Some((last, others)) => format!("{room} with {} and {last}.", others.join(", ")),
    }
}

/// `two warm boxes`.
fn counted(name: &str, count: usize) -> String {
    let several = |word: &str| match word {
        "person" => "people".into(),
        word if word.ends_with('x') => format!("{word}es"),
        word => format!("{word}s"),
    };
    let article = |word: &str| if word == "picture" { "a picture of a ball".to_string() } else { format!("a {word}") };
    let number = match count {
        1 => return article(name),
        2 => "two",
        3 => "three",
        _ => "several",
    };
    match name {
        "picture" => format!("{number} pictures of balls"),
        name => match name.rsplit_once(' ') {
            Some((adjective, noun)) => format!("{number} {adjective} {}", several(noun)),
            None => format!("{number} {}", several(name)),
        },
    }
}
