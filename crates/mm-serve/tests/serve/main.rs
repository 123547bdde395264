//! A server as a client sees it.

mod answers;
mod bounds;
mod client;
mod commands;
mod forms;
mod hostile;
mod models;
mod page;
mod routes;
