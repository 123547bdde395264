//! Data from files and tables to batches.

mod augment;
mod builtin;
mod categories;
mod corrupt;
mod degraded_sensors;
mod errors;
mod field;
mod folders;
mod fuzz;
mod label_maps;
mod lengths;
mod loader;
mod long_table;
mod manifest;
mod manifest_rows;
mod missing;
mod modality;
mod reader;
mod series_changes;
mod sources;
mod table;
mod text_kind;
mod windows;

#[path = "../damage/mod.rs"]
mod damage;
#[path = "../refused/mod.rs"]
mod refused;
#[path = "../word_pieces/mod.rs"]
mod word_pieces;
