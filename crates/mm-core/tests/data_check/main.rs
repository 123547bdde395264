//! Checks of data sets with the mistakes that people make: all are told, none stops the check, and what is in order stays untold.

mod alike;
mod folders;
mod guesses;
mod leaks;
mod made;
mod manifests;
mod numbers;
mod pixels;
mod real;
mod series;
mod sounds;
mod tables;
