//! Which level of vector instructions is used, and that everything follows it.

use mm_kernels::Error;
use mm_kernels::dense::{LinearShape, linear_input_gradient};
use mm_kernels::simd::{Level, VARIABLE, with_level};
use std::process::Command;

fn levels() -> impl Iterator<Item = Level> {
    Level::ALL.into_iter().filter(|level| *level <= Level::supported())
}

/// A level of a test run that does not exist here would test another one in silence.
#[test]
fn the_environment_of_this_run_names_a_level() {
    assert_eq!(Level::from_environment(), Ok(Level::best()));
    assert_eq!(Level::current(), Level::best());
}

/// What [`prints_its_level`] says with this value of the variable.
fn told(value: &str) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let output = command.args(["--exact", "prints_its_level", "--ignored", "--nocapture"]).env(VARIABLE, value).output().unwrap();
    assert!(output.status.success());
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[test]
#[ignore = "run by other tests, each with an environment of its own"]
fn prints_its_level() {
    println!("best: {}, error: {:?}", Level::best().name(), Level::from_environment().err());
}

#[test]
fn the_environment_lowers_the_level() {
    for level in levels() {
        assert!(told(level.name()).contains(&format!("best: {}, error: None", level.name())), "{}", told(level.name()));
    }
    assert!(told("").contains(&format!("best: {}, error: None", Level::supported().name())));
}

#[test]
fn a_level_that_is_none_or_not_here_is_told() {
    let lacking = Level::ALL.into_iter().filter(|level| *level > Level::supported()).map(|level| (level.name(), "has no such"));
    for (value, problem) in [("AVX2", "no such level"), ("avx9", "no such level")].into_iter().chain(lacking) {
        let text = told(value);
        let best = Level::supported().name();
        assert!(text.contains(&format!("best: {best}, error: Some(Level")), "{text}");
        assert!(text.contains(&format!("warning: {VARIABLE}={value}: ")) && text.contains(problem), "{text}");
        assert!(text.contains("the levels of this processor are portable"), "{text}");
    }
    let level = Error::Level { variable: VARIABLE, asked: "x".into(), problem: "there is no such level", here: "portable".into() };
    let expected = format!("{VARIABLE}=x: there is no such level; the levels of this processor are portable");
    assert_eq!(level.to_string(), expected);
}

/// `(1 + 2^-12)^2 - 1`: a product that is added without being rounded first keeps its last bit, and plain Rust rounds it.
#[test]
fn matrix_products_follow_the_level() {
    let size = 32;
    let x = 1.0 + 2f32.powi(-12);
    // More than two products: for fewer gemm has a function without such additions.
    let shape = LinearShape { rows: size, inputs: size, outputs: 8 };
    let gradient: Vec<f32> = (0..size).flat_map(|_| [-1.0, x, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]).collect();
    let weight: Vec<f32> = [1.0, x, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0].into_iter().flat_map(|w| vec![w; size]).collect();
    for level in levels() {
        let mut output = vec![f32::NAN; size * size];
        with_level(level, || linear_input_gradient(shape, &gradient, &weight, &mut output)).unwrap();
        let expected = 2f32.powi(-11) + if level == Level::Portable { 0.0 } else { 2f32.powi(-24) };
        assert!(output.iter().all(|y| *y == expected), "{level:?}: {:?}", &output[..4]);
    }
}
