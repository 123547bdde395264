//! Modality names, combinations and presence masks.

use mm_core::modality::MAX_MODALITIES;
use mm_core::{Modalities, Presence, Subset};
use proptest::prelude::*;

fn three() -> Modalities {
    Modalities::new(["a", "b", "c"]).unwrap()
}

#[test]
fn combinations_come_by_size_then_position() {
    let names: Vec<String> = Subset::all_non_empty(3).map(|s| three().format(s)).collect();
    assert_eq!(names, ["a", "b", "c", "a+b", "a+c", "b+c", "a+b+c"]);
    for count in 1..=MAX_MODALITIES {
        let all: Vec<Subset> = Subset::all_non_empty(count).collect();
        assert_eq!(all.len(), (1 << count) - 1);
        assert!(all.iter().all(|s| s.is_subset_of(Subset::full(count))));
        assert_eq!(*all.last().unwrap(), Subset::full(count));
        let order = |s: &Subset| (s.len(), s.indices().collect::<Vec<_>>());
        assert!(all.windows(2).all(|pair| order(&pair[0]) < order(&pair[1])), "{count}");
    }
}

#[test]
fn names_are_checked() {
    let error = |names: &[&str]| Modalities::new(names.iter().copied()).unwrap_err().to_string();
    assert!(error(&[]).contains("1 to 16 modalities are possible, found 0"));
    assert!(error(&["x"; 17]).contains("found 17"));
    assert!(error(&["a", "b", "a"]).contains("\"a\" appears twice"));
    for bad in ["", "a+b", "a,b", "a b"] {
        assert!(error(&[bad]).contains("is not a name"), "{bad:?}");
    }
    assert!(three().index("d").unwrap_err().to_string().contains("there are: a, b, c"));
    assert!(serde_json::from_str::<Modalities>("[\"a\",\"a\"]").is_err());
    assert_eq!(serde_json::from_str::<Modalities>("[\"a\",\"b\",\"c\"]").unwrap(), three());
}

#[test]
fn parsing_refuses_what_is_no_combination() {
    for bad in ["", "+", "a+", "d", "a+a", "a++b"] {
        assert!(three().parse(bad).is_err(), "{bad:?}");
    }
    assert_eq!(three().parse("c + a").unwrap(), three().parse("a+c").unwrap());
    assert_eq!(three().parse("full").unwrap(), three().full());
    assert_eq!(three().parse("all").unwrap().len(), 3);
    let odd = Modalities::new(["full", "empty"]).unwrap();
    assert_eq!(odd.parse("full").unwrap(), Subset::single(0));
    assert!(Subset::from_bits(0).is_err());
    assert!(Subset::from_indices([]).is_err());
    assert!(Subset::from_indices([16]).is_err());
    assert!(serde_json::from_str::<Subset>("0").is_err());
}

#[test]
fn presence_masks() {
    let subsets = [0b001, 0b110, 0b111].map(|b| Subset::from_bits(b).unwrap());
    let presence = Presence::new(subsets.to_vec());
    assert_eq!(presence.rows_with(0), [0, 2]);
    assert_eq!(presence.rows_with(2), [1, 2]);
    assert_eq!(presence.to_mask(3), [1., 0., 0., 0., 1., 1., 1., 1., 1.]);
    assert_eq!(presence.intersection(&Presence::uniform(three().full(), 3)).unwrap(), presence);
    let error = presence.intersection(&Presence::uniform(Subset::single(0), 3)).unwrap_err().to_string();
    assert!(error.contains("sample 1 of the batch"), "{error}");
    assert!(presence.intersection(&Presence::uniform(three().full(), 2)).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn print_then_parse_gives_the_same(count in 1usize..=16, bits in 1u16..) {
        let names = Modalities::new((0..count).map(|i| format!("sensor-{i}"))).unwrap();
        if let Some(subset) = Subset::from_bits(bits).unwrap().intersection(names.full()) {
            prop_assert_eq!(names.parse(&names.format(subset)).unwrap(), subset);
        }
    }

    #[test]
    fn a_combination_is_a_set(a in 1u16.., b in 1u16..) {
        let (x, y) = (Subset::from_bits(a).unwrap(), Subset::from_bits(b).unwrap());
        prop_assert_eq!(Subset::from_indices(x.indices()).unwrap(), x);
        prop_assert_eq!(x.indices().count(), x.len());
        prop_assert_eq!(x.intersection(y).map_or(0, |s| s.bits()), a & b);
        prop_assert_eq!(x.is_subset_of(y), x.indices().all(|i| y.contains(i)));
        prop_assert!((16..20).all(|i| !x.contains(i)));
        prop_assert_eq!(serde_json::from_str::<Subset>(&serde_json::to_string(&x).unwrap()).unwrap(), x);
    }

    #[test]
    fn parsing_any_text_never_panics(text in "[abc+ ,]{0,12}") {
        let _ = three().parse(&text);
    }
}
