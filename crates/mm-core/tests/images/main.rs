//! Images and depth maps: what files hold, how it is resized and changed, how it degrades, and that damaged files are errors.

mod change;
mod damaged;
mod degrade;
mod depth;
mod files;
mod idx;
mod likeness;
mod made;
mod pictures;
mod resize;
